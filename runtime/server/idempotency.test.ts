import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CLI } from "../../test/support/cli.js";
import { openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
beforeEach(async () => {
  test = await openTestServer();
});
afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const key = (text: string) => ({ "idempotency-key": text });
const create = (on: TestServer, name: string, text: string) =>
  on.call("POST", "/v1/spaces", { body: { name }, headers: key(text) });

describe("idempotency keys", () => {
  it("gives the kept answer to the same request, and does nothing again", async () => {
    const first = await create(test, "a", "k1");
    const second = await create(test, "a", "k1");
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect([second.status, second.body]).toEqual([201, first.body]);
    const failed = await create(test, "a", "k2");
    await test.call("DELETE", "/v1/spaces/a");
    const again = await create(test, "a", "k2");
    expect([failed.status, again.status, again.body.code]).toEqual([409, 409, "SPACE_EXISTS"]);
    expect(again.headers.get("content-type")).toBe("application/problem+json");
  });

  it("refuses a key for another request, and what is no key", async () => {
    await create(test, "a", "k");
    expect((await create(test, "b", "k")).body.code).toBe("INVALID_INPUT");
    for (const bad of ["", "a b", "x".repeat(256)]) {
      expect((await create(test, "c", bad)).status, bad).toBe(422);
    }
    const ann = await test.addUser("ann", ["UseSpaces"]);
    const hers = await test.call("POST", "/v1/spaces", {
      body: { name: "a" },
      headers: key("k"),
      token: ann,
    });
    expect([hers.status, hers.headers.get("idempotency-replayed")]).toEqual([201, null]);
    await test.call("DELETE", `/v1/spaces/${hers.body.id}`, { token: ann });
  });

  it("keeps the key free where nothing was done", async () => {
    const body = { name: "BAD" };
    const bad = await test.call("POST", "/v1/spaces", { body, headers: key("k") });
    expect(bad.status).toBe(422);
    expect((await create(test, "good", "k")).status).toBe(201);
  });

  it("does a thing once when many ask at the same time, on two servers", async () => {
    const other = await test.another();
    const asked = Array.from({ length: 20 }, (_, i) =>
      create(i % 2 === 0 ? test : other, "once", "race"),
    );
    const answers = await Promise.all(asked);
    const codes = answers.map(({ status, body }) => (status === 201 ? body.id : body.code));
    const ids = new Set(codes.filter((code) => code !== "CONFLICT"));
    expect(ids.size).toBe(1);
    const replayed = await create(other, "once", "race");
    expect(ids).toContain(replayed.body.id);
  });

  it("shows no token in what it keeps", async () => {
    const body = { name: "t" };
    const made = await test.call("POST", "/v1/tokens", { body, headers: key("t") });
    const again = await test.call("POST", "/v1/tokens", { body, headers: key("t") });
    expect(again.body.token).toBe(made.body.token);
    const { readFile } = await import("node:fs/promises");
    for (const file of ["spaces.db", "spaces.db-wal"]) {
      const bytes = await readFile(`${test.dataDir}/${file}`);
      expect(bytes.includes(made.body.token)).toBe(false);
    }
  });

  it("gives no other token the kept answer, not even one of the same user", async () => {
    const request = { body: { name: "ci" }, headers: key("1") };
    const made = await test.call("POST", "/v1/tokens", request);
    const less = { name: "less", scope: ["UseSpaces"] };
    const { token } = (await test.call("POST", "/v1/tokens", { body: less })).body;
    const answer = await test.call("POST", "/v1/tokens", { ...request, token });
    expect([answer.status, answer.headers.get("idempotency-replayed")]).toEqual([201, null]);
    expect(answer.body.scope).toEqual(["UseSpaces"]);
    await test.call("DELETE", `/v1/tokens/${answer.body.id}`);
    expect((await test.call("POST", "/v1/tokens", request)).body).toEqual(made.body);
  });

  it("gives nothing to a token that was revoked, or lost the permission, since", async () => {
    const ann = await test.addUser("ann", ["UseSpaces"]);
    const request = { body: { name: "kept" }, headers: key("k"), token: ann };
    const { body } = await test.call("POST", "/v1/spaces", request);
    await test.call("PUT", "/v1/roles/role-of-ann", { body: { permissions: ["CopyFiles"] } });
    expect((await test.call("POST", "/v1/spaces", request)).status).toBe(403);
    await test.call("PUT", "/v1/roles/role-of-ann", { body: { permissions: ["UseSpaces"] } });
    expect((await test.call("POST", "/v1/spaces", request)).body).toEqual(body);
    await test.call("PATCH", "/v1/users/ann", { body: { disabled: true } });
    expect((await test.call("POST", "/v1/spaces", request)).status).toBe(401);
  });

  it("never repeats what a killed server may have done", async () => {
    const child = spawn(
      process.execPath,
      [CLI, "serve", "--port", "0", "--data", test.dataDir, "--driver", "virtual", "--json"],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    const [line] = await once(child.stdout.setEncoding("utf8"), "data");
    const { url } = JSON.parse(line);
    await create(test, "s", "made");
    await test.call("POST", "/v1/spaces/s/start");
    const body = { command: "sleep 20" };
    const run = fetch(`${url}/v1/spaces/s/processes/run`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${test.adminToken}`,
        "content-type": "application/json",
        ...key("run"),
      },
      body: JSON.stringify(body),
    }).catch(() => "broken off");
    const ask = () =>
      test.call("POST", "/v1/spaces/s/processes/run", { body, headers: key("run") });
    await expect
      .poll(async () => {
        const { store } = { store: await test.call("GET", "/v1/spaces/s") };
        return store.body.activity;
      })
      .toBe("busy");
    expect((await ask()).body.code).toBe("CONFLICT");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await run).toBe("broken off");
    expect((await ask()).body.code).toBe("INTERRUPTED");
  });
});
