import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeOf, openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
beforeAll(async () => {
  test = await openTestServer({ limits: { headersMs: 2_000, bodyStallMs: 500, connections: 500 } });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
});

const statusOf = (answer: string): string => answer.slice(9, 12);
const headOf = (more: readonly string[] = [], path = "/v1/spaces", method = "POST"): string =>
  [
    `${method} ${path} HTTP/1.1`,
    `host: 127.0.0.1:${test.port}`,
    `authorization: Bearer ${test.adminToken}`,
    ...more,
    "",
    "",
  ].join("\r\n");

describe("bodies", () => {
  it("refuses what is no JSON, or not called so", async () => {
    const json = { "content-type": "application/json" };
    const bad: [string | Buffer, Record<string, string>][] = [
      ["{", json],
      ['{"name":"a"}{"name":"b"}', json],
      [Buffer.from([0x22, 0xff, 0x22]), json],
      ['{"name":"a"}', { "content-type": "text/plain" }],
      ["name=a", { "content-type": "application/x-www-form-urlencoded" }],
      ['{"name":"a"}', { ...json, "content-encoding": "gzip" }],
      ['{"name":"a","__proto__":{"template":"x"}}', json],
      ['{"name":"a","metadata":{"__proto__":"x"}}', json],
      ['{"name":"a","constructor":{}}', json],
      ["[]", json],
      ["null", json],
      ["7", json],
    ];
    for (const [body, headers] of bad) {
      const response = await test.fetch("/v1/spaces", { method: "POST", body, headers });
      expect([response.status, await codeOf(response)], String(body)).toEqual([
        422,
        "INVALID_INPUT",
      ]);
    }
    expect((await test.call("GET", "/v1/spaces")).body.items).toEqual([]);
  });

  it("refuses queries that say a value twice, in disguise, or where nobody reads them", async () => {
    const bad = [
      "/v1/spaces?limit=1&limit=2",
      "/v1/spaces?a[__proto__][x]=1",
      "/v1/spaces?metadata[constructor]=1",
      "/v1/spaces?unknown=1",
      "/v1/spaces/a?space=b",
      `/v1/spaces?cursor=${"x".repeat(9_000)}`,
    ];
    for (const path of bad) {
      expect((await test.call("GET", path)).body.code, path).toBe("INVALID_INPUT");
    }
    const unread = await test.call("DELETE", "/v1/spaces/a?force=true");
    expect(unread.body).toMatchObject({ code: "INVALID_INPUT" });
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it("refuses a body of 100 MB early, whether it says its length or not, in bounded memory", async () => {
    const before = process.memoryUsage.rss();
    const said = await test.raw(
      headOf(["content-type: application/json", "content-length: 104857600"]),
    );
    expect(statusOf(said)).toBe("413");
    expect(said).toContain("BODY_TOO_LARGE");
    expect(said.toLowerCase()).toContain("connection: close");
    const chunk = Buffer.alloc(1024 * 1024, " ");
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 1;
        if (sent > 100) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const unsaid = await test
      .fetch("/v1/spaces", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        duplex: "half",
      } as RequestInit)
      .then((response) => response.status)
      // The client may find the connection closed before it has read the answer.
      .catch(() => 413);
    expect(unsaid).toBe(413);
    expect(sent).toBeLessThan(100);
    expect(process.memoryUsage.rss() - before).toBeLessThan(160 * 1024 * 1024);
  });

  it("does not read a body before it knows who sends it", async () => {
    const answer = await test.raw(
      `POST /v1/spaces HTTP/1.1\r\nhost: 127.0.0.1:${test.port}\r\ncontent-length: 104857600\r\n\r\n`,
    );
    expect(statusOf(answer)).toBe("401");
    const waits = await test.raw(
      `POST /v1/spaces HTTP/1.1\r\nhost: 127.0.0.1:${test.port}\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n`,
    );
    expect(statusOf(waits)).toBe("401");
  });

  it("gives up a body that stands still, and lets one come slowly", async () => {
    const head = headOf([
      "content-type: application/json",
      "content-length: 12",
      "connection: close",
    ]);
    expect(await test.raw(`${head}{"nam`)).not.toContain("201");
    const socket = connect(test.port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1").on("data", (piece: string) => {
      answer += piece;
    });
    const closed = once(socket, "close");
    const body = '{"name":"x"}';
    socket.write(head);
    let at = 0;
    const timer = setInterval(() => {
      socket.write(body.charAt(at++));
      if (at >= body.length) clearInterval(timer);
    }, 150);
    await closed;
    expect(statusOf(answer)).toBe("201");
    await test.call("DELETE", "/v1/spaces/x");
  });
});

