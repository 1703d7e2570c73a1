import { createHash } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type Answer, json, problem, TestServer } from "./test-server.js";

const PROCESS = { space: "box", process: "0".repeat(32) };
const open = new Set<TestServer>();

async function serve(answer: Answer): Promise<TestServer> {
  const server = await TestServer.open(answer);
  open.add(server);
  return server;
}

afterEach(async () => {
  for (const server of open) await server[Symbol.asyncDispose]();
  open.clear();
});

describe("a call", () => {
  it("is the route's request, with the token and one kept connection", async () => {
    let connections = 0;
    const bodies: string[] = [];
    const server = await serve(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      bodies.push(text);
      json(response, { exitCode: 0 });
    });
    server.http.on("connection", () => {
      connections += 1;
    });
    const { client } = await server.connect({ token: "spt_abc", headers: { "x-own": "1" } });
    await client.processes.run({ space: "box", command: "echo ü" });
    await client.spaces.list({ metadata: { team: "a&b" }, limit: 2 });
    const [post, get] = server.requests;
    expect(post).toMatchObject({ method: "POST", url: "/v1/spaces/box/processes/run" });
    expect(post?.headers).toMatchObject({ authorization: "Bearer spt_abc", "x-own": "1" });
    expect(JSON.parse(bodies[0] ?? "")).toEqual({ command: "echo ü" });
    expect(get?.url).toBe("/v1/spaces?metadata%5Bteam%5D=a%26b&limit=2");
    expect(connections).toBe(1);
  });

  it("throws what a problem tells, with suggestion, details and request id", async () => {
    const server = await serve((_request, response) =>
      problem(response, 409, "PORT_IN_USE", {
        detail: "Port 80 is in use.",
        suggestion: "Take 81.",
        details: { port: 80 },
        requestId: "req_1",
      }),
    );
    const { client } = await server.connect();
    await expect(client.ports.open({ space: "box", port: 80 })).rejects.toMatchObject({
      name: "SpacesError",
      code: "PORT_IN_USE",
      status: 409,
      message: "Port 80 is in use.",
      suggestion: "Take 81.",
      details: { port: 80, requestId: "req_1" },
    });
  });

  it("maps the code of a newer server by its status, and keeps its text", async () => {
    const server = await serve((request, response) =>
      problem(response, request.method === "GET" ? 404 : 500, "MOON_NOT_FOUND", {
        detail: "No moon.",
      }),
    );
    const { client } = await server.connect();
    await expect(client.spaces.get({ space: "box" })).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: "No moon.",
      details: { serverCode: "MOON_NOT_FOUND" },
    });
    await expect(client.spaces.start({ space: "box" })).rejects.toMatchObject({
      code: "INTERNAL",
      message: "No moon.",
    });
  });

  it("is cancelled by its signal, and the server sees the connection end", async () => {
    let ended: Promise<unknown> | undefined;
    const server = await serve((_request, response) => {
      ended = once(response, "close");
    });
    const { client } = await server.connect();
    const abort = new AbortController();
    const call = client.spaces.list({}, { signal: abort.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: "CANCELLED" });
    await ended;
    await expect(client.spaces.list({}, { signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
    expect(server.requests).toHaveLength(1);
  });

  it("gives up when no answer begins, but leaves a command the time that it was given", async () => {
    const waiting: ServerResponse[] = [];
    const server = await serve((_request, response) => waiting.push(response));
    const { client } = await server.connect({ timeoutMs: 100, attempts: 1 });
    const ran = client.processes.run({ space: "box", command: "x", timeoutMs: 1_000 });
    await expect(client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("gave no answer"),
    });
    const [first] = waiting;
    if (first !== undefined) json(first, { exitCode: 0 });
    expect(await ran).toEqual({ exitCode: 0 });
  });
});

