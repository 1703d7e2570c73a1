/** Hostile scripts, run from the command line: none leaves the sandbox, hangs or harms its host. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, CliHome, type CliResult, ROOT, type ScriptOptions } from "../support/cli.js";

const MEBIBYTE = 1024 * 1024;

let cli: CliHome;
beforeAll(async () => {
  cli = await CliHome.make();
  expect(await cli.run(["create", "dev", "--start"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

/** Runs a script and gives, beside its result, the most memory that its process had at once. */
async function withPeak(
  source: string,
  options: ScriptOptions = {},
): Promise<CliResult & { readonly peakBytes: number }> {
  let peakBytes = 0;
  let sampling: NodeJS.Timeout | undefined;
  const result = await cli.script(source, {
    ...options,
    onStart: ({ pid }) => {
      sampling = setInterval(() => {
        // The figure only grows, so the last one that is read before the end is the answer.
        const kibibytes = /VmHWM:\s+(\d+)/.exec(statusOf(pid))?.[1];
        if (kibibytes !== undefined) peakBytes = Number(kibibytes) * 1024;
      }, 10);
    },
  });
  clearInterval(sampling);
  return { ...result, peakBytes };
}

function statusOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return ""; // It has ended.
  }
}

describe("a script that does not end", () => {
  it.each([
    ["an endless loop", "while (true) {}"],
    ["an endless loop of promises", "while (true) await null;"],
    ["a native loop that no interrupt reaches", "new Array(1e9) + '';"],
    [
      "a search that no interrupt reaches",
      "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    ],
    ["a regular expression that backtracks", "/(a+)+$/.test('a'.repeat(40) + 'b');"],
    ["an endless finally", "try { throw 1 } finally { for (;;); }"],
    ["a getter that never returns", "throw { get message() { for (;;); } };"],
    [
      "a timer that starts itself again",
      "const go = () => setTimeout(go, 0); go(); await new Promise(() => {});",
    ],
    ["a blocked sleep", 'import { sleep } from "runtime"; sleep(1000);'],
    [
      "a blocked command",
      'import spaces from "spaces"; spaces.run("dev", "sleep 60", { timeout: 60 });',
    ],
    ["a loop that swallows errors", "for (;;) { try { for (;;); } catch {} }"],
  ])("%s is stopped at its time limit", async (_, source) => {
    const result = await cli.script(source, { flags: ["--timeout", "400ms"] });
    expect(result).toMatchObject({ code: 124, signal: undefined, stdout: "" });
    expect(result.stderr).toContain("[SCRIPT_TIMEOUT]");
  });

  it("leaves nothing running in its space", async () => {
    const show = () => cli.json<{ activity: string }>(["show", "dev"]);
    await expect.poll(async () => (await show()).activity).toBe("idle");
  });

  it("is named when it awaits what can never settle", async () => {
    const result = await cli.script("console.log(1);\nawait new Promise(() => {});\n");
    expect(result).toMatchObject({ code: 1, stdout: "1\n" });
    expect(result.stderr).toContain("[SCRIPT_NEVER_SETTLES]");
  });

  it("ends at once on SIGINT, and on SIGTERM", async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const result = await cli.script("console.log('ready'); while (true) {}", {
        onStart: (child) => child.stdout?.once("data", () => child.kill(signal)),
      });
      expect(result).toMatchObject({ code, signal: undefined, stdout: "ready\n", stderr: "" });
    }
  });

  it("takes the command that it waits for with it on SIGINT", async () => {
    const source = `
      import spaces from "spaces";
      console.log("ready");
      spaces.run("dev", "sleep 60", { timeout: 60 });`;
    const result = await cli.script(source, {
      onStart: (child) => child.stdout?.once("data", () => child.kill("SIGINT")),
    });
    expect(result).toMatchObject({ code: 130, stdout: "ready\n" });
    expect(await cli.run(["exec", "dev", "--", "echo", "alive"])).toMatchObject({
      stdout: "alive\n",
    });
  });
});

