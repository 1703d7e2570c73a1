import { execFile } from "node:child_process";
import { mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, CliHome } from "../support/cli.js";

let cli: CliHome;
beforeAll(async () => {
  cli = await CliHome.make();
});
afterAll(() => cli[Symbol.asyncDispose]());

describe("spaces run", () => {
  it("runs a file with its arguments and passes its output and exit code through", async () => {
    const file = await cli.write(
      "args.ts",
      `import { args, exit } from "runtime";
       const shown: string = args.join("|");
       console.log(shown);
       console.error("to stderr");
       exit(7);`,
    );
    const result = await cli.run(["run", file, "a b", "--timeout", "30s", "--", "--json", "-"]);
    expect(result).toEqual({ code: 7, stdout: "a b|--json|-\n", stderr: "to stderr\n" });
  });

  it("opens no store for a script that asks nothing of the host", async () => {
    const file = await cli.write("hello.js", 'console.log("hello")');
    const result = await cli.run(["run", file], { env: { SPACES_HOME: "/dev/null/nowhere" } });
    expect(result).toMatchObject({ code: 0, stdout: "hello\n" });
    // Nor can the run be recorded there: that is told in one line, and hinders nothing.
    expect(result.stderr).toMatch(/^The run run_\w+ is not recorded in full: ENOTDIR.*\n$/);
  });

  it("runs standard input, as TypeScript", async () => {
    const input = 'const n: number = 41;\nconsole.log(n + 1);\nthrow new Error("late");\n';
    const result = await cli.run(["run", "-"], { input });
    expect(result).toMatchObject({ code: 1, stdout: "42\n" });
    expect(result.stderr).toContain("stdin.ts:3:");
  });

  it("gives the script its input and the opened part of the environment only", async () => {
    const file = await cli.write(
      "input.ts",
      `import { env, input } from "runtime";
       console.log(JSON.stringify(input), env.OPEN, "CLOSED" in env);`,
    );
    const result = await cli.run(["run", "--allow-env=OPEN", "--input", '{"a":[1]}', file], {
      env: { OPEN: "yes", CLOSED: "no" },
    });
    expect(result).toEqual({ code: 0, stdout: '{"a":[1]} yes false\n', stderr: "" });
    const all = await cli.run(["run", "--allow-env", file], {
      env: { OPEN: "yes", CLOSED: "no" },
    });
    expect(all.stdout).toBe("undefined yes true\n");
  });

  it("prints one JSON object with --json, also for a script that fails", async () => {
    const file = await cli.write("fails.ts", 'console.log("before");\nnull.x;\n');
    const result = await cli.run(["run", file, "--json"]);
    expect(result).toMatchObject({ code: 1, stderr: "" });
    const value = JSON.parse(result.stdout);
    expect(value).toMatchObject({
      exitCode: 1,
      output: "before\n",
      truncated: false,
      error: { code: "SCRIPT_FAILED", name: "TypeError", position: { file, line: 2 } },
    });
    expect(value.durationMs).toBeGreaterThan(0);
  });

  it("shows where a script failed, with its source, and no stack of ours", async () => {
    const file = await cli.write("broken.ts", "const a = 1;\nconst b = ;\n");
    const syntax = await cli.run(["run", file]);
    expect(syntax.code).toBe(1);
    expect(syntax.stderr).toMatch(/broken\.ts:2:\d+: SyntaxError/);
    expect(syntax.stderr).toContain("> 2 | const b = ;");
    expect(syntax.stderr).not.toMatch(/node:internal|dist\/|\.js:\d+:\d+\)/);
  });

  it("reports an uncaught error of the registry with its code and suggestion", async () => {
    const file = await cli.write("missing.ts", 'import { start } from "spaces";\nstart("nope");\n');
    const result = await cli.run(["run", file]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("[SPACE_NOT_FOUND]");
    expect(result.stderr).toContain("hint: ");
  });

  it("ends an endless script at its deadline with exit code 124", async () => {
    const file = await cli.write("endless.js", "while (true) {}");
    const result = await cli.run(["run", file, "--timeout", "300ms"]);
    expect(result.code).toBe(124);
    expect(result.stderr).toContain("[SCRIPT_TIMEOUT]");
  });

  it("ends a script that outgrows its memory", async () => {
    const file = await cli.write(
      "memory.js",
      'const a = []; for (;;) a.push("x".repeat(1e6) + a.length);',
    );
    const result = await cli.run(["run", file, "--memory", "16Mi", "--json"]);
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout).error.code).toBe("SCRIPT_MEMORY");
  });

  it("imports files beside the script, and nothing from outside of its directory", async () => {
    const below = join(cli.home, "files", "below");
    await mkdir(below, { recursive: true });
    await cli.write("outside.js", "export const secret = 1;");
    await symlink(join(cli.home, "files", "outside.js"), join(below, "link.js"));
    await cli.write("below/lib.ts", "export const n: number = 5;");
    const good = await cli.write("below/good.ts", 'import { n } from "./lib.ts"; console.log(n);');
    expect(await cli.run(["run", good])).toEqual({ code: 0, stdout: "5\n", stderr: "" });
    for (const path of ["../outside.js", "./link.js", "/etc/passwd", "node:fs"]) {
      const bad = await cli.write("below/bad.ts", `import ${JSON.stringify(path)};`);
      const result = await cli.run(["run", bad]);
      expect(result.code, path).toBe(1);
      expect(result.stderr, path).toMatch(/^error: /);
    }
  });

  it("runs stored scripts by name, also natively in a space", async () => {
    const file = await cli.write(
      "greet.ts",
      'import { args } from "runtime"; console.log("hi", args[0]);',
    );
    await cli.json(["scripts", "save", file]);
    expect(await cli.run(["run", "greet", "you"])).toMatchObject({ code: 0, stdout: "hi you\n" });
    expect(await cli.run(["scripts", "run", "greet", "me"])).toMatchObject({ stdout: "hi me\n" });

    await cli.json(["scripts", "save", "-", "--name", "native"], {
      input: '#!/bin/bash\necho "native $1"; exit 4\n',
    });
    const bare = await cli.run(["run", "native"]);
    expect(bare.code).toBe(2);
    expect(bare.stderr).toContain("--space");
    await cli.json(["create", "natives", "--start"]);
    expect(await cli.run(["run", "native", "x", "--space", "natives"])).toMatchObject({
      code: 4,
      stdout: "native x\n",
    });
  });

  it.each([
    [["run", "gone.ts"], 1, "SCRIPT_NOT_FOUND"],
    [["run", "gone"], 1, "SCRIPT_NOT_FOUND"],
    [["run", "Not A Name"], 2, "INVALID_INPUT"],
    [["run", "./"], 2, "INVALID_INPUT"],
    [["run", ""], 2, "INVALID_INPUT"],
    [["run"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--timeout", "0"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--timeout", "-1s"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--timeout", "NaN"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--memory", "lots"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--input", "{"], 2, "INVALID_INPUT"],
    [["run", "x.js", "--nonsense"], 2, "INVALID_INPUT"],
  ])("refuses %j with exit code %i", async (args, code, error) => {
    const result = await cli.run([...args, "--json"]);
    expect(result.code).toBe(code);
    expect(result.stdout).toBe("");
    expect(JSON.parse(result.stderr).error).toMatchObject({
      code: error,
      message: expect.any(String),
      suggestion: expect.any(String),
    });
  });
});

describe("spaces run and its surroundings", () => {
  it("ends quietly when nobody reads its output any more", async () => {
    const file = await cli.write("lines.js", 'for (let i = 0; ; i++) console.log("line " + i);');
    const line = '"$NODE" "$CLI" run "$FILE" --timeout 60s | head -1';
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", line], {
      env: { ...cli.env, NODE: process.execPath, CLI, FILE: file },
    });
    expect({ stdout, stderr }).toEqual({ stdout: "line 0\n", stderr: "" });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("cancels a script and the command it waits for on %s", async (signal, code) => {
    const space = signal.toLowerCase();
    await cli.json(["create", space, "--start"]);
    const file = await cli.write(
      `${space}.ts`,
      `import { run } from "spaces";
       console.log("ready");
       run("${space}", "sleep 60", { timeout: 120 });
       console.log("not reached");`,
    );
    const running = cli.start(["run", file]);
    await running.printed("ready");
    running.child.kill(signal);
    expect(await running.ended).toEqual({ code, stdout: "ready\n", stderr: "" });
    const shown = await cli.json(["show", space]);
    expect(shown).toMatchObject({ status: "running", activity: "idle" });
  });

  it("cancels a script that computes on SIGINT", async () => {
    const file = await cli.write("spin.js", 'console.log("ready"); while (true) {}');
    const running = cli.start(["run", file]);
    await running.printed("ready");
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130, stderr: "" });
  });

  it("shows what host calls failed of to who debugs, and only to them", async () => {
    const source =
      'import spaces from "spaces"; try { spaces.get("none") } catch (e) { console.log(e.code) }';
    const quiet = await cli.script(source);
    expect(quiet).toMatchObject({ code: 0, stdout: "SPACE_NOT_FOUND\n", stderr: "" });
    const debugged = await cli.script(source, { env: { SPACES_DEBUG: "1" } });
    expect(debugged).toMatchObject({ code: 0, stdout: "SPACE_NOT_FOUND\n" });
    expect(debugged.stderr).toMatch(/^SpacesError: There is no space "none"\.\n +at /);
  });

  it("runs the ready scripts of the package", async () => {
    const quickstart = join(dirname(dirname(CLI)), "scripts", "quickstart.ts");
    const result = await cli.run(["run", quickstart, "--driver", "virtual"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
  });
});
