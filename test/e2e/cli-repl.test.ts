import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";
import { ServedProcess } from "../support/server-process.js";
import { PtyProcess } from "./cli-pty.js";

let cli: CliHome;

beforeAll(async () => {
  cli = await CliHome.make();
  await cli.json(["create", "dev-box", "--start"]);
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

describe("spaces repl with piped input", () => {
  const repl = (input: string, ...args: string[]) => cli.run(["repl", ...args], { input });

  it("evaluates line by line, and prints values", async () => {
    const result = await repl(
      "const names: string[] = spaces.list()\n  .map((space) => space.name)\nnames\n" +
        "function twice(n: number) {\n  return n * 2\n}\ntwice(21)\nconsole.log('printed')",
    );
    // The first line is an input of its own: the second one alone is an error.
    expect(result).toMatchObject({ code: 1 });
    const whole = await repl(
      "const names: string[] = spaces.list().map(\n  (space) => space.name,\n)\nnames\n" +
        "function twice(n: number) {\n  return n * 2\n}\ntwice(21)\nconsole.log('printed')",
    );
    expect(whole).toMatchObject({
      code: 0,
      stdout: "[ 'dev-box' ]\n42\nprinted\n",
      stderr: "",
    });
  });

  it("ends at the first error, with its position, code and suggestion", async () => {
    const result = await repl("1\nspaces.start('nope')\n2\n");
    expect(result).toMatchObject({ code: 1, stdout: "1\n" });
    expect(result.stderr).toContain('repl2:1:13: SpacesError: There is no space "nope".');
    expect(result.stderr).toContain("[SPACE_NOT_FOUND]");
    expect(result.stderr).toContain("hint: ");
  });

  it("ends with an error where the input is not finished", async () => {
    const result = await repl("const a = [\n 1,\n");
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("SyntaxError");
  });

  it("ends as asked to: by .exit, by runtime.exit, by a time-out", async () => {
    expect(await repl(".exit\nmissing")).toMatchObject({ code: 0 });
    expect(await repl("runtime.exit(7)\n1")).toMatchObject({ code: 7, stdout: "" });
    expect(await repl("for (;;);", "--timeout", "200ms")).toMatchObject({ code: 124 });
  });

  it("prints a JSON value for each input with --json", async () => {
    const result = await cli.run(["--json", "repl"], {
      input: "console.log('x')\n({ a: 1 })\nmissing\n",
    });
    const lines = result.stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { value: "undefined", output: "x\n", exitCode: 0 },
      { value: "{ a: 1 }", output: "", exitCode: 0 },
      { exitCode: 1, error: { code: "SCRIPT_FAILED", position: { file: "repl3", line: 1 } } },
    ]);
    expect(result.code).toBe(1);
  });

  it("is bound to a space, and opens to it what is allowed", async () => {
    const bound = await repl("space.name\nspace.run('echo hello')\n", "--space", "dev-box");
    expect(bound).toMatchObject({ code: 0, stdout: "'dev-box'\n'hello\\n'\n" });
    const env = { input: "runtime.env.MINE", env: { MINE: "open" } };
    expect(await cli.run(["repl", "--allow-env=MINE"], env)).toMatchObject({ stdout: "'open'\n" });
    expect(await cli.run(["repl"], env)).toMatchObject({ code: 1 });
  });

  it("loads and saves files", async () => {
    const lib = await cli.write("lib.ts", "export const one: number = 1;\nconst two = one + 1\n");
    const saved = join(cli.home, "saved.ts");
    const result = await repl(`.load ${lib}\ntwo\n.save ${saved}\n`);
    expect(result).toMatchObject({ code: 0, stdout: "2\n" });
    expect(await readFile(saved, "utf8")).toBe(
      "export const one: number = 1;\nconst two = one + 1\ntwo\n",
    );
    expect((await cli.run(["run", saved])).code).toBe(0);
    const wrong = await cli.write("wrong.ts", "\n  missing.thing\n");
    const failed = await repl(`.load ${wrong}`);
    expect(failed.stderr).toContain(`${wrong}:2:3: ReferenceError`);
  });

  it.each([
    [".hlep", "Did you mean .help?"],
    [".load", "Write .load and the path of a file."],
    [".load /nowhere.ts", 'There is no file "/nowhere.ts"'],
    [".save /nowhere/a.ts", "/nowhere/a.ts cannot be written"],
    [".editor", "needs a terminal"],
  ])("refuses %s", async (line, message) => {
    const result = await repl(`${line}\n`);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(message);
  });

  it("refuses options that are wrong, and a space that is not there", async () => {
    expect((await repl("1", "--memory", "x")).code).toBe(2);
    expect((await repl("1", "--allow-net=a,")).code).toBe(2);
    expect((await repl("1", "extra")).code).toBe(2);
    expect((await repl("1", "--space", "nope")).stderr).toContain("[SPACE_NOT_FOUND]");
  });

  it("works over a server", async () => {
    const dataDir = join(cli.home, "server");
    await using server = await ServedProcess.start({ dataDir, driver: "virtual" });
    const env = { SPACES_URL: server.url, SPACES_TOKEN: server.adminToken };
    await cli.json(["create", "far-away"], { env });
    const input = "spaces.list().map((space) => space.name)\n";
    expect(await cli.run(["repl"], { input, env })).toMatchObject({
      code: 0,
      stdout: "[ 'far-away' ]\n",
    });
  });
});