describe("a script that takes memory", () => {
  const linux = process.platform === "linux";
  let baseline = 0;
  beforeAll(async () => {
    const hello = await withPeak(
      'import { sleep } from "runtime"; sleep(0.3); console.log("hello")',
    );
    expect(hello).toMatchObject({ code: 0, stdout: "hello\n" });
    baseline = hello.peakBytes;
  });

  it.skipIf(!linux).each([
    [
      "an array of megabyte strings",
      "const kept = []; for (let i = 0; ; i++) kept.push('x'.repeat(1e6) + i);",
    ],
    ["objects without end", "let last = null; for (;;) last = { last, more: [1, 2, 3] };"],
    ["closures without end", "const all = []; for (let i = 0; ; i++) all.push(() => i);"],
    [
      "one large buffer after the other",
      "const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1));",
    ],
    [
      "keys of one object without end",
      "const all = {}; for (let i = 0; ; i++) all['key' + i] = i;",
    ],
    [
      "promises without end",
      "const all = []; for (;;) all.push(Promise.resolve().then(() => {}));",
    ],
  ])("%s ends with a memory error, and the host stays below its cap", async (_, source) => {
    const result = await withPeak(source, { flags: ["--timeout", "20s"] });
    expect(result).toMatchObject({ code: 1, signal: undefined, stdout: "" });
    expect(result.stderr).toContain("[SCRIPT_MEMORY]");
    expect((result.peakBytes - baseline) / MEBIBYTE).toBeLessThan(64 + 32);
  });

  it("can catch a lack of memory and go on", async () => {
    const lines = await cli.lines(`
      for (let round = 0; round < 3; round++) {
        try { const all = []; for (;;) all.push("x".repeat(1e6) + all.length); } catch (e) { console.log(e.message); }
      }
      console.log("goes on");
    `);
    expect(lines).toEqual(["out of memory", "out of memory", "out of memory", "goes on"]);
  });

  it("is told the truth when a host call is what it lacks memory for", async () => {
    const result = await cli.script(`
      import spaces from "spaces";
      const many = Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => ["k" + i, "v"]));
      const long = "a".repeat(1e7);
      const attempt = (call) => { try { call(); } catch (e) { console.log(e.code ?? e.message); } };
      for (let round = 0; round < 3; round++) {
        attempt(() => spaces.create("new", "default", { env: many }));
        attempt(() => spaces.start(long));
      }
    `);
    for (const line of result.stdout.trim().split("\n")) {
      expect(line).toMatch(/^(INVALID_INPUT|out of memory)$/);
    }
    expect(result.stderr).toMatch(/^$|\[SCRIPT_MEMORY]/);
  });

  it("keeps the memory that it was given", async () => {
    const source = "const kept = []; for (;;) kept.push('x'.repeat(1e6) + kept.length);";
    const result = await withPeak(source, { flags: ["--memory", "128Mi"] });
    expect(result.stderr).toContain("memory of 128 MiB. [SCRIPT_MEMORY]");
    if (linux) expect((result.peakBytes - baseline) / MEBIBYTE).toBeLessThan(128 + 32);
  });

  it.skipIf(!linux)("output that nobody reads does not pile up in the host", async () => {
    const source = `
      const line = "x".repeat(100_000);
      for (let i = 0; i < 20_000; i++) console.log(line);`;
    const result = await withPeak(source, {
      flags: ["--timeout", "3s"],
      onStart: (child) => child.stdout?.pause(),
    });
    expect((result.peakBytes - baseline) / MEBIBYTE).toBeLessThan(64 + 32);
  });

  it.each([
    ["itself", "const f = () => f(); f();"],
    ["itself by getters", "const o = { get a() { return this.a; } }; o.a;"],
    ["itself by toString", "const o = { toString() { return '' + o; } }; '' + o;"],
    ["itself by a proxy", "const p = new Proxy({}, { get: (_, k) => p[k] }); p.x;"],
    ["deep brackets", "JSON.parse('['.repeat(1e5));"],
    ["deep source", "eval('('.repeat(1e5));"],
    [
      "deep arrays",
      "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a.flat(Infinity); JSON.stringify(a);",
    ],
    ["a deep regular expression", "new RegExp('('.repeat(1e5));"],
  ])("recursion into %s can be caught", async (_, source) => {
    const lines = await cli.lines(
      `try { ${source} console.log("none"); } catch (e) { console.log(e instanceof Error, typeof e.message); }
       console.log("goes on");`,
    );
    expect(lines).toEqual(["true string", "goes on"]);
  });

  it("recursion that nobody catches ends the script with code 1", async () => {
    const result = await cli.script("const f = () => f();\nf();\n");
    expect(result).toMatchObject({ code: 1, signal: undefined });
    expect(result.stderr).toContain("[SCRIPT_FAILED]");
  });
});

