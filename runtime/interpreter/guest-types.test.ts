/** Holds the type declarations that users get against what scripts can really import. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asyncTypes, boundTypes, writeTypes } from "../../tools/types.mjs";
import { createInterpreter } from "./interpreter.js";

const run = promisify(execFile);
const compiler = join(
  dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
  "bin/tsc",
);
const source = new URL("../../stdlib/types/", import.meta.url);
const interpreter = createInterpreter();
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spaces-types-"));
  await writeTypes(directory);
});
afterAll(async () => {
  await interpreter[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function evaluate(script: string): Promise<unknown> {
  const request = { filename: "script.js", source: script, host: async () => ({}) };
  const result = await interpreter.run(request);
  if (result.error) throw new Error(result.error.message);
  return JSON.parse(result.output);
}

/** What a declaration file says the module exports. */
function declared(text: string): string[] {
  const names = new Set(["default"]);
  for (const [, name] of text.matchAll(/^ {2}export (?:function|const) (\w+)/gm)) {
    if (name !== undefined) names.add(name);
  }
  if (text.includes("as delete }")) names.add("delete");
  return [...names].sort();
}

/** What the compiler says of a script; empty when it has nothing to say. */
async function compile(script: string): Promise<string> {
  await writeFile(join(directory, "script.ts"), script);
  const config = {
    compilerOptions: {
      lib: ["es2024"],
      target: "es2022",
      module: "esnext",
      moduleResolution: "bundler",
      moduleDetection: "force",
      types: [],
      strict: true,
      noEmit: true,
    },
    include: ["*.ts"],
  };
  await writeFile(join(directory, "tsconfig.json"), JSON.stringify(config));
  try {
    await run(process.execPath, [compiler, "-p", directory]);
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe.each([
  ["spaces", "spaces"],
  ["spaces/async", "spaces-async"],
  ["space", "space"],
  ["files", "files"],
  ["files/async", "files-async"],
  ["schedules", "schedules"],
  ["schedules/async", "schedules-async"],
  ["runtime", "runtime"],
  ["yaml", "yaml"],
])("the module %s", (specifier, file) => {
  it("exports exactly what its declaration says", async () => {
    const text = await readFile(join(directory, `${file}.d.ts`), "utf8");
    const exported = await evaluate(
      `import * as all from ${JSON.stringify(specifier)};
       console.log(JSON.stringify(Object.keys(all).sort()));`,
    );
    expect(exported).toEqual(declared(text));
  });

  it("has every export on its default export too", async () => {
    const text = await readFile(join(directory, `${file}.d.ts`), "utf8");
    const missing = await evaluate(
      `import all from ${JSON.stringify(specifier)};
       const names = ${JSON.stringify(declared(text).filter((name) => name !== "default"))};
       console.log(JSON.stringify(names.filter((name) => !(name in all))));`,
    );
    expect(missing).toEqual([]);
  });
});

it("every declared global exists", async () => {
  const text = await readFile(join(directory, "globals.d.ts"), "utf8");
  const names = [...text.matchAll(/^declare (?:var|function) (\w+)/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(20);
  const missing = await evaluate(
    `console.log(JSON.stringify(${JSON.stringify(names)}.filter((name) => globalThis[name] === undefined)));`,
  );
  expect(missing).toEqual([]);
});

it("the derived declarations are up to date (node tools/types.mjs)", async () => {
  const spaces = await readFile(new URL("spaces.d.ts", source), "utf8");
  const derived = (name: string) => readFile(new URL(name, source), "utf8");
  for (const name of ["spaces", "files", "schedules"] as const) {
    const text = await readFile(new URL(`${name}.d.ts`, source), "utf8");
    expect(await derived(`${name}-async.d.ts`)).toBe(asyncTypes(text, name));
  }
  expect(await derived("space.d.ts")).toBe(boundTypes(spaces));
});

describe("a script that is compiled against them", () => {
  it("may use all of it", async () => {
    const script = `
      import spaces, { create, list, run, runScript, delete as drop, type SpaceInfo } from "spaces";
      import { start, exec } from "spaces/async";
      import space, { files as here, name, getField } from "space";
      import { args, env, exit, input, sleep, sleepAsync } from "runtime";
      import { parse, stringify } from "yaml";
      import files, { readBytes, write, delete as erase, type FileInfo } from "files";
      import * as later from "files/async";
      import schedules, { preview, delete as unschedule, type JobInfo } from "schedules";
      import { history } from "schedules/async";

      const id: string = create("dev", "node", "Mine", "bash");
      create("dev", "node", { env: { A: "b" }, start: true });
      const all: SpaceInfo[] = list({ status: "running", limit: 3 });
      const at: string = all[0]?.last_active_at ?? all[0]?.created_at ?? "";
      const output: string = run("dev", "ls", ["-la"], 5, "/") + run("dev", "ls", { timeout: 0.5 });
      runScript("dev", "deploy", "a", "b"); runScript("dev", "deploy", "a", { timeout: 90 });
      drop("dev"); spaces.delete("dev", { force: true }); spaces.getField("dev", "f");
      const results: true[] = await Promise.all([start("a"), start("b")]);
      const code: number = (await exec("dev", "ls")).exit_code;
      const value: string = getField("f") + space.run("ls") + space.name + (name ?? "");
      sleep(0.1); await sleepAsync(1); const text: string = stringify(parse("a: 1"));
      console.log(id, at, output, results, code, value, text, args[0], env.A, input);
      const url = new URL("http://x/?a=1"); url.searchParams.get("a");
      const response = await fetch(url, { signal: AbortSignal.timeout(100) });
      console.table([await response.json()]);
      setTimeout((n: number) => console.log(n), 5, 1);
      const bytes: Uint8Array = crypto.getRandomValues(new Uint8Array(4));
      console.log(new TextDecoder().decode(bytes), structuredClone({ a: 1 }).a.toFixed());
      const written: FileInfo = write("dev", "a", new Uint8Array(4), { mode: 0o600, parents: false });
      const sum: string | undefined = files.stat("dev", "a", { hash: true }).sha256;
      const start4: Uint8Array = readBytes("dev", "a", { offset: 0, length: 4 });
      files.list("dev", { glob: "*.ts" }); files.list("dev", "src", { recursive: true, limit: 5 });
      files.readJson<{ a: number }>("dev", "a.json").a.toFixed(); erase("dev", "a", { force: true });
      const both: string[] = await Promise.all([later.read("a", "x"), later.default.read("b", "x")]);
      const n: number = (await later.readJson<{ a: number }>("dev", "a.json")).a;
      const mine: string = space.files.read("a", { length: 1 }) + here.read("a");
      here.writeJson("a.json", { n }); here.delete("a"); const moved: FileInfo = here.move("a", "b");
      console.log(written, sum, start4, both, mine, moved.modified_at);
      const due: string | undefined = schedules.add("n", { cron: "@daily", script: "s" }).next_due_at;
      schedules.update("n", { jitter: 0, space: null, notify: { webhook: { url: "https://x" } } });
      const jobs: JobInfo[] = await history("n", { status: "failed", limit: 5 });
      unschedule("n"); console.log(due, jobs[0]?.lag_ms, preview("@daily", { tz: "UTC" }));
      if (code > 0) exit(1);
    `;
    expect(await compile(script)).toBe("");
  });

  it.each([
    ['import { strat } from "spaces";', "strat"],
    ['import spaces from "spaces"; spaces.strat("x");', "strat"],
    ['import { start } from "spaces"; start();', "Expected 1 arguments"],
    ['import { run } from "spaces"; run("a", "b", { tiemout: 5 });', "tiemout"],
    ['import { run } from "spaces"; run("a", "b", [], "5");', "string"],
    ['import { start } from "spaces/async"; const done: true = start("a");', "Promise"],
    ['import { run } from "space"; run("ls", 5);', "RunOptions"],
    ['import { read } from "files"; read("dev");', "Expected 2-3 arguments"],
    ['import { write } from "files"; write("dev", "a", 5);', "number"],
    ['import { read } from "files/async"; const text: string = read("dev", "a");', "Promise"],
    ['import space from "space"; space.files.stat("dev", "a");', "StatOptions"],
    ['import { files } from "space"; files.raed("a");', "raed"],
    ['import { add } from "schedules"; add("n", { cron: "@daily" });', "script"],
    ['import { add } from "schedules"; add("n", { cron: "", script: "", overlap: "no" });', "no"],
    ["document.title;", "document"],
    ["process.exit(1);", "process"],
  ])("is told what is wrong in %s", async (script, complaint) => {
    expect(await compile(script)).toContain(complaint);
  });
});
