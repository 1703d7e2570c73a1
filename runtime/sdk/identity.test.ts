import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServed, type Served } from "../../test/support/served.js";
import { AgentSpaces } from "./agent-spaces.js";
import {
  ConflictError,
  NotFoundError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
} from "./errors.js";

describe("who may do what on a server", () => {
  let served: Served;
  let admin: AgentSpaces;
  const as = (token: string) => new AgentSpaces({ url: served.server.url, token });
  beforeAll(async () => {
    served = await openServed({ auth: "token" });
    admin = as(served.server.adminToken ?? "");
  });
  afterAll(async () => {
    await admin.close();
    await served[Symbol.asyncDispose]();
  });

  it("is told by roles, users and tokens", async () => {
    const role = await admin.roles.save("lister", ["UseSpaces"], { description: "Lists" });
    expect(role).toMatchObject({ name: "lister", permissions: ["UseSpaces"], builtin: false });
    const user = await admin.users.create("ada", { roles: ["lister"] });
    await expect(admin.users.create("ada")).rejects.toBeInstanceOf(ConflictError);
    expect((await admin.users.get("ada")).id).toBe(user.id);
    expect((await admin.users.list()).map(({ name }) => name)).toContain("ada");

    const { token, id } = await admin.tokens.create({
      name: "ci",
      user: "ada",
      scope: ["UseSpaces"],
      ttlSeconds: 3600,
    });
    expect((await admin.tokens.list({ user: "ada" })).map((each) => each.name)).toEqual(["ci"]);
    await using ada = as(token);
    expect(await ada.system.whoami()).toMatchObject({ name: "ada", permissions: ["UseSpaces"] });
    const space = await ada.spaces.create({ name: "of-ada" });
    await expect(space.run("true")).rejects.toBeInstanceOf(PermissionDeniedError);
    await expect(ada.users.list()).rejects.toBeInstanceOf(PermissionDeniedError);
    await expect(ada.spaces.list({ all: true })).rejects.toBeInstanceOf(PermissionDeniedError);
    await admin.users.create("bob", { roles: ["lister"] });
    await using bob = as((await admin.tokens.create({ name: "own", user: "bob" })).token);
    expect(await bob.spaces.exists("of-ada")).toBe(false);
    expect(await bob.spaces.list()).toEqual([]);
    await space.destroy();

    await admin.tokens.revoke(id);
    await expect(ada.spaces.list()).rejects.toBeInstanceOf(UnauthenticatedError);
    await expect(admin.tokens.revoke("tok_00000000000000000000")).rejects.toBeInstanceOf(
      NotFoundError,
    );
    expect((await admin.users.update("ada", { roles: [], disabled: true })).disabled).toBe(true);
    for (const name of ["ada", "bob"]) await admin.users.delete(name);
    await admin.roles.delete("lister");
    expect((await admin.roles.list()).map(({ name }) => name)).not.toContain("lister");
  });

  it("is nothing without a token", async () => {
    await using nobody = as("spt_nobody");
    await expect(nobody.spaces.list()).rejects.toBeInstanceOf(UnauthenticatedError);
  });

  it("is no matter where nobody answers", async () => {
    await using lost = new AgentSpaces({ url: "http://127.0.0.1:9", token: "spt_x" });
    await expect(lost.spaces.list()).rejects.toBeInstanceOf(UnavailableError);
  });
});