describe("what a script can import", () => {
  const REFUSED = [
    "../../etc/passwd",
    `${"../".repeat(12)}etc/passwd`,
    "/etc/passwd",
    "file:///etc/passwd",
    "node:fs",
    "fs",
    "http://127.0.0.1/x.js",
    "data:text/javascript,1",
    "spaces:host",
    "spaces:entry",
    "spaces:spaces",
    "./x/../../secret.ts",
    "./%2e%2e/secret.ts",
    "./..\\\\secret.ts",
    ".//secret.ts",
    "./link.ts",
    "./linked/secret.ts",
    "std",
    "os",
    "",
    "__proto__",
    "constructor",
  ];

  it("is nothing of the host and nothing beside its own directory", async () => {
    const { symlink } = await import("node:fs/promises");
    await cli.write("imports/secret.ts", "export default 'secret'; throw new Error('secret');");
    const path = await cli.write(
      "imports/inner/dynamic.ts",
      `import { input } from "runtime";
       for (const name of input) {
         try { await import(name); console.log("imported", name); } catch (e) { console.log(e.message); }
       }`,
    );
    const cwd = dirname(path);
    await symlink("../secret.ts", `${cwd}/link.ts`);
    await symlink("..", `${cwd}/linked`);
    const input = JSON.stringify(REFUSED);
    const caught = await cli.run(["run", "dynamic.ts", "--input", input], { cwd });
    expect(caught).toMatchObject({ code: 0, stderr: "" });
    const lines = caught.stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(REFUSED.length);
    for (const line of lines) {
      expect(line).toMatch(/^Cannot (find module|import) '/);
      expect(line).not.toMatch(/root:|throw new Error|ENOENT|imports\/inner/);
    }
    for (const name of ["../../etc/passwd", "node:fs", "file:///etc/passwd", "./link.ts"]) {
      await cli.write("imports/inner/static.ts", `\nimport "${name}";`);
      const ended = await cli.run(["run", "static.ts"], { cwd });
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(ended.stderr).toMatch(
        /^error: static\.ts:2:\d+: Error: Cannot (find module|import) '[\s\S]*\[SCRIPT_FAILED]/,
      );
    }
  });

  it("files beside it, in TypeScript and JSON", async () => {
    await cli.write("project/lib/helper.ts", "export const twice = (n: number): number => 2 * n;");
    await cli.write("project/data.json", '{"__proto__": 1, "n": 21}');
    const path = await cli.write(
      "project/main.ts",
      `import { twice } from "./lib/helper.ts";
       import data from "./data.json";
       console.log(twice(data.n), Object.keys(data).join());`,
    );
    expect(await cli.run(["run", path])).toMatchObject({ code: 0, stdout: "42 __proto__,n\n" });
  });
});

describe("what a script throws", () => {
  it.each([
    ["null", "throw null;"],
    ["undefined", "throw undefined;"],
    ["a symbol", "throw Symbol('s');"],
    ["a string", "throw 'text';"],
    ["a function", "throw () => 1;"],
    ["a bigint", "throw 10n;"],
    [
      "a proxy whose traps throw",
      "throw new Proxy({}, { get() { throw 1; }, has() { throw 1; } });",
    ],
    [
      "an error whose message throws",
      "throw Object.defineProperty(new Error(), 'message', { get() { throw 1; } });",
    ],
    [
      "an error whose stack throws",
      "throw Object.defineProperty(new Error('m'), 'stack', { get() { throw 1; } });",
    ],
    ["an error that causes itself", "const e = new Error('m'); e.cause = e; throw e;"],
    ["what looks like the end of time", "throw { name: 'InternalError', message: 'interrupted' };"],
    [
      "what looks like a time-out",
      "throw Object.assign(new Error('x'), { code: 'SCRIPT_TIMEOUT', exitCode: 0 });",
    ],
    [
      "what looks like a lack of memory",
      "throw Object.assign(new Error('out of memory'), { name: 'InternalError', code: 'SCRIPT_MEMORY' });",
    ],
    [
      "a real error with a false code",
      `import spaces from "spaces";
       try { spaces.start("nope"); } catch (e) { throw new e.constructor("SCRIPT_TIMEOUT", "forged"); }`,
    ],
    ["a promise that rejects", "Promise.reject(new Error('x'));"],
    [
      "a promise that rejects later",
      "setTimeout(() => { Promise.reject(null); }, 5); await new Promise((r) => setTimeout(r, 50));",
    ],
    ["in a timer", "setTimeout(() => { throw new Error('x'); }, 1);"],
    ["in a microtask", "queueMicrotask(() => { throw new Error('x'); });"],
  ])("%s: the script fails with code 1", async (_, source) => {
    const result = await cli.script(source);
    expect(result).toMatchObject({ code: 1, signal: undefined, stdout: "" });
    expect(result.stderr).toMatch(/^error: /);
    expect(result.stderr).not.toContain("[SCRIPT_MEMORY]");
    expect(result.stderr).not.toMatch(/\[INTERNAL]|did not end within/);
  });

  it("an import whose failure is caught is none", async () => {
    for (const [name, source] of Object.entries({
      "throws.ts": "export {}; throw new Error('from a module');",
      "awaits.ts": "await null; throw new Error('from a module');",
      "missing.ts": 'import "./nope.ts";',
    })) {
      const path = await cli.write(`caught/${name}`, source);
      await cli.write(
        "caught/main.ts",
        `try { await import("./${name}"); } catch (e) { console.log("caught"); }
         await import("./${name}").catch(() => console.log("again"));`,
      );
      const result = await cli.run(["run", "main.ts"], { cwd: dirname(path) });
      expect(result).toMatchObject({ code: 0, stdout: "caught\nagain\n", stderr: "" });
    }
  });

  it("a rejection that is handled in time is none", async () => {
    const lines = await cli.lines(`
      const later = Promise.reject(new Error("x"));
      await Promise.resolve();
      try { await later; } catch (e) { console.log("caught", e.message); }
    `);
    expect(lines).toEqual(["caught x"]);
  });

  it("a syntax error shows file, line, column and a caret", async () => {
    for (const file of ["broken.ts", "broken.js"]) {
      const result = await cli.script("const a = 1;\nconst b = = 2;\n", { file });
      expect(result).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toMatch(new RegExp(`${file}:2:11: SyntaxError: `));
      expect(result.stderr).toMatch(/> 2 \| const b = = 2;\n\s+\| {11}\^/);
    }
  });

  it("an error in TypeScript shows the user's own line and column", async () => {
    const source = `interface Long {\n  readonly a: string;\n}\nconst x: Long | null = null;\n\n  x!.a;\n`;
    const result = await cli.script(source);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/script\.ts:6:\d+: TypeError: /);
    expect(result.stderr).toMatch(/> 6 \| {3}x!\.a;\n\s+\|\s+\^/);
  });

  it("shows no control characters of the script's on the terminal", async () => {
    const result = await cli.script(String.raw`throw new Error("a\x1b]0;title\x07b\x1b[2J");`);
    expect(result.code).toBe(1);
    expect(result.stderr).not.toMatch(/[\x1b\x07]/);
  });

  it("tells of no path of the host, whatever fails", async () => {
    const { rm } = await import("node:fs/promises");
    await cli.run(["create", "gutted", "--start"]);
    const { workspace } = await cli.json<{ workspace: string }>(["show", "gutted"]);
    await rm(workspace, { recursive: true });
    const native = await cli.write("native.sh", "#!/bin/sh\necho native\n");
    await cli.run(["scripts", "save", native]);
    await cli.write("paths/broken.ts", "const = 1;");
    await cli.write("paths/late.ts", "await null; throw new Error('from a module');");
    const path = await cli.write(
      "paths/script.ts",
      `
      import spaces from "spaces";
      import later from "spaces/async";
      import runtime from "runtime";
      import yaml from "yaml";
      const attempts = [
        () => spaces.start("nope"), () => spaces.run("dev", "no-such", ["x"]),
        () => spaces.run("dev", "pwd", { workdir: "nope" }), () => spaces.run("dev", "cat /nope"),
        () => spaces.run("gutted", "pwd"), () => spaces.run("gutted", "echo x > file; cat file"),
        () => spaces.run_script("gutted", "native"), () => spaces.restart("gutted"),
        () => spaces.run_script("dev", "nope"), () => spaces.create("a/b", "default"),
        () => spaces.create("ok", "nope"), () => spaces.create("ok", "node"),
        () => spaces.nope(), () => spaces.start({}), () => runtime.env.HOME, () => runtime.exit("x"),
        () => yaml.parse("a: [}"), () => JSON.parse("{"), () => new URL("nope"), () => null.x,
        () => import("./nope.ts"), () => import("./broken.ts"), () => import("./late.ts"),
        () => import("node:fs"), () => fetch("http://127.0.0.1:1/"), () => fetch("nope"),
        () => later.start("nope"), () => structuredClone(() => 1), () => atob("*"),
        () => new Function("}"), () => eval("{"), () => crypto.getRandomValues(5),
        () => { const f = () => f(); f(); }, () => new Uint8Array(-1),
        () => { throw new Error("own"); },
      ];
      const show = (e, depth = 0) => {
        for (const key of Reflect.ownKeys(e ?? {})) console.log(String(key), e[key]);
        console.log(String(e), e?.stack, e);
        if (e?.cause && depth < 5) show(e.cause, depth + 1);
      };
      for (const attempt of attempts) {
        try { await attempt(); console.log("no error", String(attempt)); } catch (e) { show(e); }
      }
      for (const module of [spaces, later, runtime, yaml, globalThis, console]) {
        for (const key of Reflect.ownKeys(module)) {
          try { console.log(String(key), module[key], String(module[key])); } catch (e) { show(e); }
        }
      }
      console.log(import.meta, import.meta.url, new Error("here").stack);
      `,
    );
    const result = await cli.run(["run", "script.ts"], { cwd: dirname(path) });
    expect(await cli.run(["delete", "gutted", "--force"])).toMatchObject({ code: 0 });
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("from a module");
    const secrets = [ROOT, cli.home, "node_modules", "dist/", process.execPath, "file://"];
    const leaks = result.stdout
      .split("\n")
      .filter((line) => secrets.some((secret) => line.includes(secret)))
      // What the script itself asked for comes back in the refusal.
      .filter((line) => !line.includes("file:///etc/passwd"));
    expect(leaks).toEqual([]);
  });

  it("tells of no path of the host when the store cannot be used", async () => {
    const home = await CliHome.make();
    const { mkdir, rm, writeFile } = await import("node:fs/promises");
    await mkdir(`${home.home}/data`, { recursive: true });
    await writeFile(`${home.home}/data/spaces.db`, "no database".repeat(1000));
    const lines = await home.lines(
      'import spaces from "spaces"; try { spaces.list(); } catch (e) { console.log(e.code, e.message, e.suggestion, JSON.stringify(e.details), e.stack); }',
      { cwd: home.home },
    );
    expect(lines[0]).toMatch(/^STORE_UNAVAILABLE /);
    expect(lines.join("\n").replaceAll(/\S+script\.ts/g, "")).not.toContain(home.home);
    await rm(home.home, { recursive: true });
  });
});

