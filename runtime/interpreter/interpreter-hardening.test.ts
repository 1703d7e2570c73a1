import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { createInterpreter } from "./interpreter.js";
import type { HostCall, Interpreter, ScriptRequest, ScriptResult } from "./types.js";

const MiB = 1024 * 1024;

let interpreter: Interpreter;
beforeAll(() => {
  interpreter = createInterpreter({ minWorkers: 2, maxWorkers: 4 });
});
afterAll(() => interpreter[Symbol.asyncDispose]());

const host: HostCall = () =>
  Promise.resolve({ status: "running", isRunning: true, description: "d" });

function run(source: string, request: Partial<ScriptRequest> = {}): Promise<ScriptResult> {
  return interpreter.run({
    filename: "script.js",
    source,
    host,
    limits: { timeoutMs: 10_000 },
    ...request,
  });
}

/** The interpreter still works, and the next script sees nothing of the one before. */
async function expectHealthy(): Promise<void> {
  const result = await run('console.log("healthy", JSON.stringify({ a: [1] }))');
  expect(result).toMatchObject({ exitCode: 0, output: 'healthy {"a":[1]}\n' });
}

describe("a script without end is stopped at its deadline", () => {
  const cases: Record<string, string> = {
    "an empty loop": "while (true) {}",
    "a loop that catches everything":
      "while (true) { try { while (true) {} } catch {} finally {} }",
    "a microtask storm": "while (true) await null",
    "a storm of promise jobs": "(function f() { Promise.resolve().then(f).then(f) })()",
    "a thenable that never settles": "setInterval(() => {}, 1); await { then() {} }",
    "catastrophic backtracking": '/(a+)+$/.test("a".repeat(40) + "b")',
    "an array of a billion holes, joined": 'new Array(1e9) + ""',
    "indexOf over an endless length": "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "a search of one long string in another":
      '"a".repeat(1e6).indexOf("a".repeat(5e5) + "b"); Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)',
    "a toJSON without end":
      'console.log("%j", { toJSON() { while (true); } }); JSON.stringify({ toJSON() { while (true); } })',
    "a getter without end in what is thrown":
      "throw { get message() { while (true); }, get stack() { while (true); } }",
    "a proxy without end in what is thrown":
      "throw new Proxy({}, { get() { while (true); }, has() { while (true); }, getPrototypeOf() { while (true); } })",
    "an async generator without end":
      "for await (const x of (async function* () { while (true) yield 1 })());",
    "a blocking sleep":
      'import { sleep } from "runtime"; while (true) { try { sleep(1000) } catch {} }',
    "blocking calls in a loop":
      'import s from "spaces"; while (true) { try { s.is_running("a") } catch {} }',
    "an import without end": 'await import("./loop.js")',
  };
  for (const [name, source] of Object.entries(cases)) {
    test(name, async () => {
      const result = await run(source, {
        limits: { timeoutMs: 300 },
        moduleSource: () => Promise.resolve("while (true) {}"),
      });
      expect(result).toMatchObject({ exitCode: 124, error: { code: "SCRIPT_TIMEOUT" } });
      await expectHealthy();
    });
  }

  test("an interrupt cannot be caught, and no finally block runs", async () => {
    const result = await run(
      'try { while (true) {} } catch { console.log("caught") } finally { console.log("finally") }',
      { limits: { timeoutMs: 100 } },
    );
    expect(result).toMatchObject({ exitCode: 124, output: "" });
  });

  test("a host call that is never answered and ignores its signal", async () => {
    const result = await run('import s from "spaces"; s.start("a")', {
      limits: { timeoutMs: 200 },
      host: () => new Promise(() => undefined),
    });
    expect(result.error?.code).toBe("SCRIPT_TIMEOUT");
    await expectHealthy();
  });
});

