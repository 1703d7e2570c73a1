import { mkdtemp, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServer } from "./server.js";
import { codeOf, openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
beforeAll(async () => {
  test = await openTestServer();
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
});

describe("calls", () => {
  it("answers the contract's procedures on their routes", async () => {
    const made = await test.call("POST", "/v1/spaces", { body: { name: "first" } });
    expect(made).toMatchObject({ status: 201, body: { name: "first", status: "stopped" } });
    expect(made.body.workspace).toBeUndefined();
    expect((await test.call("POST", "/v1/spaces/first/start")).body.status).toBe("running");
    const run = await test.call("POST", "/v1/spaces/first/processes/run", {
      body: { command: "echo hello" },
    });
    expect(run).toMatchObject({ status: 200, body: { exitCode: 0, stdout: "hello\n" } });
  });

  it("reads numbers, booleans and maps from queries and paths", async () => {
    const body = { name: "marked", metadata: { team: "a", "0": "zero" } };
    await test.call("POST", "/v1/spaces", { body });
    const found = await test.call("GET", "/v1/spaces?limit=5&all=true&metadata[team]=a");
    expect(found.body.items.map(({ name }: { name: string }) => name)).toEqual(["marked"]);
    const byIndex = await test.call("GET", "/v1/spaces?metadata[0]=zero");
    expect(byIndex.body.items).toHaveLength(1);
    expect((await test.call("GET", "/v1/spaces?limit=many")).status).toBe(422);
    const port = await test.call("DELETE", "/v1/spaces/marked/ports/80");
    expect(port.body.code).toBe("FORWARD_NOT_FOUND");
  });

  it("takes values in bodies as they are, not as text that looks like them", async () => {
    const answer = await test.call("POST", "/v1/spaces/first/processes/run", {
      body: { command: "true", timeoutMs: "1000" },
    });
    expect(answer).toMatchObject({ status: 422, body: { code: "INVALID_INPUT" } });
  });

  it("tells errors as problems with code, suggestion and request id", async () => {
    const answer = await test.call("GET", "/v1/spaces/absent", {
      headers: { "x-request-id": "my-request.1" },
    });
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.headers.get("x-request-id")).toBe("my-request.1");
    expect(answer).toMatchObject({
      status: 404,
      body: {
        type: "urn:spaces:error:space-not-found",
        title: "Not Found",
        status: 404,
        code: "SPACE_NOT_FOUND",
        requestId: "my-request.1",
        instance: "/v1/spaces/absent",
        details: {},
      },
    });
    expect(answer.body.detail).toContain("absent");
    expect(answer.body.suggestion).not.toBe("");
  });

  it("asks for a token first, then a route, then a permission, then the input", async () => {
    const weak = await test.addUser("weak", ["UseSpaces"]);
    const order = [
      { token: null, path: "/v1/nowhere", code: "UNAUTHENTICATED" },
      { token: "spt_wrong", path: "/v1/spaces", code: "UNAUTHENTICATED" },
      { token: weak, path: "/v1/nowhere", code: "NOT_FOUND" },
      { token: weak, path: "/v1/spaces/x/processes/run", code: "PERMISSION_DENIED" },
      { token: weak, path: "/v1/spaces", code: "INVALID_INPUT" },
    ];
    for (const { token, path, code } of order) {
      const answer = await test.call("POST", path, { token, body: { bad: true } });
      expect(answer.body.code, path).toBe(code);
    }
    const refused = await test.call("GET", "/v1/spaces", { token: null });
    expect(refused.headers.get("www-authenticate")).toMatch(/^Bearer/);
  });

  it("keeps the spaces of others out of sight", async () => {
    const ann = await test.addUser("ann", ["UseSpaces", "RunCommands", "CopyFiles"]);
    expect((await test.call("GET", "/v1/spaces", { token: ann })).body.items).toEqual([]);
    expect((await test.call("GET", "/v1/spaces/first", { token: ann })).status).toBe(404);
  });
});

describe("bytes", () => {
  it("streams files in and out with their hashes", async () => {
    const bytes = Buffer.alloc(3_000_000, "spaces");
    const put = await test.fetch("/v1/spaces/first/files/content?path=big.bin", {
      method: "PUT",
      headers: { "content-type": "application/octet-stream" },
      body: bytes,
    });
    expect(put.status).toBe(200);
    expect(await put.json()).toMatchObject({ size: bytes.length, path: "/workspace/big.bin" });
    const got = await test.fetch("/v1/spaces/first/files/content?path=big.bin&offset=6&length=12");
    expect(got.headers.get("content-digest")).toMatch(/^sha-256=:/);
    expect(await got.text()).toBe("spacesspaces");
    const wrong = await test.fetch("/v1/spaces/first/files/content?path=x", {
      method: "PUT",
      body: "text",
    });
    expect([wrong.status, await codeOf(wrong)]).toEqual([422, "INVALID_INPUT"]);
    const absent = await test.fetch("/v1/spaces/first/files/content?path=absent");
    expect([absent.status, await codeOf(absent)]).toEqual([404, "FILE_NOT_FOUND"]);
  });
});

describe("pages", () => {
  it("tells its health to everybody", async () => {
    for (const path of ["/livez", "/readyz", "/health"]) {
      expect((await test.call("GET", path, { token: null })).status, path).toBe(200);
    }
    expect((await test.call("POST", "/livez")).status).toBe(404);
  });

  it("shows metrics to this machine, and through a proxy only to who may see them", async () => {
    const own = await test.call("GET", "/metrics", { token: null });
    expect(own.body).toMatch(/spaces_operations_total\{operation="spaces.create",result="ok"\} \d/);
    expect(own.body).toContain('spaces_spaces{status="running"}');
    expect(own.body).toContain("process_cpu_seconds_total");
    const headers = { "x-forwarded-for": "203.0.113.9" };
    expect((await test.call("GET", "/metrics", { token: null, headers })).status).toBe(401);
    const weak = await test.addUser("blind", ["UseSpaces"]);
    expect((await test.call("GET", "/metrics", { token: weak, headers })).status).toBe(403);
    expect((await test.call("GET", "/metrics", { headers })).status).toBe(200);
  });
});

describe("listening", () => {
  it("serves on a unix socket that only its owner can use, and takes over a dead one", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "spaces-socket-"));
    const socket = join(dataDir, "s.sock");
    for (const round of [1, 2]) {
      await using server = await openServer({ dataDir, socket, auth: "none", driver: "virtual" });
      expect(server.url).toBe(`unix://${socket}`);
      expect((await stat(socket)).mode & 0o777).toBe(0o600);
      const status = await new Promise((resolve, reject) => {
        request({ socketPath: socket, path: "/v1/system/whoami" }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
      expect(status, String(round)).toBe(200);
    }
    await rm(dataDir, { recursive: true });
  });

  it("names what is in use, and refuses to be open to everybody", async () => {
    const { port, dataDir } = test;
    await expect(openServer({ dataDir, port })).rejects.toMatchObject({ code: "PORT_IN_USE" });
    await expect(
      openServer({ dataDir, port: 0, host: "0.0.0.0", auth: "none" }),
    ).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(
      openServer({ dataDir, port: 0, tls: { cert: "no", key: "no" } }),
    ).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