describe("connections", () => {
  it("refuses floods of headers", async () => {
    const large = await test.raw(headOf([`x-large: ${"a".repeat(20_000)}`]));
    expect(statusOf(large)).toBe("431");
    const many = Array.from({ length: 150 }, (_, i) => `x-${i}: 1`);
    expect(statusOf(await test.raw(headOf([...many, "connection: close"])))).toBe("422");
  });

  it("refuses the forms in which requests are smuggled", async () => {
    const bodies = [
      headOf(["content-length: 5", "content-length: 6"]),
      headOf(["content-length: 5, 5"]),
      headOf(["content-length: +5"]),
      headOf(["content-length: 5", "transfer-encoding: chunked"]),
      headOf(["transfer-encoding: identity, chunked, x"]),
      headOf(["transfer-encoding : chunked"]),
      headOf(["transfer-encoding: xchunked"]),
      `${headOf(["content-type: application/json", "transfer-encoding: chunked"])}zz\r\n`,
      headOf().replaceAll("\r\n", "\n"),
      headOf(["x: a\rb"]),
      headOf([" folded: x"]),
      headOf(["authorization: Bearer other"]),
      headOf(["host: evil.example"]),
      headOf([], "http://evil.example/v1/spaces"),
      headOf([], "*", "OPTIONS"),
      headOf().replace(/host: .*\r\n/, ""),
      "GET / HTTP/9.9\r\n\r\n",
      "\u0016\u0003\u0001\u0002",
    ];
    for (const text of bodies) {
      const answer = await test.raw(text);
      expect(answer, text).toMatch(/^HTTP\/1\.1 4\d\d/);
      expect(answer.match(/HTTP\/1\.1 /g), text).toHaveLength(1);
    }
  });

  it("answers callers while thousands of connections idle", async () => {
    const sockets: Socket[] = [];
    let dropped = 0;
    for (let batch = 0; batch < 15; batch++) {
      const opened = Array.from({ length: 200 }, async () => {
        const socket = connect(test.port, "127.0.0.1").resume();
        socket.on("error", () => undefined);
        socket.on("close", () => {
          dropped += 1;
        });
        sockets.push(socket);
        await once(socket, "connect");
      });
      await Promise.all(opened);
      expect((await test.call("GET", "/v1/system/whoami")).status).toBe(200);
    }
    await expect.poll(() => dropped).toBeGreaterThanOrEqual(2_400);
    expect((await test.call("GET", "/v1/system/whoami")).status).toBe(200);
    // Those that say nothing at all are dropped in the end, however few they are.
    await expect.poll(() => dropped, { timeout: 30_000 }).toBe(3_000);
    for (const socket of sockets) socket.destroy();
  });
});

describe("other sites and names", () => {
  it("refuses pages of other sites, and names that are not its own", async () => {
    const cases: [string[], string][] = [
      [["origin: https://evil.example"], "403"],
      [["origin: null"], "403"],
      [["sec-fetch-site: cross-site", "sec-fetch-mode: no-cors"], "403"],
      [[`origin: http://127.0.0.1:${test.port}`], "200"],
    ];
    for (const [headers, status] of cases) {
      const answer = await test.raw(
        headOf([...headers, "connection: close"], "/v1/system/whoami", "GET"),
      );
      expect(statusOf(answer), headers.join()).toBe(status);
      expect(answer.toLowerCase()).not.toContain("access-control-allow-origin");
    }
    const names: [string, string][] = [
      ["evil.example", "403"],
      [`evil.example:${test.port}`, "403"],
      ["127.0.0.1:1", "403"],
      [`127.0.0.1.evil.example:${test.port}`, "403"],
      [`localhost:${test.port}`, "200"],
      [`[::1]:${test.port}`, "200"],
      ["a b", "403"],
    ];
    for (const [name, status] of names) {
      const text = headOf(["connection: close"], "/v1/system/whoami", "GET");
      const answer = await test.raw(text.replace(/host: .*\r\n/, `host: ${name}\r\n`));
      expect(statusOf(answer), name).toBe(status);
    }
  });

  it("answers the names and sites that were allowed", async () => {
    await using open = await test.another({
      allowHosts: ["spaces.example"],
      allowOrigins: ["https://app.example"],
    });
    const headers = { origin: "https://app.example" };
    const answer = await open.call("GET", "/v1/system/whoami", { headers });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example");
    const asked = await fetch(`${open.url}/v1/spaces`, { method: "OPTIONS", headers });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-headers")).toContain("authorization");
    const named = await open.raw(
      `GET /livez HTTP/1.1\r\nhost: spaces.example\r\nconnection: close\r\n\r\n`,
    );
    expect(statusOf(named)).toBe("200");
  });
});

describe("limits", () => {
  it("counts failed authentications by address, and lets who has a token in meanwhile", async () => {
    await using strict = await test.another({ limits: { failedAuthPerMinute: 5 } });
    const codes: string[] = [];
    for (let i = 0; i < 8; i++) {
      const answer = await strict.call("GET", "/v1/spaces", { token: `spt_${i}` });
      codes.push(answer.body.code);
      if (answer.status === 429)
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect(codes.slice(0, 5)).toEqual(Array(5).fill("UNAUTHENTICATED"));
    expect(codes.slice(5)).toEqual(Array(3).fill("LIMIT_EXCEEDED"));
    expect((await strict.call("GET", "/v1/spaces")).status).toBe(200);
  });

  it("bounds the rate of a caller and its calls under way", async () => {
    await using strict = await test.another({ limits: { requestsPer10s: 20, callsPerActor: 2 } });
    await strict.call("POST", "/v1/spaces", { body: { name: "w" } });
    const waits = [1, 2, 3].map(() =>
      strict.call("POST", "/v1/spaces/w/wait", { body: { status: "running", timeoutMs: 1_500 } }),
    );
    const statuses = (await Promise.all(waits)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(1);
    let last = 200;
    for (let i = 0; i < 30; i++) last = (await strict.call("GET", "/v1/spaces")).status;
    expect(last).toBe(429);
  });
});
