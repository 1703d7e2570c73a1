/** What callers try in order to get at more than they were given. */
import { userInfo } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import { codeOf } from "../../../test/support/error-code.js";
import { ALL_PERMISSIONS, type Permission } from "../../contract/permissions.js";

let test: TestHost;
beforeEach(async () => {
  test = await openTestHost();
});
afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const add = async (name: string, permissions: Permission[]) =>
  test.as(await test.addUser(name, permissions));

describe("who manages users", () => {
  it("gives no role that allows what they lack, in any way", async () => {
    const boss = await add("boss", ["ManageUsers", "UseSpaces"]);
    await test.local.roles.save({ role: "weak", permissions: ["UseSpaces"] });
    await test.local.roles.save({ role: "strong", permissions: ["ViewAudit"] });
    await test.local.users.create({ name: "strongest", roles: ["strong"] });
    await boss.users.create({ name: "x", roles: ["weak"] });
    const attempts = {
      create: boss.users.create({ name: "y", roles: ["admin"] }),
      assign: boss.users.update({ user: "x", roles: ["weak", "strong"] }),
      self: boss.users.update({ user: "boss", roles: ["admin"] }),
      save: boss.roles.save({ role: "new", permissions: ["ViewAudit"] }),
      widen: boss.roles.save({ role: "weak", permissions: ["UseSpaces", "CopyFiles"] }),
      replace: boss.roles.save({ role: "strong", permissions: [] }),
      token: boss.tokens.create({ name: "t", user: "strongest" }),
      disable: boss.users.update({ user: "strongest", disabled: true }),
      delete: boss.users.delete({ user: "strongest" }),
    };
    for (const [name, attempt] of Object.entries(attempts)) {
      expect(await codeOf(attempt), name).toBe("PERMISSION_DENIED");
    }
    expect(await codeOf(boss.users.create({ name: "y", roles: ["none"] }))).toBe("ROLE_NOT_FOUND");
    expect((await test.local.users.get({ user: "x" })).permissions).toEqual(["UseSpaces"]);
  });

  it("does not profit from what the user is given after a token was made for it", async () => {
    const boss = await add("boss", ["ManageUsers", "UseSpaces"]);
    await test.local.users.create({ name: "x", roles: [] });
    const { token } = await boss.tokens.create({ name: "t", user: "x" });
    await test.local.users.update({ user: "x", roles: ["admin"] });
    expect((await test.host.engine.identity.authenticate(token)).permissions.size).toBe(0);
  });

  it("changes no built-in role and deletes none that somebody has", async () => {
    for (const role of ["admin", "user"]) {
      const { local } = test;
      expect(await codeOf(local.roles.save({ role, permissions: [] }))).toBe("CONFLICT");
      expect(await codeOf(local.roles.delete({ role }))).toBe("CONFLICT");
    }
    await add("x", []);
    expect(await codeOf(test.local.roles.delete({ role: "role-of-x" }))).toBe("CONFLICT");
    await test.local.users.delete({ user: "x" });
    await test.local.roles.delete({ role: "role-of-x" });
    expect(await codeOf(test.local.roles.delete({ role: "role-of-x" }))).toBe("ROLE_NOT_FOUND");
  });

  it("takes no user's name or id", async () => {
    await test.local.users.create({ name: "ann" });
    expect(await codeOf(test.local.users.create({ name: "ann" }))).toBe("USER_EXISTS");
    const admin = await test.as((await test.local.tokens.create({ name: "t" })).token);
    const boss = await add("boss", [...ALL_PERMISSIONS]);
    const me = userInfo().username;
    expect(await codeOf(boss.users.create({ name: me }))).toBe("USER_EXISTS");
    expect((await admin.system.whoami({})).id).toBe(me);
  });
});