describe("the sandbox", () => {
  it("has nothing of Node and nothing of the engine's host", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      const names = ["process", "require", "module", "exports", "global", "Buffer", "__dirname",
        "__filename", "WebAssembly", "setImmediate", "std", "os", "bjson", "print", "scriptArgs",
        "postMessage", "parentPort", "Deno", "Bun", "importScripts", "XMLHttpRequest", "WebSocket"];
      console.log(names.filter((name) => name in globalThis).join());
      const makers = [Function, spaces.start.constructor, (() => {}).constructor,
        (async () => {}).constructor, (function* () {}).constructor, console.log.constructor,
        setTimeout.constructor, fetch.constructor, URL.constructor];
      for (const make of makers) {
        try {
          const made = make("return typeof process + typeof require + typeof global")();
          console.log(await (made.next ? made.next().value : made));
        } catch (e) { console.log(e.name); }
      }
      console.log((0, eval)("typeof process"), spaces.__proto__ === Object.prototype || String(spaces.__proto__));
    `);
    expect(lines[0]).toBe("");
    expect(lines.slice(1, -1)).toEqual(
      Array.from({ length: 9 }, () => "undefinedundefinedundefined"),
    );
    expect(lines.at(-1)).toMatch(/^undefined /);
  });

  it("keeps the modules as they are, whatever a script assigns", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      const changes = [
        () => { spaces.start = 1; }, () => delete spaces.start, () => { spaces.start.x = 1; },
        () => Object.setPrototypeOf(spaces, null), () => Object.defineProperty(spaces, "x", { value: 1 }),
      ];
      for (const change of changes) {
        try { change(); console.log("done"); } catch (e) { console.log(e.name); }
      }
    `);
    expect(lines).toEqual(Array.from({ length: 5 }, () => "TypeError"));
  });

  it("tells the host the truth though a script has changed the built-in objects", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      const log = console.log;
      Object.prototype.then = function (resolve) { resolve("stolen"); };
      Object.prototype.space = "nope";
      Object.prototype.get = () => "stolen";
      JSON.stringify = JSON.parse = () => "stolen";
      Promise.prototype.then = Promise.prototype.catch = () => "stolen";
      String.prototype.toString = Number.prototype.toJSON = () => "stolen";
      Error.prepareStackTrace = () => "stolen";
      globalThis.Error = globalThis.Promise = globalThis.JSON = function () { return "stolen"; };
      log(spaces.run("dev", "printf intact"));
      try { spaces.start("nope"); } catch (e) { log(e.code); }
    `);
    expect(lines).toEqual(["intact", "SPACE_NOT_FOUND"]);
  });

  it("fails as a script fails, not as a sandbox, when the built-in objects are broken", async () => {
    const result = await cli.script(`
      import spaces from "spaces";
      const broken = () => { throw new Error("broken"); };
      for (const type of [Object, Function, Array, String, Promise, Map, Set, Error, RegExp]) {
        for (const holder of [type.prototype, type]) {
          for (const key of Reflect.ownKeys(holder)) {
            if (key === "constructor" || key === "prototype") continue;
            try { Reflect.defineProperty(holder, key, { value: broken }); } catch {}
          }
        }
      }
      spaces.run("dev", "printf intact");
    `);
    expect([0, 1]).toContain(result.code);
    expect(result.stderr).not.toContain("[INTERNAL]");
  });

  it("survives a callback of the script's that calls the host again and again", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      let depth = 0;
      const env = new Proxy({}, {
        ownKeys() { depth++; if (depth < 1000) { try { spaces.run("dev", "true", { env }); } catch {} } return []; },
      });
      try { console.log(spaces.run("dev", "echo ok", { env })); } catch (e) { console.log(e.name); }
      const input = { toString() { return spaces.run("dev", "echo nested"); } };
      console.log(\`\${input}\`);
    `);
    expect(lines.at(-2)).toBe("nested");
  });

  it("gives the environment only where it was opened", async () => {
    const source = `
      import runtime, { env } from "runtime";
      const read = (name) => { try { return env[name]; } catch (e) { return e.code; } };
      console.log(read("OPENED"), read("HIDDEN"), "HIDDEN" in env, Object.keys(env).join());
      console.log(JSON.stringify(runtime).includes("hidden-value"), read("__proto__"));
    `;
    const env = { OPENED: "opened-value", HIDDEN: "hidden-value" };
    expect(await cli.lines(source, { env })).toEqual([
      "PERMISSION_DENIED PERMISSION_DENIED false ",
      "false PERMISSION_DENIED",
    ]);
    expect(await cli.lines(source, { env, flags: ["--allow-env=OPENED"] })).toEqual([
      "opened-value PERMISSION_DENIED false OPENED",
      "false PERMISSION_DENIED",
    ]);
  });

  it("can show the environment as text", async () => {
    const lines = await cli.lines(`
      import { env } from "runtime";
      console.log(String(env), \`\${env}\`, env);
    `);
    expect(lines).toEqual(["[object Object] [object Object] {}"]);
  });

  it("ends scripts that run themselves", async () => {
    await cli.run(["scripts", "save", "-", "--name", "loops"], {
      input: 'import space from "space"; space.run_script("loops");',
    });
    const lines = await cli.lines(`
      import spaces from "spaces";
      try { spaces.run_script("dev", "loops"); } catch (e) { console.log(e.code, JSON.stringify(e).includes("LIMIT_EXCEEDED") || e.message.includes("LIMIT_EXCEEDED") || e.message.includes("8 deep")); }
    `);
    expect(lines).toEqual(["SCRIPT_FAILED true"]);
  });

  it("bounds the output that --json keeps", async () => {
    const source = "for (let i = 0; i < 300; i++) console.log('x'.repeat(100_000));";
    const { code, stdout } = await cli.script(source, { flags: ["--json"] });
    const shown = JSON.parse(stdout) as { output: string; truncated: boolean };
    expect(code).toBe(0);
    expect(shown.truncated).toBe(true);
    expect(shown.output.length).toBeLessThan(1.1 * MEBIBYTE);
  });

  it("passes all output on where it is read", async () => {
    const source = "for (let i = 0; i < 300; i++) console.log('x'.repeat(99_999));";
    const { code, stdout } = await cli.script(source);
    expect(code).toBe(0);
    expect(stdout.length).toBe(30_000_000);
  });

  it("ends quietly when nobody reads its output any more", async () => {
    const path = await cli.write("flood.ts", "for (;;) console.log('line');");
    const shell = spawn("sh", ["-c", `"$0" "$1" run "$2" | head -1`, process.execPath, CLI, path], {
      env: cli.env,
    });
    let stdout = "";
    let stderr = "";
    shell.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    shell.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const code = await new Promise((resolve) => shell.on("close", resolve));
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "line\n", stderr: "" });
  });
});

