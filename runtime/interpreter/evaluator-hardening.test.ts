import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Evaluator } from "./evaluator.js";
import type { SessionWorker } from "./guest-traffic.js";
import { createInterpreter } from "./interpreter.js";
import { resolveLimits } from "./limits.js";
import type { MainMessage } from "./protocol.js";
import type { WorkerListener } from "./sandbox-worker.js";
import { SourceLoader } from "./source.js";
import type { InteractiveSession } from "./types.js";

const MiB = 1024 * 1024;
const interpreter = createInterpreter({ minWorkers: 1, maxWorkers: 4 });
afterAll(() => interpreter[Symbol.asyncDispose]());

const opened: InteractiveSession[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((session) => session[Symbol.asyncDispose]()));
});

async function open(): Promise<InteractiveSession> {
  const session = await interpreter.open({
    host: async () => ({ description: "answered" }),
    limits: { memoryBytes: 32 * MiB },
  });
  opened.push(session);
  return session;
}

/** Evaluates something that may do anything but hold the session up. */
const attempt = (session: InteractiveSession, source: string, timeoutMs = 2000) =>
  session.evaluate(source, { timeoutMs });

describe("a session goes on after an input that", () => {
  test.each([
    "globalThis.Promise = class { then() { for (;;); } }",
    "Promise.prototype.then = () => { throw new Error('caught') }",
    "Promise.prototype.constructor = { [Symbol.species]: function () { for (;;); } }",
    "Object.prototype.then = function (done) { done = null }",
    "Array.prototype[Symbol.iterator] = function* () { yield 1 }",
    "Object.defineProperty(Array.prototype, 0, { set() { throw 1 }, get() { throw 2 } })",
    "Object.defineProperty(Object.prototype, 'value', { get() { throw 3 } })",
    "Object.defineProperty(Object.prototype, 'get', { value: () => 1 })",
    "JSON.stringify = JSON.parse = () => { throw new Error() }",
    "Reflect.defineProperty = Object.defineProperty = () => false",
    "String.prototype.slice = RegExp.prototype.exec = String.prototype.replace = null",
    "Error.prototype.toString = null; Object.defineProperty(Error, 'prototype', {})",
    "globalThis.spaces = globalThis.console = undefined",
    "({ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('x') } })",
    "new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 }, getPrototypeOf() { throw 3 } })",
    "throw { get message() { throw 1 }, get stack() { throw 2 }, get name() { throw 3 } }",
    "throw null",
    "throw Symbol('x')",
    "let recursive = () => recursive(); recursive()",
    "Object.assign(new Error('x'), { cause: globalThis })",
    "'\\ud800' + '\\0'",
    "delete globalThis._; Object.defineProperty(globalThis, '_', { get() { throw 1 } })",
  ])("does this: %s", async (source) => {
    const session = await open();
    await attempt(session, source);
    // Whoever breaks what shows values sees nothing sensible any more, but the session lives.
    expect((await attempt(session, "1")).kind).not.toBe("lost");
    expect((await attempt(session, "let next = 5")).kind).not.toBe("lost");
    expect(session.ended).toBe(false);
    await session.complete(["spaces"], "");
    expect(session.ended).toBe(false);
  });
});

