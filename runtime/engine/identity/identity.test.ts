import { userInfo } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import type { EngineHost } from "../../bindings/in-process.js";
import type { ErrorCode } from "../../contract/errors.js";
import { ALL_PERMISSIONS } from "../../contract/permissions.js";

const me = userInfo().username;

let test: TestHost;
beforeEach(async () => {
  test = await openTestHost();
});
afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const fails = async (code: ErrorCode, call: Promise<unknown>): Promise<void> => {
  await expect(call).rejects.toMatchObject({ code });
};
const identityOf = (host: EngineHost) => host.engine.identity;

describe("bootstrap", () => {
  it("makes the local user an administrator with a token, once", async () => {
    const secret = await identityOf(test.host).bootstrap();
    expect(secret).toMatch(/^spt_[A-Za-z0-9_-]{43}$/);
    const actor = await identityOf(test.host).authenticate(secret ?? "");
    expect(actor).toMatchObject({ id: me, name: me, roles: ["admin"] });
    expect([...actor.permissions].sort()).toEqual([...ALL_PERMISSIONS].sort());
    expect(await identityOf(test.host).bootstrap()).toBeUndefined();
  });

  it("makes exactly one administrator when several engines start at once", async () => {
    const hosts = [test.host, ...(await Promise.all([1, 2, 3].map(() => test.openAnother())))];
    const secrets = await Promise.all(hosts.map((host) => identityOf(host).bootstrap()));
    expect(secrets.filter((secret) => secret !== undefined)).toHaveLength(1);
    expect((await test.local.users.list({})).items).toHaveLength(1);
  });

  it("leaves the spaces that were made locally with the administrator", async () => {
    await test.local.spaces.create({ name: "mine" });
    const client = await test.as((await identityOf(test.host).bootstrap()) ?? "");
    expect((await client.spaces.list({})).items.map(({ name }) => name)).toEqual(["mine"]);
  });
});

describe("authenticate", () => {
  it("gives the user's permissions within the token's scope", async () => {
    await test.local.users.create({ name: "ann" });
    const { token } = await test.local.tokens.create({
      name: "ci",
      user: "ann",
      scope: ["RunCommands", "ManageTemplates"],
    });
    const actor = await identityOf(test.host).authenticate(token);
    expect(actor.name).toBe("ann");
    expect([...actor.permissions]).toEqual(["RunCommands"]);
  });

  it("refuses what is no token, unknown, revoked, expired or of a disabled user", async () => {
    const { authenticate } = {
      authenticate: (text: string) => identityOf(test.host).authenticate(text),
    };
    for (const text of ["", "x", "spt_", `spt_${"a".repeat(43)}`, `spt_${"a".repeat(100_000)}`]) {
      await fails("UNAUTHENTICATED", authenticate(text));
    }
    const revoked = await test.local.tokens.create({ name: "a" });
    await authenticate(revoked.token);
    await test.local.tokens.revoke({ token: revoked.id });
    await fails("UNAUTHENTICATED", authenticate(revoked.token));

    const brief = await test.local.tokens.create({ name: "b", expiresInMs: 30 });
    await expect
      .poll(() =>
        authenticate(brief.token).then(
          () => "valid",
          (error) => error.message,
        ),
      )
      .toBe("The token has expired.");

    const ann = await test.addUser("ann", ["UseSpaces"]);
    await authenticate(ann);
    await test.local.users.update({ user: "ann", disabled: true });
    await fails("UNAUTHENTICATED", authenticate(ann));
    await test.local.users.update({ user: "ann", disabled: false });
    await authenticate(ann);
    await test.local.users.delete({ user: "ann" });
    await fails("UNAUTHENTICATED", authenticate(ann));
  });

  it("heeds another process's revocation within its second", async () => {
    const { id, token } = await test.local.tokens.create({ name: "a" });
    const other = await test.openAnother();
    await identityOf(other).authenticate(token);
    await test.local.tokens.revoke({ token: id });
    await expect
      .poll(
        () =>
          identityOf(other)
            .authenticate(token)
            .then(
              () => "valid",
              (error) => error.code,
            ),
        {
          timeout: 5_000,
        },
      )
      .toBe("UNAUTHENTICATED");
  });

  it("notes when a token was last used, and keeps no text of it", async () => {
    const { id, token } = await test.local.tokens.create({ name: "a" });
    await identityOf(test.host).authenticate(token);
    const { items } = await test.local.tokens.list({});
    expect(items.find((item) => item.id === id)?.lastUsedAt).toBeDefined();
    const rows = await test.host.engine.parts.store.selectFrom("tokens").selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(token.slice(4));
  });
});

describe("watch", () => {
  it("ends at once when this process revokes, disables, deletes or takes a permission", async () => {
    const endings = [
      async () => {
        const [first] = (await test.local.tokens.list({ user: "ann" })).items;
        await test.local.tokens.revoke({ token: first?.id ?? "" });
      },
      () => test.local.users.update({ user: "ann", disabled: true }),
      () => test.local.users.update({ user: "ann", roles: [] }),
      () => test.local.roles.save({ role: "role-of-ann", permissions: ["UseSpaces"] }),
      () => test.local.users.delete({ user: "ann" }),
    ];
    for (const end of endings) {
      const token = await test.addUser("ann", ["UseSpaces", "RunCommands"]);
      using watch = identityOf(test.host).watch(await identityOf(test.host).authenticate(token));
      expect(watch.signal.aborted).toBe(false);
      await end();
      expect(watch.signal.reason).toMatchObject({ code: "UNAUTHENTICATED" });
      await test.local.users.delete({ user: "ann" }).catch(() => undefined);
    }
  });

  it("ends when another process revokes, and when the time is up", async () => {
    const { id, token } = await test.local.tokens.create({ name: "a" });
    const brief = await test.local.tokens.create({ name: "b", expiresInMs: 400 });
    const other = identityOf(await test.openAnother());
    using revoked = other.watch(await other.authenticate(token));
    using expired = other.watch(await other.authenticate(brief.token));
    await test.local.tokens.revoke({ token: id });
    await expect.poll(() => revoked.signal.aborted, { timeout: 5_000 }).toBe(true);
    await expect.poll(() => expired.signal.aborted, { timeout: 5_000 }).toBe(true);
  });

  it("goes on when permissions are added, and for the local user", async () => {
    const token = await test.addUser("ann", ["UseSpaces"]);
    using watch = identityOf(test.host).watch(await identityOf(test.host).authenticate(token));
    await test.local.roles.save({ role: "role-of-ann", permissions: ["UseSpaces", "CopyFiles"] });
    expect(watch.signal.aborted).toBe(false);
  });
});
