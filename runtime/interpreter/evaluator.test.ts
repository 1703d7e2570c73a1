import { afterAll, afterEach, describe, expect, test } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { createInterpreter } from "./interpreter.js";
import type {
  EvaluateOptions,
  HostCall,
  InteractiveSession,
  ScriptError,
  SessionRequest,
} from "./types.js";

const interpreter = createInterpreter({ minWorkers: 1, maxWorkers: 4 });
afterAll(() => interpreter[Symbol.asyncDispose]());

/** Answers with what it was asked; `missing` and `hanging` are what they say. */
const host: HostCall = (name, input, { signal }) => {
  const { space } = (input ?? {}) as { space?: string };
  if (space === "missing") {
    return Promise.reject(new SpacesError("SPACE_NOT_FOUND", 'There is no space "missing".'));
  }
  if (space !== "hanging") {
    return Promise.resolve({ status: "running", isRunning: true, description: space ?? name });
  }
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new SpacesError("CANCELLED")), { once: true });
  });
};

const opened: InteractiveSession[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((session) => session[Symbol.asyncDispose]()));
});

async function open(request: Partial<SessionRequest> = {}) {
  let output = "";
  const uncaught: ScriptError[] = [];
  const session = await interpreter.open({
    host,
    onOutput: (_stream, text) => {
      output += text;
    },
    onUncaught: (error) => uncaught.push(error),
    ...request,
  });
  opened.push(session);
  const evaluate = (source: string, options?: EvaluateOptions) => session.evaluate(source, options);
  return {
    session,
    uncaught,
    evaluate,
    output: () => output,
    /** Evaluates an input that has to succeed, and gives what its value is shown as. */
    async value(source: string): Promise<string | undefined> {
      const result = await evaluate(source);
      if (result.kind !== "value") throw new Error(`${source}: ${JSON.stringify(result)}`);
      return result.text;
    },
    /** Evaluates an input that has to fail. */
    async error(source: string, options?: EvaluateOptions): Promise<ScriptError> {
      const result = await evaluate(source, options);
      if (result.kind !== "failed") throw new Error(`${source}: ${JSON.stringify(result)}`);
      return result.error;
    },
  };
}