describe("a script cannot forge its end", () => {
  test("as an interrupt, exhausted memory, or an error of the host", async () => {
    for (const forged of [
      '{ name: "InternalError", message: "interrupted" }',
      'Object.assign(new Error("interrupted"), { name: "InternalError" })',
      'Object.assign(new Error("out of memory"), { name: "InternalError" })',
      '{ name: "SpacesError", message: "m", code: "SCRIPT_TIMEOUT", status: 408 }',
      "null",
      '""',
    ]) {
      const result = await run(`throw ${forged}`);
      expect(result).toMatchObject({ exitCode: 1, error: { code: "SCRIPT_FAILED" } });
      expect(result.error?.error).toBeUndefined();
    }
  });

  test("through a stack that names files of the host", async () => {
    const result = await run(
      'const e = new Error("x"); e.stack = "    at f (/etc/passwd:1:1)\\n    at g (spaces:host:1:1)\\n    at h (script.js:1:7)"; throw e',
    );
    expect(result.error?.stack).toBe("Error: x\n    at h (script.js:1:7)");
    expect(result.error?.position).toEqual({ file: "script.js", line: 1, column: 7 });
  });
});

describe("what is thrown may be anything", () => {
  const thrown: Record<string, string> = {
    null: "null",
    undefined: "undefined",
    "a symbol": 'Symbol("s")',
    "a bigint": "10n",
    "a function": "function f() {}",
    "a revoked proxy":
      "(() => { const p = Proxy.revocable({}, {}); p.revoke(); return p.proxy })()",
    "a proxy with throwing traps":
      "new Proxy({}, new Proxy({}, { get() { throw new Error('trap') } }))",
    "an error with throwing getters":
      "Object.defineProperties(new Error('e'), { message: { get() { throw 1 } }, stack: { get() { throw 1 } }, cause: { get() { throw 1 } } })",
    "a cycle of causes": "(() => { const e = new Error('a'); e.cause = e; return e })()",
    "a cyclic object": "(() => { const o = {}; o.o = o; return o })()",
    "an error with a huge message": "new Error('x'.repeat(2e6))",
    "an aggregate of itself":
      "(() => { const e = new AggregateError([]); e.errors = [e, e, e]; return e })()",
    "an error whose fields are no strings":
      "Object.assign(new Error('e'), { name: {}, stack: 5, message: 'm' })",
  };
  for (const [name, expression] of Object.entries(thrown)) {
    test(name, async () => {
      const result = await run(`throw ${expression}`);
      expect(result).toMatchObject({ exitCode: 1, error: { code: "SCRIPT_FAILED" } });
      expect(result.error?.message.length).toBeLessThan(100_000);
      await expectHealthy();
    });
  }
});

describe("memory", () => {
  const bombs: Record<string, string> = {
    "long strings": 'const a = []; while (true) a.push("x".repeat(MiB) + a.length)',
    "a growing string": 'let s = "x"; while (true) s += s + Math.random()',
    objects: "let o = null; while (true) o = { o, a: [1, 2, 3] }",
    closures: "let f = () => 1; while (true) { const g = f; f = () => g }",
    "typed arrays": "const a = []; while (true) a.push(new Uint8Array(MiB).fill(1))",
    "a map": "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })",
    promises: "const a = []; while (true) a.push(new Promise(() => {}))",
    "objects in promise jobs":
      "const a = []; const f = () => { for (let i = 0; i < 2e5; i++) a.push({ i }); return Promise.resolve().then(f) }; await f()",
    "rejected promises": "const a = []; while (true) a.push(Promise.reject(1))",
    "calls that wait":
      'import * as s from "spaces/async"; const a = []; while (true) a.push(s.start("x".repeat(1000)))',
    recursion:
      "const a = []; (function f() { a.push(new Array(1e4).fill(f)); f() })(); while (true) a.push([...a])",
  };
  for (const [name, source] of Object.entries(bombs)) {
    test(`a bomb of ${name} ends with SCRIPT_MEMORY and does not outgrow its cap`, async () => {
      const before = process.memoryUsage.rss();
      const capBytes = 48 * MiB;
      let peak = before;
      const sampler = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage.rss());
      }, 5);
      const result = await run(source.replaceAll("MiB", String(MiB)), {
        limits: { timeoutMs: 30_000, memoryBytes: capBytes },
      });
      clearInterval(sampler);
      expect(["SCRIPT_MEMORY", "SCRIPT_FAILED"]).toContain(result.error?.code);
      if (result.error?.code === "SCRIPT_FAILED") {
        expect(result.error.message).toMatch(/stack overflow|string too long/);
      }
      expect(peak - before).toBeLessThan(capBytes + 32 * MiB);
      await expectHealthy();
    });
  }

  test("one allocation that is too large can be caught", async () => {
    for (const expression of [
      "new ArrayBuffer(1e9)",
      '"x".repeat(1e9)',
      "new Array(1e9).fill(0)",
    ]) {
      const result = await run(`try { ${expression} } catch { console.log("caught") }`, {
        limits: { timeoutMs: 30_000 },
      });
      expect(result).toMatchObject({ exitCode: 0, output: "caught\n" });
    }
  });

  test("two hundred scripts that run out of it one after the other do no harm", async () => {
    const before = process.memoryUsage.rss();
    for (let count = 0; count < 200; count += 1) {
      const result = await run('const a = []; while (true) a.push("x".repeat(1e5) + a.length)', {
        limits: { memoryBytes: 16 * MiB, timeoutMs: 30_000 },
      });
      expect(result.error?.code).toBe("SCRIPT_MEMORY");
    }
    await expectHealthy();
    expect(process.memoryUsage.rss() - before).toBeLessThan(150 * MiB);
  });

  test("a flood of output is held back and truncated", async () => {
    const before = process.memoryUsage.rss();
    let peak = before;
    let length = 0;
    const result = await run('const s = "x".repeat(10_000); while (true) console.log(s)', {
      limits: { timeoutMs: 1500 },
      onOutput: (_stream, text) => {
        length += text.length;
        peak = Math.max(peak, process.memoryUsage.rss());
      },
    });
    expect(result).toMatchObject({ exitCode: 124, truncated: true });
    expect(result.output.length).toBeLessThan(MiB + 100);
    expect(length).toBeGreaterThan(MiB);
    expect(peak - before).toBeLessThan(128 * MiB);
  });
});

