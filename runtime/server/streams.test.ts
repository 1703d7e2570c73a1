import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { bubblewrapAvailability } from "../../test/support/bubblewrap.js";
import { codeOf, openTestServer, type TestServer } from "./test-server.js";

const bubblewrap = await bubblewrapAvailability();

interface StreamEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads events of every shape
  readonly data: any;
}

/** The events of an answer, until it ends or enough have come. */
async function eventsOf(
  response: Response,
  most = Number.POSITIVE_INFINITY,
): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const of = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = of("data");
      if (data !== undefined) {
        events.push({ id: of("id"), event: of("event"), data: JSON.parse(data) });
      }
      if (events.length >= most) return events;
    }
  }
  return events;
}

const textOf = (events: readonly StreamEvent[]): string =>
  events
    .filter(({ data }) => data.type === "stdout")
    .map(({ data }) => Buffer.from(data.data, "base64").toString())
    .join("");

describe.skipIf(!bubblewrap.usable)("streams", () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await openTestServer({ driver: "bubblewrap" });
    await test.call("POST", "/v1/spaces", { body: { name: "s" } });
    await test.call("POST", "/v1/spaces/s/start");
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
  });

  const start = async (command: string, more: object = {}): Promise<string> => {
    const answer = await test.call("POST", "/v1/spaces/s/processes", {
      body: { command, ...more },
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.id;
  };
  const open = (process: string, { query = "", token = test.adminToken } = {}): WebSocket =>
    new WebSocket(
      `${test.url.replace("http", "ws")}/v1/spaces/s/processes/${process}/attach${query}`,
      "spaces.attach.v1",
      { headers: { authorization: `Bearer ${token}` } },
    );
  /** All that comes on a socket, until it closes. */
  const collect = (socket: WebSocket) => {
    // biome-ignore lint/suspicious/noExplicitAny: a test reads messages of every shape
    const seen = { output: "", messages: [] as any[], closed: 0 };
    socket.on("message", (data, isBinary) => {
      if (isBinary) seen.output += data.toString();
      else seen.messages.push(JSON.parse(data.toString()));
    });
    const closed = once(socket, "close").then(([code]) => {
      seen.closed = code;
      return seen;
    });
    return { seen, closed };
  };
  /** The status and the problem that an upgrade was refused with. */
  const refusal = (socket: WebSocket): Promise<{ status: number; code: string }> =>
    new Promise((resolve, reject) => {
      socket.on("error", () => undefined);
      socket.on("open", () => reject(new Error("it was opened")));
      socket.on("unexpected-response", (_request, response) => {
        let text = "";
        response.on("data", (piece) => {
          text += piece;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).code }),
        );
      });
    });

  it("follows output as events that can be resumed behind any of them", async () => {
    const id = await start("for i in 1 2 3; do echo line $i; sleep 0.1; done; echo end >&2");
    const path = `/v1/spaces/s/processes/${id}/output`;
    const all = await eventsOf(await test.fetch(path));
    expect(textOf(all)).toBe("line 1\nline 2\nline 3\n");
    expect(all.at(-1)?.data.type).toBe("exit");
    for (const [i, event] of all.entries()) {
      const headers = { "last-event-id": event.id ?? "" };
      const rest = await eventsOf(await test.fetch(path, { headers }));
      const seen = textOf(all.slice(0, i + 1));
      expect(seen + textOf(rest)).toBe("line 1\nline 2\nline 3\n");
    }
    const bad = await test.fetch(path, { headers: { "last-event-id": "9:x" } });
    expect(await codeOf(bad)).toBe("INVALID_INPUT");
  });

  it("ends a stream with an error of the registry when its token is revoked", async () => {
    const id = await start("sleep 60");
    const made = await test.call("POST", "/v1/tokens", { body: { name: "short" } });
    const response = await test.fetch(`/v1/spaces/s/processes/${id}/output`, {
      headers: { authorization: `Bearer ${made.body.token}` },
    });
    const socket = open(id, { token: made.body.token });
    const { closed } = collect(socket);
    await once(socket, "open");
    await test.call("DELETE", `/v1/tokens/${made.body.id}`);
    const [event] = await eventsOf(response);
    expect(event).toMatchObject({
      event: "error",
      data: { code: "UNAUTHENTICATED", status: 401, data: { requestId: expect.any(String) } },
    });
    const seen = await closed;
    expect(seen.messages.at(-1)).toMatchObject({ type: "error", code: "UNAUTHENTICATED" });
    expect(seen.closed).toBe(4401);
    await test.call("POST", `/v1/spaces/s/processes/${id}/kill`);
  });

  it("carries input, output, errors and the end of a process over a WebSocket", async () => {
    const id = await start("read a; echo got $a; echo wrong >&2; exec cat", { input: true });
    const socket = open(id);
    const { seen, closed } = collect(socket);
    await once(socket, "open");
    socket.send(Buffer.from("word\n"));
    await expect.poll(() => seen.output).toBe("got word\n");
    socket.send(Buffer.alloc(1_000_000, "x"));
    socket.send(JSON.stringify({ type: "close-input" }));
    await closed;
    expect(seen.output).toHaveLength(9 + 1_000_000);
    expect(seen.messages[0]).toEqual({ type: "position", stdout: 0, stderr: 0 });
    const errors = seen.messages.filter(({ type }) => type === "stderr");
    expect(errors.map(({ data }) => Buffer.from(data, "base64").toString()).join("")).toBe(
      "wrong\n",
    );
    expect(seen.messages.at(-1)).toEqual({ type: "exit", exitCode: 0 });
    expect(seen.closed).toBe(1000);
    const resumed = open(id, { query: "?stdoutOffset=1000000&stderrOffset=6" });
    const rest = await collect(resumed).closed;
    expect(rest.messages[0]).toEqual({ type: "position", stdout: 1_000_000, stderr: 6 });
    expect(rest.output).toBe("x".repeat(9));
  });

  it("resizes terminals and sends signals", async () => {
    const terminal = { columns: 80, rows: 24 };
    const id = await start("stty size; read _; stty size; read _; exit 3", {
      input: true,
      terminal,
    });
    const socket = open(id);
    const { seen, closed } = collect(socket);
    await expect.poll(() => seen.output).toContain("24 80");
    socket.send(JSON.stringify({ type: "resize", columns: 132, rows: 43 }));
    socket.send(Buffer.from("\r"));
    await expect.poll(() => seen.output).toContain("43 132");
    socket.send(JSON.stringify({ type: "signal", signal: "SIGKILL" }));
    await closed;
    expect(seen.messages.at(-1)).toMatchObject({ type: "exit", signal: "SIGKILL" });
  });

  it("refuses bad attachments over HTTP, before the upgrade", async () => {
    const id = await start("sleep 60");
    const absent = "0".repeat(32);
    expect(await refusal(open(absent))).toEqual({ status: 404, code: "PROCESS_NOT_FOUND" });
    expect(await refusal(open(id, { token: "spt_no" }))).toEqual({
      status: 401,
      code: "UNAUTHENTICATED",
    });
    expect(await refusal(open(id, { query: "?stdoutOffset=-1" }))).toMatchObject({ status: 422 });
    expect(await refusal(open(id, { query: "?a=1" }))).toMatchObject({ status: 422 });
    expect(await refusal(open("x"))).toMatchObject({ status: 422 });
    const weak = await test.addUser("weak", ["UseSpaces"]);
    expect(await refusal(open(id, { token: weak }))).toEqual({
      status: 403,
      code: "PERMISSION_DENIED",
    });
    const other = await test.addUser("other", ["UseSpaces", "RunCommands"]);
    expect(await refusal(open(id, { token: other }))).toEqual({
      status: 404,
      code: "SPACE_NOT_FOUND",
    });
    const url = `${test.url.replace("http", "ws")}/v1/spaces/s/processes/${id}/attach`;
    const headers = { authorization: `Bearer ${test.adminToken}` };
    expect(await refusal(new WebSocket(url, { headers }))).toMatchObject({ status: 422 });
    const origin = "https://evil.example";
    expect(
      await refusal(new WebSocket(url, "spaces.attach.v1", { headers: { ...headers, origin } })),
    ).toEqual({ status: 403, code: "PERMISSION_DENIED" });
    await test.call("POST", `/v1/spaces/s/processes/${id}/kill`);
  });

  it("ends an attachment whose frames are none of the protocol, and lets the process live", async () => {
    const id = await start("sleep 60");
    for (const frame of [
      "{",
      "[]",
      '{"type":"resize","columns":0,"rows":1}',
      '{"type":"nothing"}',
    ]) {
      const socket = open(id);
      const { closed } = collect(socket);
      await once(socket, "open");
      socket.send(frame);
      const seen = await closed;
      expect(seen.messages.at(-1)).toMatchObject({ type: "error", code: "INVALID_INPUT" });
      expect(seen.closed).toBe(4422);
    }
    const large = open(id);
    const { closed } = collect(large);
    await once(large, "open");
    large.send(Buffer.alloc(2 * 1024 * 1024));
    expect((await closed).closed).toBe(1009);
    const garbage = open(id);
    await once(garbage, "open");
    const ended = once(garbage, "close");
    // biome-ignore lint/complexity/useLiteralKeys: the library's own field, to write past it
    (garbage as unknown as Record<string, NodeJS.WritableStream>)["_socket"]?.write(
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0]),
    );
    await ended;
    expect((await test.call("GET", `/v1/spaces/s/processes/${id}`)).body.state).toBe("running");
    await test.call("POST", `/v1/spaces/s/processes/${id}/kill`);
  });

  it("ends streams at once when the server shuts down, and resumes them on another", async () => {
    const id = await start("echo first; read _; echo second", { input: true });
    const ending = await test.another({ driver: "bubblewrap" });
    const path = `/v1/spaces/s/processes/${id}/output`;
    const response = await ending.fetch(path);
    const socket = new WebSocket(
      `${ending.url.replace("http", "ws")}/v1/spaces/s/processes/${id}/attach`,
      "spaces.attach.v1",
      { headers: { authorization: `Bearer ${test.adminToken}` } },
    );
    const { seen, closed } = collect(socket);
    await expect.poll(() => seen.output).toBe("first\n");
    const events = eventsOf(response);
    await ending.server.drain(60_000);
    const seenEvents = await events;
    expect(seenEvents.at(-1)).toMatchObject({
      event: "error",
      data: { code: "SHUTTING_DOWN", status: 503 },
    });
    expect((await closed).messages.at(-1)).toMatchObject({ type: "error", code: "SHUTTING_DOWN" });
    expect(seen.closed).toBe(4503);
    const data = Buffer.from("x\n").toString("base64");
    await test.call("POST", `/v1/spaces/s/processes/${id}/input`, { body: { data } });
    // Events that carry an error have no id: one resumes behind the last that has.
    const headers = { "last-event-id": seenEvents.at(-2)?.id ?? "" };
    const rest = await eventsOf(await test.fetch(path, { headers }));
    expect(textOf(seenEvents) + textOf(rest)).toBe("first\nsecond\n");
  });

  it("does not read on while a reader is slow", async () => {
    const id = await start("yes | head -c 200000000");
    const before = process.memoryUsage.rss();
    const socket = open(id);
    await once(socket, "open");
    socket.pause();
    const response = await test.fetch(`/v1/spaces/s/processes/${id}/output`);
    const reader = response.body?.getReader();
    await reader?.read();
    const process_ = () => test.call("GET", `/v1/spaces/s/processes/${id}`);
    // Unread, 200 MB would have been taken long before as many calls are answered.
    for (let i = 0; i < 300; i++) expect((await process_()).body.state).toBe("running");
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
    socket.terminate();
    await reader?.cancel();
    await test.call("POST", `/v1/spaces/s/processes/${id}/kill`);
  });
});