describe("an interactive session", () => {
  test("shows values as the console does", async () => {
    const { value } = await open();
    expect(await value("1 + 1")).toBe("2");
    expect(await value('"a" + "b"')).toBe("'ab'");
    expect(await value("({ a: 1, b: [1, 2] })")).toBe("{ a: 1, b: [ 1, 2 ] }");
    expect(await value("undefined")).toBe("undefined");
    expect(await value("[1, 2].map((n) => n * 2)")).toBe("[ 2, 4 ]");
  });

  test("shows values in colours where it is asked to", async () => {
    const { value } = await open({ colors: true });
    expect(await value("[1, 'a', undefined, null]")).toBe(
      "[ \u001b[33m1\u001b[39m, \u001b[32m'a'\u001b[39m, \u001b[90mundefined\u001b[39m, null ]",
    );
  });

  test("takes braces for an object where they can be one", async () => {
    const { value } = await open();
    expect(await value("{ a: 1 }")).toBe("{ a: 1 }");
    expect(await value("{}")).toBe("{}");
    expect(await value("{ let a = 5; a }")).toBe("5");
    expect(await value("{ a: 1 };")).toBe("1");
  });

  test("keeps what is declared from input to input", async () => {
    const { value } = await open();
    await value("const a = 1; let b = 2; var c = 3");
    await value("class Box { open() { return a + b + c } }");
    await value("function make() { return new Box() }");
    await value("const { d, e: [f, ...g] } = { d: 4, e: [5, 6, 7] }");
    expect(await value("make().open()")).toBe("6");
    expect(await value("[d, f, g]")).toBe("[ 4, 5, [ 6, 7 ] ]");
    expect(await value("b += 10; make().open()")).toBe("16");
  });

  test("shows nothing for a declaration", async () => {
    const { value } = await open();
    for (const source of ["const a = 1", "let b = 2", "class C {}", "function d() {}", ""]) {
      expect(await value(source)).toBeUndefined();
    }
    expect(await value("_")).toBe("undefined");
  });

  test("lets names be declared again, also after their first value failed to be made", async () => {
    const { value, error } = await open();
    await value("const a = 1");
    expect((await error("a = 2")).message).toBe("'a' is read-only");
    await value("const a = 2");
    await value("let a = 3");
    await value("class a {}");
    await error("const broken = missing()");
    await value("const broken = 5");
    expect(await value("broken")).toBe("5");
    await value("const Math = 'mine'");
    expect(await value("Math")).toBe("'mine'");
    expect((await error("let NaN = 1")).message).toBe(
      "'NaN' cannot be declared: it belongs to the language.",
    );
  });

  test("declares what is assigned to, as people expect at a prompt", async () => {
    const { value, error } = await open();
    expect(await value("x = 5")).toBe("5");
    expect(await value("x + 1")).toBe("6");
    expect((await error("(() => { y = 1 })()")).name).toBe("ReferenceError");
  });

  test("awaits at top level, also in what it declares", async () => {
    const { value } = await open();
    expect(await value("await Promise.resolve(3)")).toBe("3");
    await value("const late = await new Promise((done) => setTimeout(() => done('late'), 5))");
    expect(await value("late")).toBe("'late'");
    expect(await value("for await (const n of [1, 2]) console.log(n)")).toBe("undefined");
  });

  test("imports as a script does, and says what a module does not have", async () => {
    const { value, error } = await open({
      moduleSource: async (path) =>
        path === "lib/a.ts" ? "export const one: number = 1; export default 'all'" : undefined,
    });
    await value('import all, { one as first } from "./lib/a.ts"; import * as a from "./lib/a.ts"');
    expect(await value("[all, first, a.one]")).toBe("[ 'all', 1, 1 ]");
    await value('import { get } from "spaces"');
    expect(await value("get === spaces.get")).toBe("true");
    expect((await error('import { nope } from "spaces"')).message).toMatch(/nope/);
    const missing = await error('console.log(1)\nimport x from "./lib/b.ts"');
    expect(missing.message).toMatch(/Cannot find module '.\/lib\/b.ts' imported from repl\d+/);
    expect(missing.position).toMatchObject({ line: 2, column: 15 });
    expect(await value('(await import("./lib/a.ts")).one')).toBe("1");
  });

  test("has the modules there without an import", async () => {
    const { value } = await open();
    expect(await value("[spaces, space, files, runtime, yaml].map((m) => typeof m)")).toBe(
      "[ 'object', 'object', 'object', 'object', 'object' ]",
    );
    expect(await value("spaces.get_description('dev')")).toBe("'dev'");
    expect(await value("import s from 'spaces'; s === spaces")).toBe("true");
  });

  test("takes TypeScript", async () => {
    const { value, error } = await open();
    await value("interface Named { name: string }");
    await value("function first<T>(all: T[]): T { return all[0] as T }");
    expect(await value("first<Named>([{ name: 'a' }])")).toBe("{ name: 'a' }");
    expect((await error("enum Color { red }")).message).toMatch(/enum/);
  });

  test("keeps the last value in _, and the last error in _error", async () => {
    const { value, error } = await open();
    await value("6 * 7");
    expect(await value("_ + 1")).toBe("43");
    await error("throw new TypeError('wrong')");
    expect(await value("_error.message")).toBe("'wrong'");
    await value("_ = 'mine'");
    await value("1 + 1");
    expect(await value("_")).toBe("'mine'");
  });

  test("says where an error happened, whatever was put into the line", async () => {
    const { error } = await open();
    const first = await error("const { a } = { a: 1 }; missing.thing");
    expect(first).toMatchObject({
      name: "ReferenceError",
      message: "'missing' is not defined",
      code: "SCRIPT_FAILED",
      position: { file: "repl1", line: 1, column: 25 },
    });
    expect(first.frame).toContain("const { a } = { a: 1 }; missing.thing");
    expect((await error("class A extends missing {}")).position).toMatchObject({ column: 17 });
    expect((await error("{ a: missing }")).position).toMatchObject({ line: 1, column: 6 });
    const labelled = await error("let a =\n  missing()", { label: "lib.ts" });
    expect(labelled.position).toEqual({ file: "lib.ts", line: 2, column: 3 });
  });

  test("shows the registry's own errors with code and suggestion", async () => {
    const { error } = await open();
    const { error: own } = await error("spaces.start('missing')");
    expect(own).toMatchObject({ code: "SPACE_NOT_FOUND" });
  });

  test.each([
    "function f() {",
    "[1,",
    "`a",
    "/* a",
    "interface A {",
    "foo(",
    "if (true)",
    "{ a: 1",
    "class A {\n  x = 1",
    "a +",
    "const a =",
    "'a \\",
  ])("knows that %j is not finished", async (source) => {
    const { evaluate, error } = await open();
    expect(await evaluate(source)).toEqual({ kind: "incomplete" });
    expect((await error(source, { whole: true })).name).toBe("SyntaxError");
  });

  test.each(["1 2", "foo(1))", "'a", "let 1", "export { a }", "return 5", "import.meta"])(
    "takes %j for an error and goes on",
    async (source) => {
      const { error, value } = await open();
      expect((await error(source)).name).toBe("SyntaxError");
      expect(await value("1")).toBe("1");
    },
  );

  test("takes what a file exports for declarations", async () => {
    const { value } = await open();
    await value("export const a = 1; export function b() { return 2 }");
    expect(await value("a + b()")).toBe("3");
  });

  test("runs timers between inputs, and reports what nothing caught", async () => {
    const { value, output, uncaught } = await open();
    await value("setTimeout(() => console.log('later'), 1)");
    await expect.poll(output).toBe("later\n");
    await value("setTimeout(() => { throw new Error('oops') }, 1)");
    await expect.poll(() => uncaught.map((error) => error.message)).toEqual(["oops"]);
    await value("void Promise.reject(new Error('nobody'))");
    await expect.poll(() => uncaught.map((error) => error.message)).toEqual(["oops", "nobody"]);
    expect(await value("1")).toBe("1");
  });

  test("says that an input waits for what never comes", async () => {
    const { error, value } = await open();
    expect((await error("await new Promise(() => {})")).code).toBe("SCRIPT_NEVER_SETTLES");
    expect(await value("1")).toBe("1");
  });

  test("ends with the code given to exit", async () => {
    const { evaluate, session } = await open();
    expect(await evaluate("runtime.exit(3)")).toEqual({ kind: "ended", exitCode: 3 });
    expect(session.ended).toBe(true);
    expect(await evaluate("1")).toEqual({ kind: "ended", exitCode: 3 });
  });

  test("does not begin bound to a space that is not there", async () => {
    await expect(interpreter.open({ host, space: "missing" })).rejects.toMatchObject({
      code: "SPACE_NOT_FOUND",
    });
    await expect(interpreter.open({ host, input: 1n })).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });
});