describe("the stack", () => {
  const deep: Record<string, string> = {
    "plain recursion": "(function f() { f() })()",
    "nested parentheses": 'new Function("(".repeat(1e5))',
    "nested brackets": 'eval("[".repeat(1e5))',
    "deep JSON": 'JSON.parse("[".repeat(1e5))',
    "flat of a deep array": "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a.flat(Infinity)",
    "stringify of a deep array":
      "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)",
    "a recursive toString": "const o = { toString() { return String(o) } }; String(o)",
    "a recursive proxy": "const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x",
    "a recursive getter": "const o = { get x() { return o.x } }; o.x",
    "sort that recurses": "(function f() { [2, 1].sort(() => f()) })()",
    "replace that recurses": '(function f() { "a".replace(/a/, f) })()',
    "console.log that recurses":
      "const o = { toJSON() { console.log(JSON.stringify(o)); return 1 } }; console.log(JSON.stringify(o))",
    "a host call from a callback":
      'import s from "spaces"; const o = { toString() { s.start({ toJSON() { return String(o) } }) } }; String(o)',
    "deep source": `${"(".repeat(2e4)}1${")".repeat(2e4)}`,
    "a deep regular expression": 'new RegExp("(".repeat(5e4) + ")".repeat(5e4))',
  };
  for (const [name, source] of Object.entries(deep)) {
    test(`that ${name} exhausts ends the script, not the host`, async () => {
      const result = await run(source, { limits: { timeoutMs: 5000 } });
      expect(["SCRIPT_FAILED", "SCRIPT_MEMORY", "SCRIPT_TIMEOUT", undefined]).toContain(
        result.error?.code,
      );
      await expectHealthy();
    });
  }
});

describe("tampering with the built-ins", () => {
  const tampering: Record<string, string> = {
    JSON: 'JSON.parse = JSON.stringify = () => { throw new Error("no") }',
    toJSON:
      "Object.prototype.toJSON = Array.prototype.toJSON = String.prototype.toJSON = () => 'forged'",
    "array accessors":
      "for (let i = 0; i < 9; i++) Object.defineProperty(Array.prototype, i, { set() { throw 1 }, get() { return 7 }, configurable: true })",
    "array methods":
      "for (const k of ['push', 'map', 'forEach', 'join', 'slice', Symbol.iterator]) Array.prototype[k] = () => { throw 1 }",
    promises:
      "Promise.prototype.then = () => { throw 1 }; Object.defineProperty(Object.prototype, 'then', { get() { return undefined } })",
    species: "Object.defineProperty(Promise, Symbol.species, { get() { throw 1 } });",
    strings: "String.prototype.slice = String.prototype.charCodeAt = () => { throw 1 }",
    reflection:
      "Reflect.apply = Function.prototype.call = Function.prototype.apply = () => { throw 1 }",
    numbers:
      "globalThis.Number = globalThis.String = globalThis.Error = globalThis.Promise = undefined",
    prototypes:
      "Object.prototype.code = Object.prototype.error = Object.prototype.message = 'forged'",
  };
  for (const [name, attack] of Object.entries(tampering)) {
    test(`such as ${name} leaves calls, errors and the end as they are`, async () => {
      const source = `
        import s from "spaces";
        import * as later from "spaces/async";
        const running = later.start("a");
        ${attack};
        await running;
        throw "the end";`;
      const result = await run(source, {
        host: () => Promise.resolve({ status: "running" }),
      });
      expect(result).toMatchObject({
        exitCode: 1,
        error: { code: "SCRIPT_FAILED", name: "Uncaught", message: "the end" },
      });
      await expectHealthy();
    });
  }
});