describe("retries", () => {
  /** Fails so many times, then answers. */
  const failing = (times: number, fail: (response: ServerResponse) => void): Answer => {
    let left = times;
    return (_request, response) => {
      left -= 1;
      if (left >= 0) fail(response);
      else json(response, { items: [] });
    };
  };
  const FAILURES: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ["502 of a proxy", (response) => response.writeHead(502).end("<title>Bad</title>")],
    ["503", (response) => problem(response, 503, "SHUTTING_DOWN")],
    ["429", (response) => problem(response, 429, "LIMIT_EXCEEDED", {}, { "retry-after": "0" })],
    ["a broken connection", (response) => response.destroy()],
    [
      "an answer that breaks off",
      (response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write('{"items":');
        setImmediate(() => response.destroy());
      },
    ],
  ];

  it.each(FAILURES)("repeat an idempotent call after %s", async (_name, fail) => {
    const server = await serve(failing(3, fail));
    const { client } = await server.connect();
    expect(await client.spaces.list({})).toEqual({ items: [] });
    expect(server.requests).toHaveLength(4);
  });

  it.each(FAILURES)("do not repeat another call after %s", async (_name, fail) => {
    const server = await serve(failing(1, fail));
    const { client } = await server.connect();
    await expect(client.spaces.create({ name: "box" })).rejects.toMatchObject({
      name: "SpacesError",
    });
    expect(server.requests).toHaveLength(1);
  });

  it("end after four attempts", async () => {
    const server = await serve(failing(9, (response) => problem(response, 503, "SHUTTING_DOWN")));
    const { client } = await server.connect();
    await expect(client.spaces.list({})).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
    expect(server.requests).toHaveLength(4);
  });

  it("do not wait for as long as an hour that a server asks for", async () => {
    const server = await serve((_request, response) =>
      problem(response, 429, "LIMIT_EXCEEDED", {}, { "retry-after": "3600" }),
    );
    const { client } = await server.connect();
    await expect(client.spaces.list({})).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(server.requests).toHaveLength(1);
  });

  it("repeat any call that has not left: the server came up in between", async () => {
    const server = await serve((_request, response) => json(response, { id: "spc" }, 201));
    const { port } = server;
    await server.close();
    const notes: string[] = [];
    let again: Promise<TestServer> | undefined;
    const { client } = await server.connect({
      url: `http://127.0.0.1:${port}`,
      attempts: 20,
      onProgress: (text) => {
        notes.push(text);
        again ??= TestServer.open((_request, response) => json(response, { id: "spc" }, 201), {
          port,
        });
      },
    });
    expect(await client.spaces.create({ name: "box" })).toEqual({ id: "spc" });
    expect(notes[0]).toMatch(/127\.0\.0\.1.*ECONNREFUSED.*Trying again/);
    await (await again)?.[Symbol.asyncDispose]();
  });

  it("end at once when the signal fires during a pause", async () => {
    const server = await serve((_request, response) =>
      problem(response, 503, "SHUTTING_DOWN", {}, { "retry-after": "20" }),
    );
    const abort = new AbortController();
    const { client } = await server.connect({ onProgress: () => abort.abort() });
    await expect(client.spaces.list({}, { signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });
});

describe("bytes", () => {
  const upload = (body: ReadableStream<Uint8Array>) => ({
    params: { space: "box" },
    query: { path: "a" },
    body,
  });

  it("come as a stream that waits for its reader", async () => {
    const total = 64 * 1024 * 1024;
    const piece = Buffer.alloc(1024 * 1024, 7);
    let sent = 0;
    const server = await serve(async (_request, response) => {
      response.writeHead(200, {
        "content-type": "text/html",
        "content-length": String(total),
        "content-digest": "sha-256=:x:",
      });
      for (; sent < total; sent += piece.length) {
        if (!response.write(piece)) await once(response, "drain");
      }
      response.end();
    });
    const { client } = await server.connect();
    const { headers, body } = await client.files.download({ space: "box", path: "a" });
    expect(headers["content-length"]).toBe(String(total));
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    let before = -1;
    // It stands still when what lies between is full.
    await expect
      .poll(
        () => {
          const still = before === sent;
          before = sent;
          return still;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(total / 2);
    let size = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.length;
    }
    expect(size).toBeGreaterThan(total - 2 * piece.length);
  });

  it("that break off are an error, not an end", async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, {
        "content-type": "application/octet-stream",
        "content-length": "1000",
        "content-digest": "sha-256=:x:",
      });
      response.write("abc");
      setTimeout(() => response.destroy(), 20);
    });
    const { client } = await server.connect();
    const { body } = await client.files.download({ space: "box", path: "a" });
    const read = async () => {
      for await (const _chunk of body as ReadableStream<Uint8Array>);
    };
    await expect(read()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });

  it("go as they are, and are taken no faster than the server takes them", async () => {
    const hash = createHash("sha256");
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const server = await serve(async (request, response) => {
      await gate;
      let size = 0;
      for await (const chunk of request) {
        hash.update(chunk);
        size += chunk.length;
      }
      json(response, { size, type: request.headers["content-type"], url: request.url });
    });
    const { client } = await server.connect();
    let made = 0;
    const expected = createHash("sha256");
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (made === 128) return controller.close();
        const piece = Buffer.alloc(512 * 1024, made++);
        expected.update(piece);
        controller.enqueue(piece);
      },
    });
    const call = client.files.upload(upload(body));
    let before = -1;
    await expect
      .poll(
        () => {
          const still = made > 0 && before === made;
          before = made;
          return still;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(made).toBeLessThan(64);
    go();
    expect(await call).toEqual({
      size: 64 * 1024 * 1024,
      type: "application/octet-stream",
      url: "/v1/spaces/box/files/content?path=a",
    });
    expect(hash.digest("hex")).toBe(expected.digest("hex"));
  });

  it("whose own source fails, fail with its error", async () => {
    const server = await serve((request) => request.resume());
    const { client } = await server.connect();
    const body = new ReadableStream<Uint8Array>({
      pull() {
        throw new Error("the disk is gone");
      },
    });
    await expect(client.files.upload(upload(body))).rejects.toMatchObject({
      cause: { message: "the disk is gone" },
    });
  });

  it("that are refused early tell why", async () => {
    const server = await serve((_request, response) => {
      problem(response, 413, "BODY_TOO_LARGE", { detail: "Too much." }, { connection: "close" });
    });
    const { client } = await server.connect();
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Buffer.alloc(1024 * 1024)),
    });
    await expect(client.files.upload(upload(body))).rejects.toMatchObject({
      code: expect.stringMatching(/BODY_TOO_LARGE|SERVER_UNREACHABLE/),
    });
  });
});