describe("a session", () => {
  test("is lost with the memory of its sandbox, and says so", async () => {
    const session = await open();
    const result = await attempt(
      session,
      "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length)",
    );
    expect(result).toMatchObject({ kind: "lost", error: { code: "SCRIPT_MEMORY" } });
    expect(result).toHaveProperty("error.message", "The input used up its memory of 32 MiB.");
    expect(session.ended).toBe(true);
  });

  test("cannot have its ends forged", async () => {
    const session = await open();
    const forged = "throw Object.assign(new Error('out of memory'), { name: 'InternalError' })";
    expect((await attempt(session, forged)).kind).toBe("failed");
    expect((await attempt(session, "throw new Error('interrupted')")).kind).toBe("failed");
    expect((await attempt(session, "1")).kind).toBe("value");
  });

  test("bounds what it shows", async () => {
    const session = await open();
    const long = await attempt(
      session,
      "Array.from({ length: 10 }, () => Array(10).fill('x'.repeat(9999)))",
      20_000,
    );
    expect(JSON.stringify(long).length).toBeLessThan(MiB);
    expect(long).toMatchObject({ kind: "value" });
    expect((await attempt(session, "'y'.repeat(1e6)", 20_000)).kind).toBe("value");
    expect((await attempt(session, "new Error('z'.repeat(1e6))", 20_000)).kind).toBe("value");
  });

  test("refuses inputs that are too long, or hold what the engine cannot read", async () => {
    const session = await open();
    expect(await attempt(session, `/*${"x".repeat(MiB)}*/`)).toMatchObject({
      kind: "failed",
      error: { code: "INVALID_INPUT" },
    });
    expect(await attempt(session, "'\0'")).toMatchObject({ error: { code: "INVALID_INPUT" } });
  });

  test("cannot import what is the house's own", async () => {
    const session = await open();
    for (const name of ["spaces:host", "spaces:session", "spaces:entry", "repl1", "node:fs"]) {
      const result = await attempt(session, `await import(${JSON.stringify(name)})`);
      expect(result).toMatchObject({ kind: "failed" });
      expect(await attempt(session, `import * as x from ${JSON.stringify(name)}`)).toMatchObject({
        kind: "failed",
      });
    }
  });

  test("completes members of objects that are made against it", async () => {
    const session = await open();
    await attempt(session, "const loop = new Proxy({}, { ownKeys() { for (;;); } })");
    await attempt(session, "const thrower = new Proxy({}, { getPrototypeOf() { throw 1 } })");
    await attempt(session, "const endless = new Proxy({}, { getPrototypeOf: () => endless })");
    await attempt(session, "const big = 'x'.repeat(1e7), bytes = new Uint8Array(1e6)");
    for (const name of ["loop", "thrower", "endless"]) {
      expect(await session.complete([name], "")).toEqual([]);
    }
    expect(await session.complete(["big"], "trimE")).toEqual(["trimEnd"]);
    expect(await session.complete(["bytes"], "subarr")).toEqual(["subarray"]);
    expect(await attempt(session, "1 + 1")).toEqual({ kind: "value", text: "2" });
  });

  test("does not grow with its inputs", { timeout: 120_000 }, async () => {
    const session = await open();
    const source = "const list = Array.from({ length: 500 }, (_, n) => 'item ' + n); list.length";
    for (let count = 0; count < 10_000; count += 1) {
      const result = await session.evaluate(source);
      if (result.kind !== "value") throw new Error(`${count}: ${JSON.stringify(result)}`);
    }
    // A sandbox of 32 MiB could not hold what ten thousand inputs would leave behind.
    expect(await session.evaluate("_")).toEqual({ kind: "value", text: "500" });
  });
});

/** A worker that an input has taken over: the test sends in its place. */
class CapturedWorker implements SessionWorker {
  readonly posted: MainMessage[] = [];
  killed = false;
  #listener: WorkerListener | undefined;

  begin(listener: WorkerListener): number {
    this.#listener = listener;
    return 1;
  }
  post(message: MainMessage): void {
    this.posted.push(message);
    if (message.type === "open") {
      this.send({ type: "answered", id: message.id, answer: { kind: "value" } });
    }
  }
  stop(): void {
    this.posted.push({ type: "stop" });
  }
  resume(): void {
    this.posted.push({ type: "stop" });
  }
  takeOutput(): void {
    this.posted.push({ type: "stop" });
  }
  async kill(): Promise<void> {
    this.killed = true;
  }
  send(message: unknown): void {
    queueMicrotask(() => this.#listener?.onMessage(message));
  }
}

describe("a captured worker of a session is killed when it sends", () => {
  const garbage: Record<string, unknown> = {
    nothing: undefined,
    "an answer that nobody waits for": {
      type: "answered",
      id: 99,
      answer: { kind: "value", text: "x" },
    },
    "an answer of no kind": { type: "answered", id: 2, answer: { kind: "__proto__" } },
    "a value that is no text": { type: "answered", id: 2, answer: { kind: "value", text: {} } },
    "a value of great length": {
      type: "answered",
      id: 2,
      answer: { kind: "value", text: "x".repeat(2 * MiB) },
    },
    "an error that is no text": { type: "answered", id: 2, answer: { kind: "failed", error: 1 } },
    "a time-out that was not asked for": { type: "answered", id: 2, answer: { kind: "timeout" } },
    "a cancellation that nobody wished": { type: "answered", id: 2, answer: { kind: "cancelled" } },
    "an uncaught error that is none": { type: "uncaught", error: { message: "x" } },
    "an end that only scripts have": { type: "done", run: 1, outcome: { kind: "completed" } },
    "the end of another run": { type: "done", run: 2, outcome: { kind: "memory" } },
    "a call with an old id": { type: "call", id: 0, name: "spaces.list", input: "{}" },
  };
  test.each(Object.entries(garbage))("%s", async (_name, message) => {
    const worker = new CapturedWorker();
    let ended = 0;
    const session = await Evaluator.open(worker, {
      request: { host: async () => ({}) },
      facts: "{}",
      limits: resolveLimits(undefined),
      loader: new SourceLoader(undefined),
      onEnd: () => {
        ended += 1;
      },
    });
    const running = session.evaluate("1");
    await expect.poll(() => worker.posted.at(-1)?.type).toBe("evaluate");
    worker.send(message);
    expect(await running).toMatchObject({ kind: "lost", error: { code: "INTERNAL" } });
    expect(worker.killed).toBe(true);
    expect(ended).toBe(1);
  });
});
