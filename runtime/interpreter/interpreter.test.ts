import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { createInterpreter } from "./interpreter.js";
import type { HostCall, ScriptRequest, ScriptResult } from "./types.js";

const interpreter = createInterpreter({ minWorkers: 1, maxWorkers: 4 });
afterAll(() => interpreter[Symbol.asyncDispose]());

/** Answers by the name of the space: `missing`, `broken` and `hanging` are what they say. */
const host: HostCall = (_name, input, { signal }) => {
  const { space } = input as { space: string };
  if (space === "missing") {
    return Promise.reject(
      new SpacesError("SPACE_NOT_FOUND", 'There is no space "missing".', { details: { tried: 1 } }),
    );
  }
  if (space === "broken") {
    return Promise.reject(new Error("EACCES /home/somebody/.secret"));
  }
  if (space !== "hanging") {
    return Promise.resolve({ status: "running", isRunning: true, description: space });
  }
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
};

function run(source: string, request: Partial<ScriptRequest> = {}): Promise<ScriptResult> {
  return interpreter.run({
    filename: "script.js",
    source,
    host,
    limits: { timeoutMs: 20_000 },
    ...request,
  });
}

/** Runs a script that has to succeed and gives its output. */
async function outputOf(source: string, request: Partial<ScriptRequest> = {}): Promise<string> {
  const result = await run(source, request);
  expect(result.error).toBeUndefined();
  expect(result.exitCode).toBe(0);
  return result.output;
}

describe("a script", () => {
  test("writes to its output and ends with 0", async () => {
    expect(await outputOf('console.log("hello", 1 + 1)')).toBe("hello 2\n");
  });

  test("may await at top level", async () => {
    expect(await outputOf("console.log(await Promise.resolve(3))")).toBe("3\n");
  });

  test("sees its arguments, input and the permitted part of the environment", async () => {
    const output = await outputOf(
      'import { args, input, env } from "runtime";' +
        'console.log(JSON.stringify([args, input, env.OPEN, "SHUT" in env]))',
      {
        args: ["a", "b\0c"],
        input: { deep: ["\ud800"] },
        env: { OPEN: "1", SHUT: "2" },
        permissions: { env: ["OPEN"] },
      },
    );
    expect(output).toBe('[["a","b\\u0000c"],{"deep":["\\ud800"]},"1",false]\n');
  });

  test("does not share globals with the script before it", async () => {
    await outputOf("globalThis.leak = 1; Array.prototype.leak = 1");
    expect(await outputOf("console.log(typeof leak, typeof [].leak)")).toBe(
      "undefined undefined\n",
    );
  });

  test("ends with the code given to exit, and nothing of it runs afterwards", async () => {
    const result = await run(
      'import { exit } from "runtime";' +
        'try { exit(7); } catch { console.log("caught") } finally { console.log("finally") }',
    );
    expect(result).toMatchObject({ exitCode: 7, output: "" });
    expect(result.error).toBeUndefined();
  });

  test("waits for timers and keeps their order", async () => {
    const source = `
      setTimeout(() => console.log("late"), 20);
      setTimeout((word) => console.log(word), 1, "soon");
      const cancelled = setTimeout(() => console.log("never"), 1);
      clearTimeout(cancelled);
      let ticks = 0;
      const interval = setInterval(() => { if (++ticks === 3) clearInterval(interval); }, 1);
      queueMicrotask(() => console.log("micro"));
      console.log("first");`;
    expect(await outputOf(source)).toBe("first\nmicro\nsoon\nlate\n");
  });

  test("that awaits what can never settle fails", async () => {
    const result = await run("await new Promise(() => {})");
    expect(result.error?.code).toBe("SCRIPT_NEVER_SETTLES");
  });

  test("may be empty, have a byte order mark, a hashbang, or CRLF", async () => {
    expect(await outputOf("")).toBe("");
    expect(await outputOf("\ufeffconsole.log(1)")).toBe("1\n");
    expect(await outputOf("#!/usr/bin/env spaces\r\nconsole.log(2)\r\n")).toBe("2\n");
    expect(await outputOf('console.log("\u2028".length, "</script>")')).toBe("1 </script>\n");
  });

  test("with a NUL character or of too great a size is refused", async () => {
    expect((await run("1;\n\0")).error).toMatchObject({
      code: "INVALID_INPUT",
      message: "The script script.js holds a NUL character in line 2.",
    });
    const large = await run(`/*${"x".repeat(100)}*/`, { limits: { sourceBytes: 100 } });
    expect(large.error?.message).toBe("The script script.js has 104 bytes; the limit is 100.");
  });
});