describe("a followed process", () => {
  const output = Buffer.from(Array.from({ length: 5_000 }, (_, i) => `line ${i}\n`).join(""));

  /** Sends the output from the asked offset on, in small pieces, and breaks off after some bytes. */
  const flaky =
    (breakAfter: number): Answer =>
    async (request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      let at = Number(url.searchParams.get("stdoutOffset"));
      // It starts a little before what was asked for, as a careless server would.
      at = Math.max(0, at - 3);
      response.writeHead(200, { "content-type": "text/event-stream" });
      const end = at + breakAfter;
      for (; at < Math.min(end, output.length); at += 97) {
        const data = output.subarray(at, Math.min(at + 97, output.length)).toString("base64");
        const event = { type: "stdout", data, offset: at };
        response.write(`id: ${at}:0\nevent: message\ndata: ${JSON.stringify(event)}\n\n`);
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (at < output.length) return void response.destroy();
      response.write('event: message\ndata: {"type":"exit","exitCode":3}\n\n');
      response.end("event: done\n\n");
    };

  it("goes on where connections break, with no byte lost or doubled", async () => {
    const server = await serve(flaky(9_000));
    const { client } = await server.connect();
    const got: Buffer[] = [];
    let exitCode: number | undefined;
    for await (const event of await client.processes.follow(PROCESS)) {
      if (event.type === "stdout") got.push(Buffer.from(event.data, "base64"));
      if (event.type === "exit") exitCode = event.exitCode;
    }
    expect(Buffer.concat(got).equals(output)).toBe(true);
    expect(exitCode).toBe(3);
    expect(server.requests.length).toBeGreaterThan(3);
  });

  it("counts what was lost as seen", async () => {
    const asked: string[] = [];
    const server = await serve((request, response) => {
      asked.push(new URL(request.url ?? "", "http://x").searchParams.get("stderrOffset") ?? "");
      response.writeHead(200, { "content-type": "text/event-stream" });
      if (asked.length === 1) {
        response.write('data: {"type":"lost","stream":"stderr","bytes":50}\n\n');
        response.write('data: {"type":"stderr","data":"YWJj","offset":50}\n\n');
        setImmediate(() => response.destroy());
      } else response.end('data: {"type":"exit","exitCode":0}\n\n');
    });
    const { client } = await server.connect();
    for await (const _event of await client.processes.follow(PROCESS));
    expect(asked).toEqual(["0", "53"]);
  });

  it("goes on when a server that shuts down ends the stream", async () => {
    let times = 0;
    const server = await serve((_request, response) => {
      times += 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      const error = { defined: false, code: "SHUTTING_DOWN", status: 503, message: "bye" };
      response.end(
        times === 1
          ? `event: error\ndata: ${JSON.stringify(error)}\n\n`
          : 'data: {"type":"exit","exitCode":0}\n\n',
      );
    });
    const { client } = await server.connect();
    const events = [];
    for await (const event of await client.processes.follow(PROCESS)) events.push(event);
    expect(events).toEqual([{ type: "exit", exitCode: 0 }]);
  });

  it("throws the error that the stream ends with", async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const data = { suggestion: "Look again.", details: { id: "x" }, requestId: "req_9" };
      const error = { code: "PROCESS_NOT_FOUND", status: 404, message: "No such.", data };
      response.end(`event: error\ndata: ${JSON.stringify(error)}\n\n`);
    });
    const { client } = await server.connect();
    const followed = await client.processes.follow(PROCESS);
    await expect(followed[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "PROCESS_NOT_FOUND",
      message: "No such.",
      suggestion: "Look again.",
      details: { id: "x", requestId: "req_9" },
    });
  });

  it("gives up when the server stays away", async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"type":"stdout","data":"YQ==","offset":0}\n\n');
    });
    const { client } = await server.connect({ resumeMs: 300, attempts: 1 });
    const followed = await client.processes.follow(PROCESS);
    const iterator = followed[Symbol.asyncIterator]();
    await iterator.next();
    await server.close();
    await expect(iterator.next()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });
});