describe("values that a script passes on", () => {
  it("too many, too long and dangerous ones are refused in words", async () => {
    const lines = await cli.lines(
      `
      import spaces from "spaces";
      const code = (call) => {
        try { call(); return "no error"; }
        catch (e) { return e.code + (e.message.length > 2000 ? " with a long message" : ""); }
      };
      const many = Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => ["k" + i, "v"]));
      const proto = JSON.parse('{"__proto__": "x"}');
      const long = "a".repeat(1e7);
      for (const option of ["env", "fields", "metadata"]) {
        console.log(code(() => spaces.create("new", "default", { [option]: many })),
          code(() => spaces.create("new", "default", { [option]: proto })));
      }
      console.log(code(() => spaces.run("dev", "true", { env: many })),
        code(() => spaces.run("dev", "true", { env: proto })));
      for (const name of [long, "__proto__", "constructor", "..", "a\\0b", "\\ud800", "--privileged"]) {
        console.log(code(() => spaces.start(name)), code(() => spaces.create(name, "default")),
          code(() => spaces.get_field("dev", name)), code(() => spaces.run_script("dev", name)),
          code(() => spaces.create("new", name)));
      }
      console.log(code(() => spaces.run("dev", long)), code(() => spaces.run("dev", "echo", [long])));
      console.log(code(() => spaces.set_description("dev", long)),
        code(() => spaces.set_field("dev", "environment", long)));
      console.log(code(() => spaces.run("dev", "a\\0b")), code(() => spaces.run("dev", "echo", ["\\0"])));
      console.log(spaces.list().map((space) => space.name).join());
    `,
      { flags: ["--memory", "256Mi"] },
    );
    const invalid = (count: number) =>
      Array.from({ length: count }, () => "INVALID_INPUT").join(" ");
    // A name that could be one: there is just no such thing.
    const absent = "SPACE_NOT_FOUND no error FIELD_NOT_DEFINED SCRIPT_NOT_FOUND TEMPLATE_NOT_FOUND";
    expect(lines.slice(0, 4)).toEqual(Array.from({ length: 4 }, () => invalid(2)));
    for (const [index, line] of lines.slice(4, 11).entries()) {
      const fieldless = line.replace("FIELD_NOT_DEFINED", "INVALID_INPUT");
      expect(index === 2 ? line : fieldless).toBe(index === 2 ? absent : invalid(5));
    }
    expect(lines.slice(11)).toEqual([
      invalid(2),
      invalid(2),
      invalid(2),
      expect.stringMatching(/^(dev,constructor|constructor,dev)$/),
    ]);
    expect(await cli.run(["delete", "constructor"])).toMatchObject({ code: 0 });
  });

  it("values that JSON cannot carry do not reach the host changed", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      const cycle = {}; cycle.self = cycle;
      const bad = [cycle, 10n, () => 1, Symbol("s"), NaN, -0, { toJSON() { return "dev"; } },
        new Proxy({}, { get() { throw new Error("trap"); } }), new Date(), new String("dev"), ["dev"]];
      for (const value of bad) {
        try { spaces.start(value); console.log("no error"); } catch (e) { console.log(e.code ?? e.message); }
      }
    `);
    expect(lines).toEqual(Array.from({ length: 11 }, () => "INVALID_INPUT"));
  });

  it("text comes back as it was sent, NUL and lone surrogates apart", async () => {
    const lines = await cli.lines(String.raw`
      import spaces from "spaces";
      const text = "ü 😀 \u2028 \u2029 ' \" \\ \x07 </script> \ud83d\ude00";
      spaces.set_description("dev", text);
      console.log(spaces.get_description("dev") === text);
      console.log(spaces.run("dev", "printf", ["%s", text]) === text);
      spaces.set_description("dev", "");
    `);
    expect(lines).toEqual(["true", "true"]);
  });
});

describe("the source of a script", () => {
  const hello = "console.log('hello');";

  it.each([
    ["with a byte order mark", `\uFEFF${hello}`],
    ["with CRLF", `\r\n\r\n${hello}\r\n`],
    ["with U+2028 and U+2029", `const a = "\u2028\u2029";\u2028${hello}`],
    ["with a hashbang", `#!/usr/bin/env -S spaces run\n${hello}`],
    ["with a byte order mark and CRLF", `\uFEFF// a\r\n${hello}`],
    ["with an HTML end tag", `// </script>\n${hello}`],
  ])("%s runs", async (_, source) => {
    for (const file of ["script.ts", "script.js"]) {
      expect(await cli.lines(source, { file })).toEqual(["hello"]);
    }
  });

  it("that is empty does nothing", async () => {
    for (const source of ["", "\n", "// nothing"]) {
      expect(await cli.script(source)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    }
  });

  it("keeps its lines with CRLF and after a hashbang", async () => {
    const crlf = await cli.script("const a = 1;\r\n\r\nnull.x;\r\n", { file: "script.js" });
    expect(crlf.stderr).toMatch(/script\.js:3:\d+: TypeError/);
    const hashbang = await cli.script("#!/usr/bin/env spaces\n\nnull.x;\n");
    expect(hashbang.stderr).toMatch(/script\.ts:3:\d+: TypeError/);
  });

  it.each([
    ["a NUL", "const a = 1;\nconst b = '\0';\n", /NUL/],
    ["too many bytes", `// ${"x".repeat(MEBIBYTE)}`, /1048576/],
    ["no UTF-8", Buffer.from([0x2f, 0x2f, 0xff, 0xfe, 0x0a]), /UTF-8/],
  ])("with %s is refused", async (_, source, message) => {
    for (const file of ["script.ts", "script.js"]) {
      const result = await cli.script(source, { file });
      expect(result).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toMatch(message);
      expect(result.stderr).toContain("[INVALID_INPUT]");
    }
  });
});