describe("the last administrator", () => {
  it("keeps the role, stays enabled and is not deleted", async () => {
    const { token } = await test.local.tokens.create({ name: "first" });
    const admin = await test.as(token);
    const user = (await admin.system.whoami({})).id;
    expect(await codeOf(admin.users.update({ user, roles: ["user"] }))).toBe("CONFLICT");
    expect(await codeOf(admin.users.update({ user, disabled: true }))).toBe("CONFLICT");
    expect(await codeOf(admin.users.delete({ user }))).toBe("CONFLICT");
    await admin.users.create({ name: "ann", roles: ["admin"] });
    await admin.users.update({ user, roles: ["user"] });
    expect(await codeOf(test.local.users.delete({ user: "ann" }))).toBe("CONFLICT");
  });

  it("is one of two that are taken down at the same time, by two processes", async () => {
    const names = ["ann", "ben"];
    for (const name of names) await test.local.users.create({ name, roles: ["admin"] });
    const other = await test.openAnother();
    const clients = [test.local, other.clientFor({ actor: test.actor, depth: 0, local: true })];
    const codes = await Promise.all(
      clients.map((client, at) =>
        codeOf(client.users.update({ user: names[at] ?? "", disabled: true })),
      ),
    );
    expect(codes.sort()).toEqual(["CONFLICT", "none"]);
  });
});

describe("a token", () => {
  it("makes none that may do more, or live longer, than itself", async () => {
    await test.local.users.create({ name: "ann" });
    const first = await test.local.tokens.create({
      name: "first",
      user: "ann",
      scope: ["UseSpaces", "RunCommands"],
      expiresInMs: 3_600_000,
    });
    const client = await test.as(first.token);
    expect(await codeOf(client.tokens.create({ name: "t", scope: ["CopyFiles"] }))).toBe(
      "PERMISSION_DENIED",
    );
    const second = await client.tokens.create({ name: "second", expiresInMs: 36_000_000 });
    expect(second.scope).toEqual(["UseSpaces", "RunCommands"]);
    expect(second.expiresAt).toBe(first.expiresAt);
    await test.local.users.update({ user: "ann", roles: ["admin"] });
    const actor = await test.host.engine.identity.authenticate(second.token);
    expect([...actor.permissions]).toEqual(["UseSpaces", "RunCommands"]);
  });

  it("takes all that was made with it along when it is revoked", async () => {
    const { token, id } = await test.local.tokens.create({ name: "0" });
    const secrets = [token];
    for (const name of ["1", "2", "3"]) {
      const maker = await test.as(secrets.at(-1) ?? "");
      secrets.push((await maker.tokens.create({ name })).token);
    }
    const beside = await test.local.tokens.create({ name: "beside" });
    await test.local.tokens.revoke({ token: id });
    await test.local.tokens.revoke({ token: id });
    for (const secret of secrets) {
      expect(await codeOf(test.host.engine.identity.authenticate(secret))).toBe("UNAUTHENTICATED");
    }
    expect(await codeOf(test.host.engine.identity.authenticate(beside.token))).toBe("none");
  });

  it("makes none any more once it is revoked, also in a race", async () => {
    const { token, id } = await test.local.tokens.create({ name: "0" });
    const maker = await test.as(token);
    const other = await test.openAnother();
    const revoker = other.clientFor({ actor: test.actor, depth: 0, local: true });
    const making = Array.from({ length: 20 }, (_, at) =>
      maker.tokens.create({ name: `child-${at}` }).then(
        (made) => made.token,
        (error) => error.code as string,
      ),
    );
    await revoker.tokens.revoke({ token: id });
    for (const made of await Promise.all(making)) {
      if (!made.startsWith("spt_")) expect(made).toBe("UNAUTHENTICATED");
      else
        await expect
          .poll(() => codeOf(test.host.engine.identity.authenticate(made)))
          .toBe("UNAUTHENTICATED");
    }
    expect(await codeOf(maker.tokens.create({ name: "late" }))).toBe("UNAUTHENTICATED");
  });

  it("with a scope sees and revokes only itself and what it made", async () => {
    await test.local.users.create({ name: "ann" });
    const make = (name: string, scope?: Permission[]) =>
      test.local.tokens.create({ name, user: "ann", ...(scope === undefined ? {} : { scope }) });
    const whole = await make("whole");
    const scoped = await make("scoped", ["UseSpaces"]);
    const client = await test.as(scoped.token);
    const child = await client.tokens.create({ name: "child" });
    expect((await client.tokens.list({})).items.map(({ name }) => name)).toEqual([
      "scoped",
      "child",
    ]);
    expect(await codeOf(client.tokens.revoke({ token: whole.id }))).toBe("TOKEN_NOT_FOUND");
    await client.tokens.revoke({ token: child.id });
    await client.tokens.revoke({ token: scoped.id });
  });

  it("that is granted nothing can do nothing, and lists have nothing to hide it behind", async () => {
    const { token } = await test.local.tokens.create({ name: "t", scope: [] });
    const client = await test.as(token);
    expect(await codeOf(client.spaces.list({}))).toBe("PERMISSION_DENIED");
    expect((await client.system.whoami({})).permissions).toEqual([]);
  });
});

