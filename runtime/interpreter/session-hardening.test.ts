import { describe, expect, test } from "vitest";
import type { SessionWorker } from "./guest-traffic.js";
import { resolveLimits } from "./limits.js";
import { ModuleReader } from "./module-reader.js";
import { OutputKeeper } from "./output.js";
import type { MainMessage } from "./protocol.js";
import type { WorkerListener } from "./sandbox-worker.js";
import { Session, type SessionEnd } from "./session.js";
import { SourceLoader } from "./source.js";
import type { ScriptRequest } from "./types.js";

/** A worker that a script has taken over: the test sends in its place. */
class CapturedWorker implements SessionWorker {
  readonly posted: MainMessage[] = [];
  killed = false;
  taken = 0;
  #listener: WorkerListener | undefined;

  begin(listener: WorkerListener): number {
    this.#listener = listener;
    return 1;
  }
  post(message: MainMessage): void {
    this.posted.push(message);
  }
  stop(): void {
    this.posted.push({ type: "stop" });
  }
  resume(): void {
    throw new Error("A script that was stopped is not resumed.");
  }
  takeOutput(length: number): void {
    this.taken += length;
  }
  kill(): Promise<void> {
    this.killed = true;
    return Promise.resolve();
  }
  send(message: unknown): void {
    this.#listener?.onMessage(message);
  }
}

function start(request: Partial<ScriptRequest> = {}) {
  const worker = new CapturedWorker();
  const calls: string[] = [];
  const full: ScriptRequest = {
    filename: "a.js",
    source: "",
    host: (name) => {
      calls.push(name);
      return Promise.resolve(name);
    },
    ...request,
  };
  const output = new OutputKeeper(1000);
  const limits = resolveLimits(full.limits);
  const modules = new ModuleReader(full, new SourceLoader(undefined), limits.sourceBytes);
  const options = { request: full, source: "", facts: "{}", limits, output, modules };
  const end: Promise<SessionEnd> = Session.run(worker, options);
  return { worker, calls, end, output };
}

/** The answers that the session has posted, once all of its promises have run. */
async function answers(worker: CapturedWorker): Promise<string[]> {
  await new Promise((resolve) => setImmediate(resolve));
  return worker.posted.flatMap((message) => (message.type === "reply" ? [message.answer] : []));
}

const call = { type: "call", id: 1, name: "spaces.list", input: '{"name":"spaces.list"}' };

describe("a captured worker is killed when it sends", () => {
  const garbage: Record<string, unknown> = {
    nothing: undefined,
    null: null,
    text: "done",
    "a list": [call],
    "an unknown type": { type: "eval", code: "process.exit()" },
    "a type from Object.prototype": { type: "constructor" },
    "an id that is no number": { ...call, id: "1" },
    "an id of zero": { ...call, id: 0 },
    "an id of NaN": { ...call, id: Number.NaN },
    "a name that is no name": { ...call, name: "__proto__" },
    "a name of great length": { ...call, name: "a".repeat(1000) },
    "an input that is no text": { ...call, input: { space: "a" } },
    "a giant input": { ...call, input: "x".repeat(16 * 1024 * 1024 + 1) },
    "a module path that is no text": { type: "module", id: 1, path: 5 },
    "output on a third stream": { type: "output", pieces: [["stdin", "x"]] },
    "output that is no text": { type: "output", pieces: [["stdout", { length: 5 }]] },
    "giant output": { type: "output", pieces: [["stdout", "x".repeat(100_000)]] },
    "too many pieces": {
      type: "output",
      pieces: Array.from({ length: 2000 }, () => ["stdout", ""]),
    },
    "the end of another run": { type: "done", run: 2, outcome: { kind: "completed" } },
    "an unknown end": { type: "done", run: 1, outcome: { kind: "constructor" } },
    "an exit code out of range": {
      type: "done",
      run: 1,
      outcome: { kind: "exited", exitCode: 256 },
    },
    "a time-out that nobody set": { type: "done", run: 1, outcome: { kind: "timeout" } },
    "a cancellation that nobody asked for": {
      type: "done",
      run: 1,
      outcome: { kind: "cancelled" },
    },
  };
  for (const [name, message] of Object.entries(garbage)) {
    test(name, async () => {
      const { worker, end, calls } = start();
      worker.send(message);
      expect(await end).toEqual({ kind: "hostile" });
      expect(worker.killed).toBe(true);
      expect(calls).toEqual([]);
    });
  }

  test("an id twice", async () => {
    const { worker, end, calls } = start();
    worker.send(call);
    worker.send(call);
    expect(await end).toEqual({ kind: "hostile" });
    expect(calls).toEqual(["spaces.list"]);
  });
});

describe("a captured worker gets no further", () => {
  test("after the end of its run", async () => {
    const { worker, end, calls } = start();
    worker.send({ type: "done", run: 1, outcome: { kind: "completed" } });
    expect(await end).toEqual({ kind: "completed" });
    worker.send(call);
    expect(await answers(worker)).toEqual([]);
    expect(calls).toEqual([]);
  });

  test("with input that is no JSON, or no object", async () => {
    const { worker, calls } = start();
    worker.send({ ...call, input: "{" });
    worker.send({ ...call, id: 2, input: "null" });
    const given = await answers(worker);
    expect(given).toHaveLength(2);
    for (const answer of given) {
      expect(JSON.parse(answer)).toMatchObject([1, { code: "INTERNAL" }]);
    }
    expect(calls).toEqual([]);
  });

  test("with more calls at once than are allowed", async () => {
    const { worker } = start({
      limits: { concurrentCalls: 2 },
      host: () => new Promise(() => undefined),
    });
    for (let id = 1; id <= 5; id += 1) {
      worker.send({ ...call, id });
    }
    const given = await answers(worker);
    expect(given.map((answer) => JSON.parse(answer)[1].code)).toEqual([
      "LIMIT_EXCEEDED",
      "LIMIT_EXCEEDED",
    ]);
  });

  test("with module paths that lead out of the directory", async () => {
    const asked: string[] = [];
    const { worker } = start({
      moduleSource: (path) => {
        asked.push(path);
        return Promise.resolve("1");
      },
    });
    const paths = ["../x.js", "/etc/passwd", "a/../../x", "a//b", ".", "", "a\\b", "a%2fb", "a\0b"];
    for (const [index, path] of paths.entries()) {
      worker.send({ type: "module", id: index + 1, path });
    }
    const given = await answers(worker);
    expect(given).toHaveLength(paths.length);
    expect(given.every((answer) => JSON.parse(answer)[1].error !== undefined)).toBe(true);
    expect(asked).toEqual([]);
  });
});
