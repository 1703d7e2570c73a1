/** `spaces scripts …` as people use it: on this machine, and against a server. */
import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openServer, type Server } from "../../runtime/server/server.js";
import { CliHome, type CliOptions, type CliResult } from "../support/cli.js";

const execute = promisify(execFile);

const BACKUP = `#!/usr/bin/env spaces
/*---
description: Backs up
inputs:
  keep: {type: integer, default: 3, minimum: 1, description: How many to keep}
  dryRun: {type: boolean}
  to: {type: string, required: true}
---*/
import { args, input } from "runtime";
console.log(JSON.stringify({ ...(input as object), args }));
`;

describe.each(["this machine", "a server"])("stored scripts on %s", (where) => {
  let cli: CliHome;
  let server: Server | undefined;
  let env: NonNullable<CliOptions["env"]> = {};
  beforeAll(async () => {
    cli = await CliHome.make();
    if (where === "this machine") return;
    server = await openServer({ dataDir: join(cli.home, "data"), driver: "virtual", port: 0 });
    // Whoever took the local engine by mistake would find nothing there.
    env = {
      SPACES_HOME: join(cli.home, "elsewhere"),
      SPACES_DRIVER: undefined,
      SPACES_URL: server.url,
      SPACES_TOKEN: server.adminToken,
    };
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await cli[Symbol.asyncDispose]();
  });

  const scripts = (args: string[], options: CliOptions = {}): Promise<CliResult> =>
    cli.run(["scripts", ...args], { ...options, env: { ...env, ...options.env } });
  const good = async (...args: string[]): Promise<string> => {
    const result = await scripts(args);
    expect(result, args.join(" ")).toMatchObject({ code: 0 });
    return result.stdout;
  };
  const saved = async (name: string, source: string, ...more: string[]) => {
    const result = await scripts(["save", "-", "--name", name, ...more], { input: source });
    expect(result).toMatchObject({ code: 0 });
    return result.stderr;
  };

  it("are saved in versions, listed, shown, compared, taken back and deleted", async () => {
    expect(await saved("greet", "console.log(1);\n", "-d", "says one")).toBe(
      "Saved greet, version 1 (typescript).\n",
    );
    expect(await saved("greet", "console.log(2);\n")).toContain("version 2");
    expect(await saved("greet", "console.log(2);\n")).toContain("version 2");
    expect(await good("list")).toMatch(/^greet +script +typescript +2 +.*says one$/m);
    expect(await good("history", "greet")).toMatch(/^2 \* .*\n1 {2}/m);
    expect(await good("show", "greet", "--version", "1")).toBe("console.log(1);\n");
    expect(await good("run", "greet", "--version", "1")).toBe("1\n");
    const diff = await scripts(["diff", "greet"]);
    expect(diff).toMatchObject({ code: 1, stderr: "" });
    expect(diff.stdout).toBe(
      "--- greet (version 1)\n+++ greet (version 2)\n@@ -1,1 +1,1 @@\n-console.log(1);\n+console.log(2);\n",
    );
    expect(await good("diff", "greet", "2", "2")).toBe("");
    expect(await good("rollback", "greet")).toBe("");
    expect(await good("run", "greet")).toBe("1\n");
    expect(await good("diff", "greet", "1", "3")).toBe("");
    expect(await good("rollback", "greet", "--to", "2")).toBe("");
    expect(await good("run", "greet")).toBe("2\n");
    expect((await scripts(["delete", "greet", "--dry-run"])).stderr).toBe(
      "Would delete script greet.\n",
    );
    expect(await good("run", "greet")).toBe("2\n");
    await good("delete", "greet");
    expect(await scripts(["history", "greet"])).toMatchObject({ code: 1 });
  });

  it("are compared with files, in colours where these are shown", async () => {
    await saved("compared", "same\nold\n");
    const file = await cli.write("compared.ts", "same\nnew\n");
    const plain = await scripts(["diff", "compared", file]);
    expect(plain.code).toBe(1);
    expect(plain.stdout).toContain("-old\n+new\n");
    const back = await scripts(["diff", "compared", file, "1", "--json"]);
    expect(back.code).toBe(1);
    expect(JSON.parse(back.stdout)).toMatchObject({
      ...{ script: "compared", from: file, to: "compared (version 1)", different: true },
      patch: expect.stringContaining("-new\n+old\n"),
    });
    const colored = await scripts(["diff", "compared", file], { env: { FORCE_COLOR: "1" } });
    expect(colored.stdout).toContain("\u001b[32m+new\u001b[39m\n");
    expect((await scripts(["diff", "compared"])).stderr).toContain("one version only");
    expect(await scripts(["diff", "compared", "./none.ts"])).toMatchObject({ code: 2 });
    expect(await scripts(["diff", "compared", "7"])).toMatchObject({ code: 1 });
  });

  it("take flags that are made from their inputs", async () => {
    await saved("backup", BACKUP);
    const run = async (...args: string[]) => await scripts(["run", "backup", ...args]);
    expect((await run("x", "--", "--to", "a", "--dry-run", "y")).stdout).toBe(
      '{"keep":3,"dryRun":true,"to":"a","args":["x","y"]}\n',
    );
    expect((await run("--input", '{"to":"a"}', "--", "--keep", "5")).stdout).toBe(
      '{"keep":5,"to":"a","args":[]}\n',
    );
    const help = await run("--", "--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain(
      "Usage: spaces scripts run backup -- [flags] [args...]\n\nBacks up",
    );
    expect(help.stdout).toMatch(/--keep <integer> +How many to keep \(default: 3\)/);
    for (const [args, message] of [
      [["--", "--kepe", "1"], "no flag --kepe"],
      [["--", "--keep", "0", "--to", "a"], '"keep" of the script "backup" must be 1 at least'],
      [[], '"to" of the script "backup" is missing'],
      [["--input", '{"to":"b"}', "--", "--to", "a"], '--input and a flag both give "to"'],
      [["--input", "5"], "must be an object"],
    ] as const) {
      const result = await run(...args);
      expect(result, args.join(" ")).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toContain(message);
    }
    const granted = await run("--grant", "", "--", "--to", "b");
    expect(granted).toMatchObject({ code: 0, stdout: '{"keep":3,"to":"b","args":[]}\n' });
    const file = await cli.write("backup.ts", BACKUP);
    expect(await cli.run(["run", file, "--", "--to", "c"], { env })).toMatchObject({
      ...{ code: 0, stdout: '{"keep":3,"to":"c","args":[]}\n' },
    });
    const fromStdin = ["run", "-", "--", "--to", "d"];
    expect((await cli.run(fromStdin, { env, input: BACKUP })).stdout).toContain('"to":"d"');
  });

  it("without inputs take arguments as they are", async () => {
    await saved("plain", 'import { args, input } from "runtime"; console.log(args.join(), input);');
    expect(await good("run", "plain", "--input", '"any"', "--", "--help", "-x", "--no-y=1")).toBe(
      "--help,-x,--no-y=1 any\n",
    );
  });

  it("declare inputs in a file as well, and refuse wrong ones with their place", async () => {
    const inputs = await cli.write("inputs.yaml", "keep: {type: integer, required: true}\n");
    await saved("typed", "1;", "--inputs", inputs, "--tool");
    expect(await scripts(["run", "typed"])).toMatchObject({ code: 2 });
    expect(await good("run", "typed", "--", "--keep", "1")).toBe("");
    await writeFile(inputs, "keep: {type: integre}\n");
    const refused = await scripts(["save", "-", "--name", "typed", "--inputs", inputs], {
      input: "2",
    });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain(`${inputs}:1:8: keep.type: must have a type`);
    const file = await cli.write("wrong.ts", "/*---\nkind: nothing\n---*/\n");
    const wrong = await scripts(["save", file]);
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain(`${file}:2:1: kind: `);
  });

  it("import libs, which are not run", async () => {
    await saved("lib-a", 'export { b } from "./lib-b.ts";', "--kind", "lib");
    await saved("lib-b", "export const b: number = 2;", "--kind", "lib", "--global");
    await saved("user-of-libs", 'import { b } from "./lib-a.ts"; console.log(b);');
    expect(await good("run", "user-of-libs")).toBe("2\n");
    expect(await good("run", "user-of-libs", "--grant", "")).toBe("2\n");
    const lib = await scripts(["run", "lib-a"]);
    expect(lib).toMatchObject({ code: 2, stdout: "" });
    expect(lib.stderr).toContain('"lib-a" is a lib');
    await saved("lib-user", 'import "./nothing.ts";');
    const lost = await scripts(["run", "lib-user"]);
    expect(lost).toMatchObject({ code: 1, stdout: "" });
    expect(lost.stderr).toContain("Cannot find module './nothing.ts' imported from lib-user.ts");
  });

  it("are global where that is asked, and shadowed by one's own", async () => {
    await saved("everybody", "console.log('global')", "--global");
    expect(await good("list")).toMatch(/^everybody +script, global /m);
    for (const args of [["delete"], ["rollback"], ["edit"], ["delete", "--dry-run"]]) {
      const result = await scripts([args[0] ?? "", "everybody", ...args.slice(1)], {
        env: { EDITOR: "true" },
      });
      expect(result, args.join(" ")).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toContain("--global");
    }
    await saved("everybody", "console.log('own')");
    expect(await good("run", "everybody")).toBe("own\n");
    expect(await good("show", "everybody", "--global")).toContain("global");
    expect(await good("list")).toMatch(/^everybody +script, shadowed /m);
    await good("delete", "everybody");
    await good("delete", "everybody", "--global");
    expect(await scripts(["show", "everybody"])).toMatchObject({ code: 1 });
  });

  it("are edited in the user's editor", async () => {
    await saved("edited", "console.log(1);\n");
    const temp = join(cli.home, "edit-temp");
    await mkdir(temp, { recursive: true });
    const edit = (editor: string, ...more: string[]) =>
      scripts(["edit", "edited", ...more], { env: { VISUAL: editor, TMPDIR: temp } });
    expect(await edit("true")).toMatchObject({ code: 0, stderr: "Script edited is unchanged.\n" });
    const mode = join(cli.home, "mode");
    expect(await edit(`stat -c %a "$1" > '${mode}'; sed -i s/1/2/`)).toMatchObject({
      ...{ code: 0, stderr: "Saved edited, version 2 (typescript).\n" },
    });
    expect((await readFile(mode, "utf8")).trim()).toBe("600");
    expect(await good("run", "edited")).toBe("2\n");
    expect(await readdir(temp)).toEqual([]);
  });

  it("keep the text of an edit that cannot be saved", async () => {
    await saved("kept", "console.log(1);\n");
    const temp = join(cli.home, "kept-temp");
    await mkdir(temp, { recursive: true });
    const edit = (editor: string) =>
      scripts(["edit", "kept"], { env: { EDITOR: editor, VISUAL: "", TMPDIR: temp } });
    const keptText = async (stderr: string): Promise<string> => {
      const [, file = ""] = /is kept in (\S+\.ts)\./.exec(stderr) ?? [];
      return await readFile(file, "utf8");
    };
    const header = await edit("printf '/*---\\nkind: odd\\n---*/\\n' >");
    expect(header).toMatchObject({ code: 2, stdout: "" });
    expect(header.stderr).toContain("kept:2:1: kind:");
    expect(await keptText(header.stderr)).toContain("kind: odd");
    const failed = await edit("sh -c 'echo changed > \"$0\"; exit 3'");
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain("ended with code 3: nothing is saved.");
    expect(await keptText(failed.stderr)).toBe("changed\n");
    const killed = await edit("sh -c 'echo half > \"$0\"; kill -9 $$'");
    expect(killed.stderr).toContain("nothing is saved");
    expect(await keptText(killed.stderr)).toBe("half\n");
    expect(await readdir(temp)).toHaveLength(3);
    expect(await edit("exit 1; true")).toMatchObject({ code: 1, stdout: "" });
    expect(await edit(join(temp, "no-editor"))).toMatchObject({ code: 1, stdout: "" });
    expect(await readdir(temp)).toHaveLength(3);
    expect(await good("show", "kept")).toBe("console.log(1);\n");
  });

  it("are not overwritten by an edit that began before another saved", async () => {
    await saved("raced", "one\n");
    const temp = join(cli.home, "raced-temp");
    await mkdir(temp, { recursive: true });
    const fifo = join(cli.home, "fifo");
    await execute("mkfifo", [fifo]);
    const editing = scripts(["edit", "raced"], {
      env: { VISUAL: `cat '${fifo}' >`, TMPDIR: temp },
    });
    await expect.poll(() => readdir(temp), { timeout: 30_000 }).toHaveLength(1);
    await saved("raced", "two\n");
    await writeFile(fifo, "mine\n");
    const result = await editing;
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(/has been saved since, as version 2[\s\S]*\[CONFLICT]/);
    expect(await good("show", "raced")).toBe("two\n");
  });

  it("are imported from a directory, again and again", async () => {
    const directory = join(cli.home, "imported");
    await mkdir(join(directory, "below"), { recursive: true });
    const files = {
      "deploy.ts": 'import { x } from "./shared.ts"; console.log(x);',
      "shared.ts": "/*---\nkind: lib\n---*/\nexport const x: number = 7;",
      "old.js": "console.log('old')",
      "run.sh": "#!/bin/sh\necho native\n",
      "plain.sh": "echo no shebang\n",
      "Upper.ts": "1",
      "types.d.ts": "export {};",
      "notes.md": "# no",
      "below/deep.ts": "1",
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    const dry = await scripts(["import", directory, "--prefix", "ops-", "--dry-run"]);
    expect(dry).toMatchObject({
      code: 0,
      stdout: "created ops-deploy\ncreated ops-old\ncreated ops-run\ncreated shared\n",
    });
    expect(dry.stderr).toContain('Left out Upper.ts: "ops-Upper" is no name of a script.');
    expect(dry.stderr).toContain("Left out plain.sh: it does not start with #!.");
    expect(await scripts(["show", "ops-deploy"])).toMatchObject({ code: 1 });
    const load = () => good("import", directory, "--prefix", "ops-");
    expect(await load()).toBe(
      "created ops-deploy\ncreated ops-old\ncreated ops-run\ncreated shared\n",
    );
    expect(await good("run", "ops-deploy")).toBe("7\n");
    await writeFile(join(directory, "old.js"), "console.log('new')");
    expect(await good("import", directory, "--prefix", "ops-", "--dry-run")).toContain(
      "updated ops-old\n",
    );
    expect(await load()).toBe(
      "unchanged ops-deploy\nupdated ops-old\nunchanged ops-run\nunchanged shared\n",
    );
    expect(await good("run", "ops-old")).toBe("new\n");
  });

  it("are tested on an engine of their own that leaves nothing behind", async () => {
    await saved(
      "tested",
      'import { list, create, start, run } from "spaces";\nimport { exit } from "runtime";\nimport { n } from "./tested-lib.ts";\nconsole.log(list().length, n); create("dev", "default"); start("dev"); console.log(run("dev", "echo inside").trim()); exit(4);',
    );
    await saved("tested-lib", "export const n = 1;", "--kind", "lib");
    const temp = join(cli.home, "trial-temp");
    await mkdir(temp, { recursive: true });
    const test = (...args: string[]) => scripts(["test", ...args], { env: { TMPDIR: temp } });
    expect(await test("tested")).toMatchObject({ code: 4, stdout: "0 1\ninside\n", stderr: "" });
    const file = await cli.write("tested.ts", BACKUP);
    expect(await test(file, "--", "--to", "x")).toMatchObject({
      ...{ code: 0, stdout: '{"keep":3,"to":"x","args":[]}\n' },
    });
    expect(await test(file)).toMatchObject({ code: 2, stdout: "" });
    expect((await test(file, "--", "--help")).stdout).toContain("Usage: spaces scripts test ");
    const bound = await cli.write("bound.ts", 'import { name } from "space"; console.log(name);');
    expect(await test(bound, "--space", "dev")).toMatchObject({ code: 0, stdout: "dev\n" });
    const native = await cli.write("native.sh", '#!/bin/sh\necho "native $1"; exit 3\n');
    expect(await test(native, "me")).toMatchObject({ code: 3, stdout: "native me\n" });
    await saved("tested-native", '#!/bin/sh\necho "$SPACES_INPUT"\n');
    expect(await test("tested-native", "--input", "[1]")).toMatchObject({ stdout: "[1]\n" });
    const spins = await cli.write("spins.ts", "for (;;);");
    expect(await test(spins, "--timeout", "300ms")).toMatchObject({ code: 124 });
    expect(await test("no-such-script")).toMatchObject({ code: 1 });
    expect(await readdir(temp)).toEqual([]);
    expect(JSON.parse((await cli.run(["list", "--json"], { env })).stdout)).toEqual({ items: [] });
  });

  it("are tested until a signal ends that, with nothing left behind", async () => {
    const temp = join(cli.home, "signal-temp");
    await mkdir(temp, { recursive: true });
    const file = await cli.write(
      "waits.ts",
      'import { sleep } from "runtime"; console.log("on"); sleep(600);',
    );
    const running = cli.start(["scripts", "test", file, "--space", "dev"], {
      env: { ...env, TMPDIR: temp },
    });
    await running.printed("on\n");
    expect(await readdir(temp)).toHaveLength(1);
    running.child.kill("SIGTERM");
    expect(await running.ended).toMatchObject({ code: 143, stdout: "on\n" });
    expect(await readdir(temp)).toEqual([]);
  });

  it("are saved by many processes at once, each as a version of its own", async () => {
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        scripts(["save", "-", "--name", "crowd", "--json"], { input: `console.log(${n})` }),
      ),
    );
    const versions = results.map(
      ({ stdout }) => (JSON.parse(stdout) as { version: number }).version,
    );
    expect(versions.sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe("spaces scripts import", () => {
  let cli: CliHome;
  let directory: string;
  let count = 0;
  beforeAll(async () => {
    cli = await CliHome.make();
  });
  afterAll(() => cli[Symbol.asyncDispose]());
  beforeEach(async () => {
    count += 1;
    directory = dirname(await cli.write(`import-${count}/one.ts`, "console.log(1)"));
  });
  afterEach(async () => {
    for (const name of ["one", "two"]) await cli.run(["scripts", "delete", name]);
  });
  const load = (...args: string[]) => cli.run(["scripts", "import", directory, ...args]);
  const git = (...args: string[]) =>
    execute("git", [
      "-C",
      directory,
      "-c",
      "user.name=t",
      "-c",
      "user.email=t@example.org",
      ...args,
    ]);

  it("takes what git tracks alone, and runs nothing that a checkout names", async () => {
    await git("init", "-q");
    await writeFile(join(directory, "two.ts"), "console.log(2)");
    await writeFile(join(directory, ".gitignore"), "secret.ts\n");
    await writeFile(join(directory, "secret.ts"), "console.log('secret')");
    await git("add", "one.ts", ".gitignore");
    const ran = join(directory, "ran");
    const hook = await cli.write("hook.sh", `#!/bin/sh\ntouch '${ran}'\n`);
    await chmod(hook, 0o755);
    await git("config", "core.fsmonitor", hook);
    expect(await load()).toMatchObject({ code: 0, stdout: "created one\n", stderr: "" });
    await expect(stat(ran)).rejects.toMatchObject({ code: "ENOENT" });
    await writeFile(join(directory, ".git", "index"), "broken");
    const broken = await load();
    expect(broken).toMatchObject({ code: 2, stdout: "" });
    expect(broken.stderr).toContain("git cannot tell the files");
  });

  it("follows no symlink out of the directory, and stores nothing then", async () => {
    const outside = await cli.write("outside.ts", "console.log('outside')");
    await symlink(outside, join(directory, "two.ts"));
    const result = await load();
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain("leads out of the directory");
    expect(await cli.run(["scripts", "show", "one"])).toMatchObject({ code: 1 });
  });

  it("follows symlinks within the directory, to the directory, and none to nothing", async () => {
    await symlink("one.ts", join(directory, "two.ts"));
    await symlink("gone.ts", join(directory, "three.ts"));
    const link = join(cli.home, `link-${count}`);
    await symlink(directory, link);
    expect(await cli.run(["scripts", "import", link])).toMatchObject({
      ...{ code: 0, stdout: "created one\ncreated two\n" },
    });
  });

  it("stores nothing where one script is wrong, or two have one name", async () => {
    await writeFile(join(directory, "two.ts"), "/*---\nkind: odd\n---*/\n");
    const wrong = await load();
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain(`${join(directory, "two.ts")}:2:1: kind:`);
    await writeFile(join(directory, "two.ts"), "2");
    await writeFile(join(directory, "two.js"), "2");
    expect((await load()).stderr).toContain('two.js and two.ts would both be "two"');
    expect(await cli.run(["scripts", "show", "one"])).toMatchObject({ code: 1 });
  });

  it("says what is no directory, and where there is nothing to import", async () => {
    expect(await cli.run(["scripts", "import", join(directory, "one.ts")])).toMatchObject({
      code: 2,
    });
    expect(await cli.run(["scripts", "import", join(directory, "no")])).toMatchObject({ code: 2 });
    await mkdir(join(directory, "empty"));
    expect(await cli.run(["scripts", "import", join(directory, "empty")])).toMatchObject({
      ...{ code: 0, stdout: "", stderr: expect.stringContaining("There are no scripts in ") },
    });
  });
});
