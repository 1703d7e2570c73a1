/** Users, roles, tokens and times to live on the command line. */
import { userInfo } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";

let home: CliHome;
beforeAll(async () => {
  home = await CliHome.make();
});
afterAll(() => home[Symbol.asyncDispose]());

describe("spaces tokens", () => {
  it("prints a new token alone on stdout, and that it is shown once on stderr", async () => {
    const made = await home.run(["tokens", "create", "--name", "ci", "--expires", "30d"]);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^spt_[\w-]{43}\n$/) });
    expect(made.stderr).toMatch(
      /^Created tok_\w+ for .*, expires in (29|30) days\..* only once:\n$/,
    );
    const quiet = await home.run(["tokens", "create", "--name", "ci", "--quiet"]);
    expect(quiet).toMatchObject({ code: 0, stderr: "" });
    const listed = await home.run(["tokens", "list"]);
    expect(listed.stdout).not.toContain("spt_");
    expect(listed.stdout).toMatch(/^tok_\w+ +ci +expires in (29|30) days +never +all$/m);
  });

  it("makes, lists and revokes as JSON", async () => {
    const made = await home.json<{ id: string; token: string; scope: string[] }>([
      ...["tokens", "create", "--name", "json", "--scope", "runcommands,UseSpaces"],
    ]);
    expect(made).toMatchObject({ scope: ["UseSpaces", "RunCommands"], kind: "user" });
    expect(await home.json(["tokens", "revoke", made.id])).toEqual({
      items: [{ token: made.id, revoked: true }],
    });
    const { items } = await home.json<{ items: { id: string; revokedAt?: string }[] }>([
      ...["tokens", "list"],
    ]);
    expect(items.find(({ id }) => id === made.id)?.revokedAt).toBeDefined();
  });

  it.each([
    [["tokens", "create"], "--name"],
    [["tokens", "create", "--name", "x", "--scope", "Everything"], "The permissions are"],
    [["tokens", "create", "--name", "x", "--expires", "forever"], "--expires"],
    [["tokens", "create", "--name", "x", "--expires", "4000d"], "--expires"],
    [["tokens", "create", "--name", "x", "--user", "nobody"], "USER_NOT_FOUND"],
    [["tokens", "revoke", "tok_00000000000000000000"], "TOKEN_NOT_FOUND"],
    [["tokens", "revoke", "mine"], "must be the id of a token"],
  ])("refuses %j", async (args, said) => {
    const result = await home.run(args);
    expect(result.code).not.toBe(0);
    expect(result.stdout).toBe("");
    expect(result.stderr).toContain(said);
  });
});

describe("spaces users and roles", () => {
  it("makes, changes and deletes them", async () => {
    await home.json(["roles", "save", "auditor", "--permissions", "ViewAudit", "-d", "Looks on"]);
    const created = await home.run(["users", "create", "ann", "--roles", "user,auditor"]);
    expect(created.stdout).toMatch(/^usr_\w{20}\n$/);
    expect((await home.run(["users", "show", "ann"])).stdout).toMatch(/^roles: +auditor, user$/m);
    expect((await home.run(["users", "list"])).stdout).toMatch(/^ann +auditor,user +enabled/m);
    expect((await home.run(["roles", "list"])).stdout).toMatch(/^auditor +ViewAudit +Looks on$/m);
    expect(await home.json(["users", "update", "ann", "--disable"])).toMatchObject({
      disabled: true,
      roles: ["auditor", "user"],
    });
    expect((await home.run(["users", "update", "ann", "--disable", "--enable"])).code).not.toBe(0);
    expect(
      await home.json(["users", "update", "ann", "--enable", "--roles", "user"]),
    ).toMatchObject({
      disabled: false,
      roles: ["user"],
    });
    expect((await home.run(["roles", "delete", "admin"])).stderr).toContain("CONFLICT");
    expect(await home.json(["roles", "delete", "auditor"])).toEqual({
      role: "auditor",
      deleted: true,
    });
    expect(await home.json(["users", "delete", "ann", "--dry-run"])).toMatchObject({
      deleted: false,
    });
    expect(await home.json(["users", "delete", "ann"])).toEqual({ user: "ann", deleted: true });
    expect((await home.run(["users", "show", "ann"])).stderr).toContain("USER_NOT_FOUND");
  });
});

describe("spaces whoami", () => {
  it("names the local user, with all permissions", async () => {
    const me = userInfo().username;
    expect(await home.json(["whoami"])).toMatchObject({ id: me, name: me, roles: ["admin"] });
    expect((await home.run(["whoami"])).stdout).toMatch(/^permissions: +UseSpaces, ManageSpaces,/m);
  });
});

describe("a time to live", () => {
  it("is given, shown and extended", async () => {
    await home.json(["create", "trial", "--ttl", "2h"]);
    expect((await home.run(["show", "trial"])).stdout).toMatch(/^expires: +in [12] hours? \(/m);
    expect((await home.run(["list"])).stdout).toMatch(/EXPIRES[\s\S]*^trial .* in [12] hours?/m);
    const { expiresAt } = await home.json<{ expiresAt: string }>(["show", "trial"]);
    const extended = await home.run(["extend", "trial", "1h"]);
    expect(Date.parse(extended.stdout.trim()) - Date.parse(expiresAt)).toBe(3_600_000);
    await home.json(["create", "lasting"]);
    expect((await home.run(["extend", "lasting", "1h"])).stderr).toContain("CONFLICT");
    expect((await home.run(["create", "never", "--ttl", "0s"])).stderr).toContain("--ttl");
    await home.run(["delete", "trial", "lasting"]);
  });

  it("is set and extended by scripts", async () => {
    const script = await home.write(
      "ttl.ts",
      `import spaces from "spaces";
       spaces.create("brief", "default", { ttl: 60 });
       const before = Date.parse(spaces.get("brief").expires_at ?? "");
       console.log(Date.parse(spaces.extend("brief", 90)) - before);
       spaces.remove("brief");`,
    );
    expect(await home.run(["run", script])).toMatchObject({ code: 0, stdout: "90000\n" });
  });
});

describe("spaces scripts run --grant", () => {
  it("runs a stored script with no more than that", async () => {
    const script = await home.write(
      "look.ts",
      `import spaces from "spaces";
       console.log(spaces.list().length);
       spaces.create("x", "default");
       spaces.run("x", "true");`,
    );
    await home.json(["scripts", "save", script]);
    const nothing = await home.run(["scripts", "run", "look", "--grant", ""]);
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toContain("UseSpaces is needed");
    const some = await home.run(["scripts", "run", "look", "--grant", "UseSpaces"]);
    expect(some).toMatchObject({ code: 1, stdout: "0\n" });
    expect(some.stderr).toContain("RunCommands is needed");
    await home.run(["delete", "x"]);
  });
});