describe("the world outside", () => {
  test("is out of reach through constructors, prototypes and globals", async () => {
    const source = `
      import spaces from "spaces";
      const reach = {};
      for (const name of ["process", "require", "module", "Buffer", "global", "WebAssembly", "SharedArrayBuffer",
        "Atomics", "Deno", "Bun", "std", "os", "print", "scriptArgs", "load", "spaces:port"]) {
        reach[name] = typeof spaces.start.constructor("n", "return globalThis[n]")(name);
      }
      reach.dynamic = await import("std").then(() => "yes", () => "no");
      reach.host = await import("spaces:host").then(() => "yes", () => "no");
      reach.entry = await import("spaces:entry").then(() => "yes", () => "no");
      reach.evaluated = await eval('import("spaces:host")').then(() => "yes", () => "no");
      reach.made = await new Function('return import("spaces:host")')().then(() => "yes", () => "no");
      console.log(JSON.stringify([...new Set(Object.values(reach))]));`;
    const result = await run(source);
    expect(result.output).toBe('["undefined","no"]\n');
  });

  test("is not found by any path", async () => {
    const asked: string[] = [];
    for (const specifier of [
      "../../../etc/passwd",
      "/etc/passwd",
      "file:///etc/passwd",
      "https://example.org/x.js",
      "data:text/javascript,1",
      "node:fs",
      "./a/../../b.js",
      "./%2e%2e/b.js",
      "./a\\\\..\\\\b.js",
      "./a?b",
      "./a#b",
      "./a//b.js",
      "..",
      ".",
      "",
      "./spaces:host",
      "spaces:lazy/url",
      "./x".padEnd(5000, "y"),
    ]) {
      const source = `await import("${specifier}").then(() => console.log("read"), () => console.log("refused"))`;
      const result = await run(source, {
        filename: "deep/script.js",
        moduleSource: (path) => {
          asked.push(path);
          return Promise.resolve(undefined);
        },
      });
      expect(result.output).toBe("refused\n");
    }
    expect(asked.filter((path) => path !== "spaces:host")).toEqual([]);
  });

  test("does not show in errors", async () => {
    const result = await run('import s from "spaces"; s.start("a")', {
      host: () => Promise.reject(new Error("ENOENT /root/secret")),
    });
    expect(JSON.stringify(result)).not.toMatch(/secret|node_modules|dist\/|file:\/\//);
    expect(result.error?.error?.code).toBe("INTERNAL");
  });
});

describe("the source", () => {
  test("may be garbage", async () => {
    for (const source of [
      "\u0002\u0005bytecode\u0001\u0002",
      "QJS1\u0003\u0004",
      "}{",
      "\u{1f600}",
      "import",
      "export default",
      "`${".repeat(1000),
      "</script><script>1",
      "\ud800",
    ]) {
      const result = await run(source);
      expect(result.error).toMatchObject({ name: "SyntaxError", code: "SCRIPT_FAILED" });
    }
  });
});

describe("the host", () => {
  test("may answer with anything", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const answers: unknown[] = [
      undefined,
      null,
      10n,
      cycle,
      Symbol("s"),
      () => 1,
      Number.NaN,
      {
        toJSON: () => {
          throw new Error("no");
        },
      },
      "x".repeat(17 * MiB),
    ];
    for (const answer of answers) {
      const result = await run(
        'import s from "spaces"; try { s.set_description("a", "b"); console.log("ok") } catch (e) { console.log(e.code) }',
        {
          host: () => Promise.resolve(answer),
        },
      );
      expect(result.output).toMatch(/^(ok|INTERNAL|LIMIT_EXCEEDED)\n$/);
    }
  });

  test("may throw before it gives a promise, or give details that are no JSON", async () => {
    const hosts: HostCall[] = [
      () => {
        throw new TypeError("sync");
      },
      () => Promise.reject(new SpacesError("CONFLICT", "m", { details: { big: 1n } })),
      () => Promise.reject(null),
    ];
    for (const throwing of hosts) {
      const result = await run(
        'import s from "spaces"; try { s.start("a") } catch (e) { console.log(e.code) }',
        {
          host: throwing,
        },
      );
      expect(result.output).toMatch(/^(INTERNAL|CONFLICT)\n$/);
    }
  });

  test("may reject after the script has ended", async () => {
    const result = await run(
      'import * as s from "spaces/async"; s.start("a"); throw new Error("end")',
      {
        host: (_name, _input, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(new Error("late")));
          }),
      },
    );
    expect(result.error?.message).toBe("end");
    await expectHealthy();
  });

  test("is not flooded with calls at once", async () => {
    let running = 0;
    let most = 0;
    const result = await run(
      'import * as s from "spaces/async"; await Promise.all(Array.from({ length: 500 }, () => s.start("a"))); console.log("done")',
      {
        limits: { concurrentCalls: 8, timeoutMs: 20_000 },
        host: async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          return { status: "running" };
        },
      },
    );
    expect(result.output).toBe("done\n");
    expect(most).toBe(8);
  });

  test("refuses the timers and the inputs that are too many or too large", async () => {
    const timers = await run(
      "try { while (true) setTimeout(() => {}, 1e6) } catch (e) { console.log(e.code) } (await import('runtime')).exit(0)",
    );
    expect(timers.output).toBe("LIMIT_EXCEEDED\n");
    const input = await run(
      'import s from "spaces"; try { s.set_description("a", "x".repeat(17 * 1024 * 1024)) } catch (e) { console.log(e.code) }',
      { limits: { memoryBytes: 256 * MiB, timeoutMs: 20_000 } },
    );
    expect(input.output).toBe("LIMIT_EXCEEDED\n");
  });
});