describe("spaces repl at a terminal", () => {
  const open = new Set<PtyProcess>();
  afterEach(() => {
    for (const started of open) started.kill();
    open.clear();
  });
  const start = async (...args: string[]): Promise<PtyProcess> => {
    const started = new PtyProcess(["repl", ...args], { ...cli.env, NO_COLOR: "1" });
    open.add(started);
    await started.sees(/> /);
    return started;
  };

  it("evaluates what is typed, over several lines, and leaves with Ctrl-D", async () => {
    const terminal = await start();
    terminal.type("const a = await Promise.resolve(20)\r");
    await terminal.sees(/20\)\s+.*> /);
    terminal.type("function b() {\r");
    await terminal.sees(/\.\.\. /);
    terminal.type("return a + 1\r");
    await terminal.sees(/\.\.\. /);
    terminal.type("}\rb() * 2\r");
    await terminal.sees(/\n42\s/);
    terminal.type("missing\r");
    await terminal.sees(/ReferenceError: 'missing' is not defined/);
    terminal.type("_error.name\r");
    await terminal.sees(/'ReferenceError'/);
    terminal.type("\u0004");
    expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
  });

  it("shows values in colours", async () => {
    const terminal = new PtyProcess(["repl"], cli.env);
    open.add(terminal);
    await terminal.sees(/> /);
    terminal.type("'a' + 'b'\r");
    await terminal.sees(/\u001b\[32m'ab'\u001b\[39m/);
  });

  it("cancels with Ctrl-C what runs, and keeps what was declared", async () => {
    const terminal = await start();
    terminal.type("const kept = 'kept'; console.log('ready')\r");
    await terminal.sees(/\nready/);
    for (const source of ["for (;;);", "space_name.run('sleep 100')", "runtime.sleep(100)"]) {
      terminal.type(
        `console.log('run' + 'ning'); ${source.replace("space_name.run(", "spaces.run('dev-box', ")}\r`,
      );
      await terminal.sees(/\nrunning/);
      terminal.type("\u0003");
      await terminal.sees(/cancelled.*\[CANCELLED\]/);
      await terminal.sees(/> /);
    }
    terminal.type("kept\r");
    await terminal.sees(/\n'kept'/);
    terminal.type("half a line\u0003");
    await terminal.sees(/> /);
    terminal.type("\u0003");
    await terminal.sees(/Ctrl-C again/);
    terminal.type("\u0003");
    expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
  });

  it("begins anew where the sandbox is lost, and says so", async () => {
    const terminal = await start("--memory", "32Mi");
    terminal.type("const a = []; for (;;) a.push('x'.repeat(1e6) + a.length)\r");
    await terminal.sees(/SCRIPT_MEMORY/);
    await terminal.sees(/The sandbox was lost/);
    terminal.type("typeof a\r");
    await terminal.sees(/'undefined'/);
  });

  it("puts what timers print above the line that is typed", async () => {
    const terminal = await start();
    terminal.type("setTimeout(() => console.log('from a timer'), 300); 'begun'\r");
    await terminal.sees(/'begun'/);
    terminal.type("1 + ");
    await terminal.sees(/from a timer\r?\n/);
    await terminal.sees(/> 1 \+ /);
    terminal.type("1\r");
    await terminal.sees(/\n2\s/);
  });

  it("completes modules, members, spaces and commands", async () => {
    const terminal = await start();
    terminal.type("spaces.port_fo\t");
    await terminal.sees(/spaces\.port_forward/);
    terminal.type("\u0003");
    await terminal.sees(/> /);
    terminal.type("spaces.get('dev-\t");
    await terminal.sees(/spaces\.get\('dev-box/);
    terminal.type("').name\r");
    await terminal.sees(/\n'dev-box'/);
    terminal.type("import f from 'files/as\t");
    await terminal.sees(/'files\/async/);
    terminal.type("'\r");
    await terminal.sees(/> /);
    terminal.type(".edi\t");
    await terminal.sees(/\.editor/);
  });

  it("takes several lines in the editor, and forgets them with Ctrl-C", async () => {
    const terminal = await start();
    terminal.type(".editor\r");
    await terminal.sees(/Ctrl-D evaluates/);
    terminal.type("const list = [1, 2]\r  .map((n) => n * 2)\rlist\r\u0004");
    await terminal.sees(/\n\[ 2, 4 \]/);
    terminal.type(".editor\r");
    await terminal.sees(/Ctrl-D evaluates/);
    terminal.type("const list = 'dropped'\r\u0003");
    await terminal.sees(/> /);
    terminal.type("list.length\r");
    await terminal.sees(/\n2\s/);
    terminal.type(".clear\r");
    await terminal.sees(/fresh sandbox/);
    terminal.type("typeof list\r");
    await terminal.sees(/'undefined'/);
    terminal.type(".help\r");
    await terminal.sees(/\.load/);
    terminal.type(".exit\r");
    expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
  });

  it("keeps its history for its owner alone, also of two sessions at once", async () => {
    const one = await start();
    const two = await start();
    one.type("'from one'\r");
    await one.sees(/\n'from one'/);
    two.type("'from two'\r");
    await two.sees(/\n'from two'/);
    two.type(" 'with a blank'\r");
    await two.sees(/\n'with a blank'/);
    const path = join(cli.home, "state", "spaces", "repl_history");
    const text = await readFile(path, "utf8");
    expect(text).toContain("'from one'\n'from two'\n");
    expect(text).not.toContain("with a blank");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const three = await start();
    three.type("\u001b[A\u001b[A\r");
    await three.sees(/\n'from one'/);
    // A history that has grown large is turned over, and its end stays.
    await writeFile(path, `${"'padding'\n".repeat(30_000)}'the last'\n`);
    const four = await start();
    four.type("\u001b[A\r");
    await four.sees(/\n'the last'/);
    expect((await stat(`${path}.old`)).size).toBeGreaterThan(262_144);
  });

  it("refuses --json", async () => {
    const refused = new PtyProcess(["--json", "repl"], cli.env);
    open.add(refused);
    expect(await refused.ended).toMatchObject({ code: 2 });
  });
});