describe("a host call", () => {
  test("blocks and gives its answer, with every character intact", async () => {
    const output = await outputOf(
      'import spaces from "spaces";' +
        'const text = spaces.get_description("a\\0b\\ud800\\u{1f600}\\u2028");' +
        'console.log(text === "a\\0b\\ud800\\u{1f600}\\u2028")',
    );
    expect(output).toBe("true\n");
  });

  test("throws the host's error, at the user's line", async () => {
    const result = await run('import spaces from "spaces";\n\n  spaces.start("missing");');
    expect(result.exitCode).toBe(1);
    expect(result.error).toMatchObject({
      name: "SpacesError",
      message: 'There is no space "missing".',
      code: "SCRIPT_FAILED",
      error: { code: "SPACE_NOT_FOUND", details: { tried: 1 } },
      position: { file: "script.js", line: 3 },
    });
    expect(result.error?.frame).toContain('> 3 |   spaces.start("missing");');
    expect(result.error?.stack).not.toContain("spaces:");
  });

  test("throws an error that can be caught with its code and status", async () => {
    const source =
      'import spaces from "spaces"; try { spaces.start("missing") }' +
      "catch (e) { console.log(e instanceof Error, e.code, e.status, e.details.tried) }";
    expect(await outputOf(source)).toBe("true SPACE_NOT_FOUND 404 1\n");
  });

  test("tells nothing of a foreign error", async () => {
    const source =
      'import spaces from "spaces"; try { spaces.start("broken") }' +
      "catch (e) { console.log(e.code, e.message, String(e.stack)) }";
    const output = await outputOf(source);
    expect(output).toContain("INTERNAL");
    expect(output).not.toMatch(/EACCES|somebody|\/work|node_modules|file:/);
  });

  test("runs beside a hundred others as a promise", async () => {
    const source = `
      import * as spaces from "spaces/async";
      const all = await Promise.all(
        Array.from({ length: 100 }, (_, n) => spaces.is_running("s" + n)));
      console.log(all.length, all.every((running) => running === true));`;
    expect(await outputOf(source)).toBe("100 true\n");
  });

  test("as a promise points to the user's line when it fails", async () => {
    const result = await run(
      'import * as spaces from "spaces/async";\nawait null;\nawait spaces.start("missing");',
    );
    expect(result.error?.position).toMatchObject({ file: "script.js", line: 3 });
  });

  test("whose promise nothing awaits is waited for", async () => {
    let answered = false;
    const result = await run(
      'import * as s from "spaces/async"; s.start("x"); console.log("end")',
      {
        host: async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          answered = true;
          return { status: "running" };
        },
      },
    );
    expect(result).toMatchObject({ exitCode: 0, output: "end\n" });
    expect(answered).toBe(true);
  });

  test("keeps promise answers that arrive while another call blocks", async () => {
    const source = `
      import spaces from "spaces";
      import * as later from "spaces/async";
      const promise = later.is_running("a").then((value) => console.log("promise", value));
      for (let n = 0; n < 20; n++) spaces.is_running("b");
      console.log("blocked");
      await promise;`;
    expect(await outputOf(source)).toBe("blocked\npromise true\n");
  });
});

describe("an uncaught error", () => {
  test("has the file, line, column and a code frame", async () => {
    const result = await run("const o = {};\n\n  o.foo.bar;\n");
    expect(result).toMatchObject({ exitCode: 1 });
    expect(result.error).toMatchObject({
      name: "TypeError",
      code: "SCRIPT_FAILED",
      position: { file: "script.js", line: 3, column: 8 },
    });
    expect(result.error?.frame).toBe(
      ["  1 | const o = {};", "  2 |", "> 3 |   o.foo.bar;", "    |        ^", "  4 |"].join("\n"),
    );
  });

  test("has its cause, and the errors of an AggregateError", async () => {
    const caused = await run('throw new Error("outer", { cause: new RangeError("inner") })');
    expect(caused.error?.cause).toMatchObject({ name: "RangeError", message: "inner" });
    const many = await run('await Promise.any([Promise.reject(new TypeError("one"))])');
    expect(many.error?.message).toContain("[1] TypeError: one");
  });

  test("of a syntax points to the place", async () => {
    const result = await run("let a = 1;\nlet b = ;");
    expect(result.error).toMatchObject({ name: "SyntaxError", position: { line: 2, column: 9 } });
  });

  test("in a timer or a microtask ends the script", async () => {
    for (const start of ["setTimeout", "queueMicrotask"]) {
      const result = await run(
        `${start}(() => { throw new Error("late") }); setInterval(() => {}, 5)`,
      );
      expect(result.error).toMatchObject({ message: "late", position: { line: 1 } });
    }
  });

  test("in a promise that nothing handles ends the script", async () => {
    for (const source of [
      'async function main() { await null; throw new Error("floating") }\nmain();',
      'new Promise(() => { throw new Error("floating") });',
      'import * as s from "spaces/async"; (async () => { await s.is_running("a"); throw new Error("floating") })();',
    ]) {
      const result = await run(source);
      expect(result.exitCode).toBe(1);
      expect(result.error?.message).toBe("floating");
    }
  });

  test("is none when the promise is handled before the script waits", async () => {
    const source = `
      const promise = Promise.reject(new Error("handled"));
      await null;
      try { await promise } catch (e) { console.log(e.message) }
      await Promise.allSettled([Promise.reject(1), Promise.reject(2)]);
      Promise.race([Promise.reject(3), Promise.reject(4)]).catch(() => {});`;
    expect(await outputOf(source)).toBe("handled\n");
  });
});