describe("cancelling an input", () => {
  const CASES: Record<string, string> = {
    "an endless loop": "for (;;);",
    "a loop that awaits": "for (;;) await null",
    "promises without end": "await (function again() { return Promise.resolve().then(again) })()",
    "a loop that catches everything": "for (;;) { try { for (;;); } catch {} }",
    "a blocking call": "spaces.get('hanging')",
    "a call that is awaited": "await (await import('spaces/async')).get('hanging')",
    sleep: "runtime.sleep(1000)",
    "a promise that waits for a timer": "await runtime.sleep_async(1000)",
    "a getter that never returns": "({ get [Symbol.toStringTag]() { for (;;); } }).toString()",
  };
  test.each(Object.entries(CASES))("ends %s and keeps the session", async (_name, source) => {
    const { evaluate, value } = await open();
    await value("const kept = 'kept'");
    const abort = new AbortController();
    const running = evaluate(`console.log("begun"); ${source}`, { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    const result = await running;
    expect(result).toMatchObject({ kind: "failed", error: { code: "CANCELLED" } });
    expect(await value("kept")).toBe("'kept'");
    expect(await value("await Promise.resolve(spaces.get_description('dev'))")).toBe("'dev'");
  });

  test("stops what would go on by itself", async () => {
    const { evaluate, value, output } = await open();
    const abort = new AbortController();
    const source =
      "const a = await import('spaces/async');" +
      "for (;;) { try { await a.get('hanging') } catch { console.log('caught') } finally { console.log('on') } }";
    const running = evaluate(source, { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    expect(await running).toMatchObject({ kind: "failed", error: { code: "CANCELLED" } });
    await value("await runtime.sleep_async(0.05)");
    expect(output()).toBe("");
  });

  test("leaves what began before it", async () => {
    const { evaluate, value, output } = await open();
    await value("let ticks = 0; const timer = setInterval(() => { ticks += 1 }, 1)");
    const abort = new AbortController();
    const running = evaluate("for (;;);", { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await running;
    await value("const before = ticks");
    expect(await value("await runtime.sleep_async(0.05); ticks > before")).toBe("true");
    expect(output()).toBe("");
  });

  test("says that the session is lost where the engine cannot be interrupted", async () => {
    const { evaluate, session, output } = await open();
    const abort = new AbortController();
    const source =
      "console.log('begun'); 'x'.repeat(2 ** 24).lastIndexOf('x'.repeat(2 ** 23) + 'y')";
    const running = evaluate(source, { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    expect(await running).toMatchObject({ kind: "lost", error: { code: "CANCELLED" } });
    expect(session.ended).toBe(true);
    expect(await evaluate("1")).toMatchObject({ kind: "lost" });
    expect(output()).toBe("");
  });

  test("can be done before it begins", async () => {
    const { error } = await open();
    expect((await error("1", { signal: AbortSignal.abort() })).code).toBe("CANCELLED");
  });

  test("stops what runs between inputs", async () => {
    const { session, value, output } = await open();
    await value("setTimeout(() => { console.log('stuck'); for (;;); }, 1)");
    await expect.poll(output).toBe("stuck\n");
    session.cancel();
    expect(await value("1")).toBe("1");
  });

  test("is done by the wall time of the input too", async () => {
    const { error, value } = await open();
    const timedOut = await error("for (;;);", { timeoutMs: 50 });
    expect(timedOut).toMatchObject({ code: "SCRIPT_TIMEOUT" });
    expect(timedOut.message).toMatch(/^The input did not end within 0.05 seconds/);
    expect((await error("runtime.sleep(100)", { timeoutMs: 20 })).code).toBe("SCRIPT_TIMEOUT");
    expect(await value("1")).toBe("1");
  });
});

describe("completion", () => {
  test("names globals, modules and their members", async () => {
    const { session, value } = await open();
    expect(await session.complete([], "spac")).toEqual(["spaces", "space"]);
    expect(await session.complete(["spaces"], "port_")).toEqual([
      "port_forward",
      "port_list",
      "port_stop",
    ]);
    expect(await session.complete(["space", "files"], "read_b")).toEqual(["read_bytes"]);
    expect(await session.complete(["URL"], "canP")).toEqual(["canParse"]);
    await value("const box = { alpha: 'text', beta: { gamma: 1 } }");
    expect(await session.complete([], "bo")).toEqual(["box"]);
    expect(await session.complete(["box", "beta"], "")).toContain("gamma");
    expect(await session.complete(["box", "alpha"], "toUpper")).toEqual(["toUpperCase"]);
    expect(await session.complete(["missing", "thing"], "")).toEqual([]);
  });

  test("runs no getter", async () => {
    const { session, value, output } = await open();
    await value("const a = { get b() { console.log('ran'); return { c: 1 } } }");
    expect(await session.complete(["a"], "b")).toEqual(["b"]);
    expect(await session.complete(["a", "b"], "")).toEqual([]);
    expect(await value("1")).toBe("1");
    expect(output()).toBe("");
  });
});
