import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
const sockets: Socket[] = [];
beforeEach(async () => {
  test = await openTestServer({
    limits: { answerStallMs: 500, bodiesPerActorBytes: 1024 * 1024, bodyStallMs: 2_000 },
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await test[Symbol.asyncDispose]();
});

const head = (method: string, path: string, more: readonly string[] = []): string =>
  [`${method} ${path} HTTP/1.1`, `host: 127.0.0.1:${test.port}`, ...more, "", ""].join("\r\n");

/** A connection that reads nothing by itself. */
async function connected(): Promise<Socket> {
  const socket = connect(test.port, "127.0.0.1").on("error", () => undefined);
  sockets.push(socket);
  await once(socket, "connect");
  return socket.pause();
}

/** Reads a connection to its end. @returns how many bytes came */
function closed(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let size = 0;
    socket.on("data", (data: Buffer) => {
      size += data.length;
    });
    socket.once("close", () => resolve(size));
    if (socket.destroyed) resolve(size);
    socket.resume();
  });
}

describe("callers without a token", () => {
  it("cannot make the server hold pages that nobody reads", async () => {
    const before = process.memoryUsage.rss();
    const pages = head("GET", "/openapi.json") + head("GET", "/docs");
    const flooding = await Promise.all(Array.from({ length: 5 }, connected));
    for (const socket of flooding) socket.write(pages.repeat(10_000));
    // Who sent too much is dropped, and answered no more.
    await Promise.all(flooding.map(closed));
    expect((await test.call("GET", "/livez")).status).toBe(200);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe("callers with a token", () => {
  it("have bodies that are bounded together, and free when their calls end", async () => {
    const authorization = `authorization: Bearer ${test.adminToken}`;
    const half = ["content-type: application/json", "content-length: 700000", authorization];
    const first = await connected();
    first.write(head("POST", "/v1/templates", half) + " ".repeat(690_000));
    const ask = (): Promise<number> =>
      test
        .call("POST", "/v1/spaces", { body: { name: "x", description: "x".repeat(600_000) } })
        .then(({ status }) => status);
    await expect.poll(ask).toBe(429);
    first.destroy();
    await expect.poll(ask).toBe(422);
  });

  it("lose a connection whose answer they do not take", async () => {
    await test.call("POST", "/v1/spaces", { body: { name: "big" } });
    const size = 15 * 1024 * 1024;
    await test.fetch("/v1/spaces/big/files/content?path=f", {
      method: "PUT",
      headers: { "content-type": "application/octet-stream" },
      body: Buffer.alloc(size, "a"),
    });
    const socket = await connected();
    const path = "/v1/spaces/big/files/read?path=f";
    socket.write(head("GET", path, [`authorization: Bearer ${test.adminToken}`]));
    const isOver = async (): Promise<boolean> => {
      const { body } = await test.call("GET", "/metrics");
      return body.includes('spaces_operations_total{operation="files.read"');
    };
    await expect.poll(isOver, { timeout: 10_000 }).toBe(true);
    expect(await closed(socket)).toBeLessThan(size);
  });

  it("are refused bodies that take seconds to be parsed", async () => {
    for (const body of [
      "[".repeat(900_000),
      `{"name":${'{"a":'.repeat(1_000)}1${"}".repeat(1_000)}}`,
    ]) {
      const headers = { "content-type": "application/json" };
      const response = await test.fetch("/v1/roles/r", { method: "PUT", headers, body });
      const { detail } = (await response.json()) as { detail: string };
      expect(detail).toContain("nested");
    }
    // Brackets in texts are none.
    const name = { name: "y", description: '\\"[{'.repeat(100) };
    expect((await test.call("POST", "/v1/spaces", { body: name })).status).toBe(201);
  });

  it("are told of what they send and nobody would read", async () => {
    const authorization = { authorization: `Bearer ${test.adminToken}` };
    const lines = [
      `authorization: ${authorization.authorization}`,
      "content-type: application/json",
      "content-length: 2",
      "connection: close",
    ];
    expect(await test.raw(`${head("GET", "/v1/spaces", lines)}{}`)).toContain("INVALID_INPUT");
    const packed = await test.fetch("/v1/spaces/x/files/content?path=f", {
      method: "PUT",
      headers: { "content-type": "application/octet-stream", "content-encoding": "gzip" },
      body: "x",
    });
    expect(packed.status).toBe(422);
  });
});

describe("paths", () => {
  it("mean what they say: none in disguise is answered, with whatever token", async () => {
    const ann = await test.addUser("ann", ["UseSpaces"]);
    const disguised = [
      "/v1/spaces/%2e%2e/users",
      "/v1/spaces/../users",
      "/v1/./users",
      "/metrics/../v1/users",
      "/v1\\users",
      "/v1/users#x",
      "/v1/users?x#y",
    ];
    const others = [
      "/V1/users",
      "/v1/Users",
      "//v1/users",
      "/v1//users",
      "/v1/%75sers",
      "/v1/%252e%252e/users",
      "/v1/users;x=1",
      "/%6civez",
      "/livez/",
      "/v1",
    ];
    const inside = [
      "/v1/spaces/..%2fusers",
      "/v1/spaces/a%2f..",
      "/v1/spaces/%00",
      "/v1/spaces/%zz",
    ];
    const statusOf = async (path: string, token: string): Promise<string> => {
      const lines = [`authorization: Bearer ${token}`, "connection: close"];
      return (await test.raw(head("GET", path, lines))).slice(9, 12);
    };
    for (const path of [...disguised, ...inside]) {
      expect(await statusOf(path, test.adminToken), path).toBe("422");
    }
    for (const path of others) expect(await statusOf(path, test.adminToken), path).toBe("404");
    for (const path of [...others, ...inside, "/v1/users", "/v1/users/"]) {
      expect(await statusOf(path, "spt_x"), path).toBe("401");
      expect(await statusOf(path, ann), path).toMatch(/^4(03|04|22)$/);
    }
  });

  it("ask for a token with every method, known or not", async () => {
    for (const method of ["HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"]) {
      const answer = await test.raw(head(method, "/v1/users", ["connection: close"]));
      expect(answer.slice(9, 12), method).toBe("401");
      if (method === "HEAD") expect(answer).not.toContain("UNAUTHENTICATED");
    }
    const proxied = ["x-forwarded-for: 1.2.3.4", "connection: close"];
    for (const method of ["GET", "HEAD"]) {
      const answer = await test.raw(head(method, "/metrics", proxied));
      expect(answer.slice(9, 12), method).toBe("401");
    }
  });
});