describe("a followed run", () => {
  const line = (seq: number): string =>
    `id: ${seq}\nevent: message\ndata: ${JSON.stringify({ type: "stdout", seq, at: "2026-01-01T00:00:00.000Z", text: `${seq}\n` })}\n\n`;

  it("goes on behind the last entry where connections break", async () => {
    const asked: number[] = [];
    const server = await serve((request, response) => {
      const after = Number(new URL(request.url ?? "", "http://x").searchParams.get("after"));
      asked.push(after);
      response.writeHead(200, { "content-type": "text/event-stream" });
      // It starts a little before what was asked for, as a careless server would.
      for (let seq = Math.max(1, after - 1); seq <= Math.min(after + 4, 10); seq++) {
        response.write(line(seq));
      }
      if (after + 4 < 10) setImmediate(() => response.destroy());
      else response.end('data: {"type":"end","seq":11,"run":{"status":"succeeded"}}\n\n');
    });
    const { client } = await server.connect();
    const seen: number[] = [];
    const run = "run_00000000000000000000";
    for await (const event of await client.runs.follow({ run })) seen.push(event.seq);
    expect(seen).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
    expect(asked).toEqual([0, 4, 8]);
  });

  it("refuses what is no entry of a run", async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end('data: {"type":"stdout","seq":1,"text":7}\n\n');
    });
    const { client } = await server.connect();
    const followed = await client.runs.follow({ run: "run_00000000000000000000" });
    await expect(followed[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
    });
  });
});