describe("the global surface", () => {
  test("is exactly the reviewed one", async () => {
    const result = await run(
      "console.log(Object.getOwnPropertyNames(globalThis).sort().join(' '))",
    );
    expect(result.output.trim().split(" ")).toMatchInlineSnapshot(`
      [
        "AbortController",
        "AbortSignal",
        "AggregateError",
        "Array",
        "ArrayBuffer",
        "BigInt",
        "BigInt64Array",
        "BigUint64Array",
        "Boolean",
        "CustomEvent",
        "DOMException",
        "DataView",
        "Date",
        "Error",
        "EvalError",
        "Event",
        "EventTarget",
        "FinalizationRegistry",
        "Float16Array",
        "Float32Array",
        "Float64Array",
        "Function",
        "Headers",
        "Infinity",
        "Int16Array",
        "Int32Array",
        "Int8Array",
        "InternalError",
        "Intl",
        "Iterator",
        "JSON",
        "Map",
        "Math",
        "NaN",
        "Number",
        "Object",
        "Promise",
        "Proxy",
        "RangeError",
        "ReferenceError",
        "Reflect",
        "RegExp",
        "Request",
        "Response",
        "Set",
        "String",
        "Symbol",
        "SyntaxError",
        "TextDecoder",
        "TextEncoder",
        "TypeError",
        "URIError",
        "URL",
        "URLSearchParams",
        "Uint16Array",
        "Uint32Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "WeakMap",
        "WeakRef",
        "WeakSet",
        "atob",
        "btoa",
        "clearInterval",
        "clearTimeout",
        "console",
        "crypto",
        "decodeURI",
        "decodeURIComponent",
        "encodeURI",
        "encodeURIComponent",
        "escape",
        "eval",
        "fetch",
        "globalThis",
        "isFinite",
        "isNaN",
        "parseFloat",
        "parseInt",
        "performance",
        "queueMicrotask",
        "setInterval",
        "setTimeout",
        "structuredClone",
        "undefined",
        "unescape",
      ]
    `);
  });
});