describe("an import", () => {
  const files = new Map([
    ["lib/math.ts", 'import { base } from "../base.js";\nexport const sum: number = base + 1;'],
    ["base.js", "export const base = 41;"],
    ["data.json", '{"a":[1],"__proto__":{"b":2}}'],
    ["broken.ts", "enum Colour { red }"],
    ["thrower.ts", "export function f(): never {\n  throw new Error('inside');\n}"],
  ]);
  const moduleSource = (path: string) => Promise.resolve(files.get(path));

  test("are one module by whatever path the host knows them by another", async () => {
    const asked: string[] = [];
    const aliased = async (path: string) => {
      asked.push(path);
      return {
        path: "lib/one.ts",
        source: "export let n: number = 0; export const up = () => ++n;",
      };
    };
    const source = `import { up } from "./one";
      import * as ts from "./one.ts";
      up();
      const js = await import("./other/one.js");
      console.log(ts.n, js.n, js === ts, (await import("./lib/one.ts")) === ts);`;
    expect(await outputOf(source, { moduleSource: aliased })).toBe("1 1 true true\n");
    expect(asked).toEqual(["one", "one.ts", "other/one.js"]);
  });

  test("say why there is none, in words of the registry alone", async () => {
    const failing = (error: Error) =>
      run('import "./x.js";', { moduleSource: () => Promise.reject(error) });
    const told = await failing(new SpacesError("INVALID_INPUT", "It is no lib."));
    expect(told.error?.message).toBe("Cannot import 'x.js': It is no lib.");
    const untold = await failing(new Error("/home/secret"));
    expect(untold.error?.message).toBe("Cannot import 'x.js': It could not be read.");
  });

  test("reads files beside the script, TypeScript and JSON too", async () => {
    const source = `
      import { sum } from "./lib/math.ts";
      import data from "./data.json" with { type: "json" };
      const again = await import("./lib/../base.js");
      console.log(sum, again.base, JSON.stringify(data));`;
    const output = await outputOf(source, { filename: "scripts/main.js", moduleSource });
    expect(output).toBe('42 41 {"a":[1],"__proto__":{"b":2}}\n');
  });

  test("shows errors in the imported file", async () => {
    const result = await run('import { f } from "./thrower.ts";\nf();', { moduleSource });
    expect(result.error?.position).toEqual({ file: "thrower.ts", line: 2, column: 18 });
    expect(result.error?.stack).toContain("script.js:2:2");
  });

  test("that cannot be found says what can be imported, and where it stands", async () => {
    const result = await run('\nimport fs from "node:fs";', { moduleSource });
    expect(result.error?.message).toMatch(
      /^Cannot find module 'node:fs' imported from script.js: a script can import the modules spaces, spaces\/async/,
    );
    expect(result.error?.position).toEqual({ file: "script.js", line: 2, column: 16 });
    const missing = await run('import "./nothing.js";', { moduleSource });
    expect(missing.error?.message).toContain("'./nothing.js' imported from script.js");
    const broken = await run('import "./broken.ts";', { moduleSource });
    expect(broken.error?.message).toContain("enum is not supported");
  });

  test("can be caught when it is dynamic", async () => {
    const output = await outputOf('try { await import("fs") } catch (e) { console.log(e.name) }');
    expect(output).toBe("Error\n");
  });
});