describe("fetch", () => {
  let server: Server;
  let other: Server;
  let port: number;
  let otherPort: number;
  let requests: string[] = [];

  const listen = async (): Promise<[Server, number]> => {
    const made = createServer((request, response) => {
      requests.push(request.url ?? "");
      if (request.url?.startsWith("/to/")) {
        response.writeHead(302, { location: decodeURIComponent(request.url.slice(4)) });
      }
      response.end("reached");
    });
    await new Promise<void>((resolve) => made.listen(0, "0.0.0.0", resolve));
    return [made, (made.address() as AddressInfo).port];
  };

  beforeAll(async () => {
    [server, port] = await listen();
    [other, otherPort] = await listen();
  });
  afterAll(() => {
    server.close();
    other.close();
  });

  const fetchAll = async (urls: readonly string[], flags: readonly string[]): Promise<string[]> => {
    requests = [];
    return await cli.lines(
      `import { args } from "runtime";
       for (const url of args) {
         try { const r = await fetch(url); console.log(r.status, await r.text()); }
         catch (e) { console.log(e.code ?? e.name); }
       }`,
      { flags, args: urls },
    );
  };

  it("is denied without --allow-net", async () => {
    const urls = [`http://127.0.0.1:${port}/`, "https://example.org/", "http://example.org/"];
    expect(await fetchAll(urls, [])).toEqual(urls.map(() => "PERMISSION_DENIED"));
    expect(requests).toEqual([]);
  });

  it("reaches the very host and port that were allowed, and no other by a redirect", async () => {
    const at = `http://127.0.0.1:${port}`;
    const urls = [
      `${at}/a`,
      `${at}/to/${encodeURIComponent("/b")}`,
      `${at}/to/${encodeURIComponent(`http://127.0.0.1:${otherPort}/private`)}`,
      `${at}/to/${encodeURIComponent(`http://localhost:${port}/private`)}`,
      `${at}/to/${encodeURIComponent("file:///etc/passwd")}`,
      `http://127.0.0.1:${otherPort}/`,
    ];
    expect(await fetchAll(urls, [`--allow-net=127.0.0.1:${port}`])).toEqual([
      "200 reached",
      "200 reached",
      "PERMISSION_DENIED",
      "PERMISSION_DENIED",
      "PERMISSION_DENIED",
      "PERMISSION_DENIED",
    ]);
    expect(requests.filter((url) => url === "/private")).toEqual([]);
  });

  it("with --allow-net reaches no private address in any spelling", async () => {
    const names = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-localhost"];
    const hosts = [
      "127.0.0.1",
      "127.1",
      "127.0.1",
      "2130706433",
      "0x7f000001",
      "0x7f.1",
      "0177.0.0.1",
      "017700000001",
      "0.0.0.0",
      "0",
      "127.0.0.1.",
      "127%2e0%2e0%2e1",
      "１２７.０.０.１",
      "127。0。0。1",
      "①②⑦.0.0.1",
      "[::]",
      "[::1]",
      "[0:0:0:0:0:0:0:1]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[::127.0.0.1]",
      "[64:ff9b::7f00:1]",
      "[64:ff9b:1::7f00:1]",
      "[2002:7f00:1::]",
      "[2001:0:7f00:1::]",
      "[fe80::5efe:7f00:1]",
      "[fe80::1]",
      "[fc00::1]",
      "[ff02::1]",
      "10.0.0.1",
      "172.16.0.1",
      "192.168.0.1",
      "100.64.0.1",
      "169.254.169.254",
      "[fd00:ec2::254]",
      "198.18.0.1",
      "192.0.2.1",
      "224.0.0.1",
      "255.255.255.255",
      "168.63.129.16",
    ];
    const urls = [...hosts, ...names].map((host) => `http://${host}:${port}/`);
    const results = await fetchAll(urls, ["--allow-net"]);
    // Whether such a name leads anywhere is up to the machine's resolver.
    for (const result of results.slice(hosts.length)) {
      expect(result).toMatch(/^(PERMISSION_DENIED|TypeError)$/);
    }
    const refused = Object.fromEntries(hosts.map((host, index) => [host, results[index]]));
    expect(refused).toEqual(Object.fromEntries(hosts.map((host) => [host, "PERMISSION_DENIED"])));
    expect(requests).toEqual([]);
  });

  it("with --allow-net takes no other scheme, no credentials and no header that misleads", async () => {
    const urls = [
      "file:///etc/passwd",
      "gopher://127.0.0.1/",
      "ftp://127.0.0.1/",
      `unix:///var/run/docker.sock`,
      `http://user:pass@127.0.0.1:${port}/`,
      `http://example.org@127.0.0.1:${port}/`,
      `http://127.0.0.1:${port}\\@example.org/`,
      `//127.0.0.1:${port}/`,
      "nonsense",
    ];
    const results = await fetchAll(urls, ["--allow-net"]);
    for (const result of results) {
      expect(result).toMatch(/^(PERMISSION_DENIED|INVALID_INPUT|TypeError|ERR_INVALID_URL)$/);
    }
    expect(requests).toEqual([]);
    const lines = await cli.lines(
      `const url = "http://127.0.0.1:${port}/";
       for (const headers of [{ host: "example.org" }, { "x-a": "b\\r\\nhost: c" }, { "transfer-encoding": "chunked" }]) {
         try { await fetch(url, { headers }); console.log("sent"); } catch (e) { console.log(e.code ?? e.name); }
       }`,
      { flags: [`--allow-net=127.0.0.1:${port}`] },
    );
    for (const line of lines) expect(line).toMatch(/^(INVALID_INPUT|TypeError)$/);
    expect(requests).toEqual([]);
  });
});
