import { createHash } from "node:crypto";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { Attachment } from "../attachment.js";
import { problem, TestServer } from "./test-server.js";

const TARGET = { space: "box", process: "0".repeat(32) };
const open = new Set<TestServer>();

type OnSocket = (socket: WebSocket, url: URL, attempt: number) => void;

/** A server whose attach route does what the test says. */
async function serve(onSocket: OnSocket): Promise<TestServer> {
  const server = await TestServer.open((_request, response) => response.writeHead(404).end());
  open.add(server);
  const sockets = new WebSocketServer({ noServer: true });
  let attempts = 0;
  server.http.on("upgrade", (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (opened) => {
      attempts += 1;
      opened.on("error", () => undefined);
      onSocket(opened, new URL(request.url ?? "", "http://x"), attempts);
    });
  });
  return server;
}

afterEach(async () => {
  for (const server of open) await server[Symbol.asyncDispose]();
  open.clear();
});

const tell = (socket: WebSocket, message: unknown) => socket.send(JSON.stringify(message));

async function read(attachment: Attachment) {
  const texts = { stdout: "", stderr: "" };
  const others: unknown[] = [];
  for await (const event of attachment.events) {
    if (event.type === "stdout" || event.type === "stderr") {
      texts[event.type] += Buffer.from(event.data).toString();
    } else others.push(event);
  }
  return { ...texts, others };
}