describe("TypeScript", () => {
  test("runs with lines and columns kept", async () => {
    const result = await run("type A = { b: string };\nconst a = {} as unknown as A; a.b.length;", {
      filename: "script.ts",
    });
    expect(result.error?.position).toEqual({ file: "script.ts", line: 2, column: 34 });
  });

  test("that does not disappear is refused with its place", async () => {
    const result = await run("const a = 1;\n  enum Colour { red }", { filename: "script.ts" });
    expect(result.error).toMatchObject({
      name: "SyntaxError",
      code: "SCRIPT_FAILED",
      position: { line: 2, column: 3 },
    });
  });

  test("is cached, and a spoilt cache entry is not believed", async () => {
    const cacheDir = await mkdtemp(join(tmpdir(), "spaces-types-"));
    const cached = createInterpreter({ maxWorkers: 1, cacheDir });
    try {
      const request = { filename: "a.ts", source: "const a: number = 1; console.log(a)", host };
      expect((await cached.run(request)).output).toBe("1\n");
      const [entry = ""] = await readdir(cacheDir);
      const path = join(cacheDir, entry);
      const stored = await readFile(path, "utf8");
      expect(stored).toContain("console.log(a)");
      for (const spoilt of [
        "",
        "rubbish",
        stored.replace("log(a)", "log(2)"),
        stored.slice(0, -3),
      ]) {
        await writeFile(path, spoilt);
        expect((await cached.run(request)).output).toBe("1\n");
      }
    } finally {
      await cached[Symbol.asyncDispose]();
      await rm(cacheDir, { recursive: true });
    }
  });
});

describe("output", () => {
  test("arrives in pieces, in order, and before a blocking call is made", async () => {
    const events: string[] = [];
    await run(
      'import spaces from "spaces"; console.log("a"); console.error("b"); spaces.is_running("x"); console.log("c")',
      {
        host: async () => {
          events.push("call");
          return { isRunning: true };
        },
        onOutput: (stream, text) => events.push(`${stream}:${text}`),
      },
    );
    expect(events).toEqual(["stdout:a\n", "stderr:b\n", "call", "stdout:c\n"]);
  });

  test("beyond the limit is dropped behind a marker", async () => {
    const result = await run('console.log("é".repeat(100)); console.log("more")', {
      limits: { outputBytes: 21 },
    });
    expect(result.truncated).toBe(true);
    expect(result.output).toBe(`${"é".repeat(10)}\n[output truncated after 21 bytes]\n`);
  });
});

describe("limits", () => {
  test("a deadline ends a script that computes, one that waits, and one that blocks", async () => {
    for (const source of [
      "while (true) {}",
      "setInterval(() => {}, 5)",
      'import spaces from "spaces"; try { spaces.restart("hanging") } catch {} console.log("on")',
      'import { sleep } from "runtime"; sleep(100)',
    ]) {
      const result = await run(source, { limits: { timeoutMs: 100 } });
      expect(result.error?.code).toBe("SCRIPT_TIMEOUT");
      expect(result).toMatchObject({ exitCode: 124, output: "" });
    }
  });

  test("the deadline aborts the host call that runs", async () => {
    let reason: unknown;
    await run('import spaces from "spaces"; spaces.restart("hanging")', {
      limits: { timeoutMs: 50 },
      host: (_name, _input, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reason = signal.reason;
            reject(signal.reason);
          });
        }),
    });
    expect(reason).toBeInstanceOf(DOMException);
  });

  test("a signal cancels a script, wherever it is", async () => {
    for (const source of [
      "while (true) {}",
      'import spaces from "spaces"; spaces.restart("hanging")',
      "setInterval(() => {}, 5)",
    ]) {
      const controller = new AbortController();
      const running = run(`console.log("on");\n${source}`, {
        signal: controller.signal,
        onOutput: () => controller.abort(),
      });
      expect(await running).toMatchObject({ exitCode: 130, error: { code: "CANCELLED" } });
    }
    const aborted = await run("1", { signal: AbortSignal.abort() });
    expect(aborted.error?.code).toBe("CANCELLED");
  });

  test("a full pool with a full queue refuses", async () => {
    const small = createInterpreter({ maxWorkers: 1, maxQueued: 1 });
    const source = 'import { sleep } from "runtime"; sleep(0.05); console.log("done")';
    try {
      const results = await Promise.all(
        [1, 2, 3].map(() => small.run({ filename: "a.js", source, host })),
      );
      expect(results.map((result) => result.error?.code)).toEqual([
        undefined,
        undefined,
        "LIMIT_EXCEEDED",
      ]);
    } finally {
      await small[Symbol.asyncDispose]();
    }
  });

  test("closing an interpreter cancels what runs and what waits", async () => {
    const closing = createInterpreter({ maxWorkers: 1 });
    const first = closing.run({
      filename: "a.js",
      source: "console.log(1); while (true) {}",
      host,
      onOutput: () => void closing[Symbol.asyncDispose](),
    });
    const second = closing.run({ filename: "b.js", source: "1", host });
    expect((await first).error?.code).toBe("CANCELLED");
    expect((await second).error?.code).toBe("CANCELLED");
  });

  test("a one-shot interpreter runs its script", async () => {
    const oneShot = createInterpreter({ oneShot: true });
    const result = await oneShot.run({ filename: "a.js", source: "console.log(1)", host });
    expect(result).toMatchObject({ exitCode: 0, output: "1\n" });
    await oneShot[Symbol.asyncDispose]();
  });
});