describe("a user", () => {
  it("with spaces is not deleted; without, its scripts and tokens go too", async () => {
    const ann = await add("ann", ["UseSpaces", "ManageScripts", "ExecuteScripts"]);
    await ann.spaces.create({ name: "one" });
    await ann.scripts.save({ script: "s", source: "1" });
    const deletion = test.local.users.delete({ user: "ann" });
    await expect(deletion).rejects.toMatchObject({ code: "CONFLICT", details: { spaces: 1 } });
    await ann.spaces.delete({ space: "one" });
    await test.local.users.delete({ user: "ann" });
    const { store } = test.host.engine.parts;
    for (const table of ["scripts", "tokens", "user_roles"] as const) {
      expect(await store.selectFrom(table).selectAll().execute(), table).toEqual([]);
    }
    // The call was authenticated before; what it makes now would belong to nobody.
    expect(await codeOf(ann.spaces.create({ name: "late" }))).toBe("UNAUTHENTICATED");
    expect(await codeOf(ann.scripts.save({ script: "late", source: "1" }))).toBe("UNAUTHENTICATED");
  });

  it("who is disabled gets no new tokens", async () => {
    await add("ann", []);
    await test.local.users.update({ user: "ann", disabled: true });
    expect(await codeOf(test.local.tokens.create({ name: "t", user: "ann" }))).toBe("CONFLICT");
    expect(await codeOf(test.local.tokens.create({ name: "t", user: "no-one" }))).toBe(
      "USER_NOT_FOUND",
    );
  });
});

describe("a template in use", () => {
  it("names no space of another owner", async () => {
    await test.local.templates.apply({ source: "name: mine\n" });
    await test.local.spaces.create({ name: "hidden", template: "mine" });
    const ann = await add("ann", ["ManageTemplates"]);
    const deletion = (client: typeof ann) =>
      client.templates.delete({ template: "mine" }).catch((error) => error.message);
    expect(await deletion(ann)).not.toContain("hidden");
    expect(await deletion(test.local)).toContain("hidden");
  });
});

describe("answers to callers on other machines", () => {
  it("hold no path of the data directory", async () => {
    const ann = await add("ann", ["UseSpaces"]);
    const { id } = await ann.spaces.create({ name: "one" });
    const { store } = test.host.engine.parts;
    const lastError = { code: "DRIVER_FAILED", message: `no ${test.dataDir}/x`, at: "" };
    await store
      .updateTable("spaces")
      .set({ last_error: JSON.stringify(lastError), status: "error" })
      .execute();
    expect(JSON.stringify(await ann.spaces.get({ space: id }))).not.toContain(test.dataDir);
    expect((await ann.spaces.get({ space: id })).lastError?.message).toBe("no <data>/x");
    const seen = await test.local.spaces.get({ space: id });
    expect(seen.lastError?.message).toBe(lastError.message);
  });
});