describe("an attachment to a server", () => {
  it("brings output, input, the terminal's size, signals and the exit", async () => {
    const said: unknown[] = [];
    const server = await serve((socket, url) => {
      expect(url.pathname).toBe(`/v1/spaces/box/processes/${TARGET.process}/attach`);
      expect(url.searchParams.get("stdoutOffset")).toBe("7");
      // Four bytes are no longer kept: the position is behind them.
      tell(socket, { type: "position", stdout: 11 });
      tell(socket, { type: "lost", stream: "stdout", bytes: 4 });
      socket.on("message", (data: Buffer, isBinary) => {
        said.push(isBinary ? data.toString() : JSON.parse(data.toString()));
        if (said.length < 4) return;
        socket.send(Buffer.from("out"));
        tell(socket, { type: "stderr", data: Buffer.from("err").toString("base64"), offset: 0 });
        tell(socket, { type: "lost", stream: "stderr", bytes: 5 });
        tell(socket, { type: "something-new", x: 1 });
        tell(socket, { type: "exit", exitCode: 143, signal: "SIGTERM" });
        socket.close(1000);
      });
    });
    const binding = await server.connect({ token: "spt_abc" });
    await using attachment = await binding.attach(TARGET, { stdoutOffset: 7 });
    await attachment.write(Buffer.from("typed"));
    await attachment.resize({ columns: 80, rows: 24 });
    await attachment.signal("SIGINT");
    await attachment.closeInput();
    expect(await read(attachment)).toEqual({
      stdout: "out",
      stderr: "err",
      others: [
        { type: "lost", stream: "stdout", bytes: 4 },
        { type: "lost", stream: "stderr", bytes: 5 },
        { type: "exit", exitCode: 143, signal: "SIGTERM" },
      ],
    });
    expect(said).toEqual([
      "typed",
      { type: "resize", columns: 80, rows: 24 },
      { type: "signal", signal: "SIGINT" },
      { type: "close-input" },
    ]);
    // What has ended takes nothing more, and that is no error.
    await attachment.write(Buffer.from("late"));
  });

  it("goes on behind what has come when the connection breaks", async () => {
    const server = await serve((socket, url, attempt) => {
      const at = Number(url.searchParams.get("stdoutOffset"));
      tell(socket, { type: "position", stdout: at });
      if (attempt <= 3) {
        socket.send(Buffer.from(`piece ${attempt} `), () =>
          setTimeout(() => socket.terminate(), 20),
        );
      } else {
        socket.send(Buffer.from(`from ${at}, ${url.searchParams.get("stderrOffset")}`));
        tell(socket, { type: "exit", exitCode: 0 });
      }
      if (attempt === 1) tell(socket, { type: "lost", stream: "stderr", bytes: 2 });
      if (attempt === 2) tell(socket, { type: "stderr", data: "YWJj", offset: 2 });
    });
    const binding = await server.connect();
    await using attachment = await binding.attach(TARGET);
    expect(await read(attachment)).toEqual({
      stdout: "piece 1 piece 2 piece 3 from 24, 5",
      stderr: "abc",
      others: [
        { type: "lost", stream: "stderr", bytes: 2 },
        { type: "exit", exitCode: 0 },
      ],
    });
  });

  it("holds input back until there is a connection again", async () => {
    let typed = "";
    const server = await serve((socket, _url, attempt) => {
      tell(socket, { type: "position", stdout: 0 });
      if (attempt === 1) return socket.terminate();
      socket.on("message", (data: Buffer) => {
        typed += data.toString();
        tell(socket, { type: "exit", exitCode: 0 });
      });
    });
    const notes: string[] = [];
    const binding = await server.connect({ onProgress: (text) => notes.push(text) });
    await using attachment = await binding.attach(TARGET);
    await expect.poll(() => notes.length).toBeGreaterThan(0);
    await attachment.write(Buffer.from("kept"));
    await read(attachment);
    expect(typed).toBe("kept");
  });

  it("slows a server down whose output nobody reads", async () => {
    let sent = 0;
    const server = await serve(async (socket) => {
      tell(socket, { type: "position", stdout: 0 });
      const piece = Buffer.alloc(256 * 1024, "x");
      for (; sent < 200; sent += 1) await new Promise((resolve) => socket.send(piece, resolve));
      tell(socket, { type: "exit", exitCode: 0 });
    });
    const binding = await server.connect();
    await using attachment = await binding.attach(TARGET);
    let before = -1;
    await expect
      .poll(
        () => {
          const still = sent > 0 && before === sent;
          before = sent;
          return still;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(150);
    expect((await read(attachment)).stdout.length).toBe(200 * 256 * 1024);
  });

  it("gives up when the server stays away, and tells those who write", async () => {
    const server = await serve((socket) => tell(socket, { type: "position", stdout: 0 }));
    const binding = await server.connect({ resumeMs: 200 });
    await using attachment = await binding.attach(TARGET);
    await server.close();
    await expect(read(attachment)).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    await expect(attachment.write(Buffer.from("x"))).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
    });
  });

  it("throws the server's error, from a frame or in place of a connection", async () => {
    const error = { type: "error", code: "SPACE_NOT_RUNNING", message: "It stopped." };
    const server = await serve((socket) => {
      tell(socket, { type: "position", stdout: 0 });
      tell(socket, { ...error, suggestion: "Start it.", details: { a: 1 } });
      socket.close(4409);
    });
    const binding = await server.connect();
    await using attachment = await binding.attach(TARGET);
    await expect(read(attachment)).rejects.toMatchObject({
      code: "SPACE_NOT_RUNNING",
      message: "It stopped.",
      suggestion: "Start it.",
      details: { a: 1 },
    });
    const early = await serve((socket) => {
      tell(socket, error);
      socket.close(4409);
    });
    await expect((await early.connect()).attach(TARGET)).rejects.toMatchObject({
      code: "SPACE_NOT_RUNNING",
    });
    const refusing = await TestServer.open((_request, response) =>
      problem(response, 404, "PROCESS_NOT_FOUND", { detail: "No such process." }),
    );
    open.add(refusing);
    await expect((await refusing.connect()).attach(TARGET)).rejects.toMatchObject({
      code: "PROCESS_NOT_FOUND",
      message: "No such process.",
    });
  });

  it("ends with its signal, and lets go in good order", async () => {
    const closes: number[] = [];
    const server = await serve((socket) => {
      tell(socket, { type: "position", stdout: 0 });
      socket.on("close", (code) => closes.push(code));
    });
    const binding = await server.connect();
    const abort = new AbortController();
    const attachment = await binding.attach(TARGET, { signal: abort.signal });
    const reading = read(attachment);
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: "CANCELLED" });
    await attachment[Symbol.asyncDispose]();
    const other = await binding.attach(TARGET);
    const ended = read(other);
    await other[Symbol.asyncDispose]();
    await ended;
    await expect.poll(() => closes).toContain(1000);
    await expect(binding.attach(TARGET, { signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });

  it.each<[string, (socket: WebSocket) => void]>([
    ["output before its position", (socket) => socket.send(Buffer.from("x"))],
    ["text that is no JSON", (socket) => socket.send("{nope")],
    ["JSON that is no object", (socket) => socket.send("[1]")],
    ["a position that is none", (socket) => tell(socket, { type: "position", stdout: -1 })],
    ["an exit without a code", (socket) => tell(socket, { type: "exit" })],
    ["a frame that is too large", (socket) => socket.send(Buffer.alloc(5 * 1024 * 1024))],
    ["an unexplained close", (socket) => socket.close(4321, "because")],
  ])("is a clear error after %s", async (_name, misbehave) => {
    const server = await serve((socket, _url, attempt) => {
      expect(attempt).toBe(1);
      misbehave(socket);
    });
    await expect((await server.connect()).attach(TARGET)).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("does not answer as a server of spaces"),
    });
  });

  it("is a clear error after bytes that are no frames", async () => {
    const server = await TestServer.open((_request, response) => response.end());
    open.add(server);
    server.http.on("upgrade", (request, socket) => {
      const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      socket.on("error", () => undefined);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: spaces.attach.v1\r\nSec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}\r\n\r\n`,
      );
      socket.write(Buffer.alloc(4096, 0xff));
    });
    await expect((await server.connect()).attach(TARGET)).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
    });
    const plain = await TestServer.open((_request, response) => response.end("hello"));
    open.add(plain);
    await expect((await plain.connect()).attach(TARGET)).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("opens no WebSocket"),
    });
  });

  it("leaves no connection behind when the binding is closed", async () => {
    let closed: Promise<unknown> | undefined;
    const server = await serve((socket) => {
      closed = once(socket, "close");
      tell(socket, { type: "position", stdout: 0 });
    });
    const binding = await server.connect();
    await binding.attach(TARGET);
    await binding[Symbol.asyncDispose]();
    await closed;
  });
});
