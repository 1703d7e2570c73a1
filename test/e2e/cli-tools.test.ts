import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, CliHome, ROOT } from "../support/cli.js";

const execute = promisify(execFile);

let cli: CliHome;
beforeAll(async () => {
  cli = await CliHome.make();
});
afterAll(() => cli[Symbol.asyncDispose]());

const COMMANDS = [
  ["run"],
  ...["create", "list", "show", "start", "stop", "restart", "extend", "delete"].map((name) => [
    name,
  ]),
  ["exec"],
  ...["get", "set", "list"].map((name) => ["fields", name]),
  ...["list", "show", "apply", "delete"].map((name) => ["templates", name]),
  ...["save", "edit", "import", "rollback", "delete", "list", "show", "history", "diff", "run"].map(
    (name) => ["scripts", name],
  ),
  ["scripts", "test"],
  ...["list", "create", "show", "update", "delete"].map((name) => ["users", name]),
  ...["list", "save", "delete"].map((name) => ["roles", name]),
  ...["create", "list", "revoke"].map((name) => ["tokens", name]),
  ["whoami"],
  ...["init", "doctor", "completion", "version"].map((name) => [name]),
];

describe("help and usage", () => {
  it.each(COMMANDS.map((command) => [command.join(" "), command]))(
    "explains %s with an example",
    async (name, command) => {
      const result = await cli.run([...command, "--help"]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(result.stdout).toContain(`Usage: spaces ${name}`);
      expect(result.stdout).toContain(`$ spaces ${name}`);
    },
  );

  it("lists every command", async () => {
    const { stdout, code } = await cli.run(["--help"]);
    expect(code).toBe(0);
    for (const [name] of COMMANDS) expect(stdout).toMatch(new RegExp(`^ +${name}\\b`, "m"));
    expect(stdout).not.toContain("__complete");
    expect(await cli.run(["help", "exec"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("suggests the command that was meant", async () => {
    const result = await cli.run(["crate", "x"]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/unknown command 'crate'[\s\S]*Did you mean create\?/);
    expect((await cli.run(["templates", "lst"])).stderr).toContain("Did you mean list?");
    expect((await cli.run(["list", "--limt", "1"])).stderr).toContain("Did you mean --limit?");
    const mistaken = await cli.run(["run", "backup.ts", "--keep", "5"]);
    expect(mistaken.stderr).toContain("put -- before arguments that are meant for a script");
  });

  it("shows the help of a group whose command is missing, as a usage error", async () => {
    const result = await cli.run(["templates"]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain("Usage: spaces templates");
  });
});

describe("colours", () => {
  const colored = /\u001b\[/;

  it("has none in a pipe, and some when they are forced, but not against --no-color", async () => {
    expect((await cli.run(["crate"])).stderr).not.toMatch(colored);
    const env = { FORCE_COLOR: "1" };
    expect((await cli.run(["crate"], { env })).stderr).toMatch(colored);
    expect((await cli.run(["crate", "--no-color"], { env })).stderr).not.toMatch(colored);
    expect((await cli.run(["crate"], { env: { NO_COLOR: "1" } })).stderr).not.toMatch(colored);
  });
});

describe("output that cannot be written", () => {
  it("is reported, with exit code 125", async () => {
    const line = '"$NODE" "$CLI" version > /dev/full; echo "code $?"';
    const env = { ...cli.env, NODE: process.execPath, CLI };
    const { stdout, stderr } = await execute("bash", ["-c", line], { env });
    expect(stdout).toBe("code 125\n");
    expect(stderr).toMatch(/^error: The output cannot be written: ENOSPC.*\n$/);
  });
});

describe("spaces version", () => {
  it("prints the version of the package", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    expect(await cli.json(["version"])).toEqual({
      version,
      node: process.versions.node,
      platform: process.platform,
      arch: process.arch,
    });
    expect((await cli.run(["version"])).stdout).toBe(`spaces ${version}\n`);
    expect((await cli.run(["--version"])).stdout).toBe(`spaces ${version}\n`);
  });
});

describe("spaces doctor", () => {
  it("finds the virtual driver usable", async () => {
    const findings = await cli.json(["doctor"]);
    expect(findings).toMatchObject({ ok: true, node: { ok: true }, binding: "in-process" });
    expect(findings.drivers).toContainEqual(
      expect.objectContaining({ name: "virtual", usable: true }),
    );
    expect((await cli.run(["doctor"])).stdout).toMatch(/^ok +driver virtual/m);
  });

  it("says what is wrong with the data directory and ends with 1", async () => {
    const env = { SPACES_HOME: "/dev/null/nowhere" };
    const result = await cli.run(["doctor"], { env });
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/^no +data directory/m);
    const findings = JSON.parse((await cli.run(["doctor", "--json"], { env })).stdout);
    expect(findings).toMatchObject({ ok: false, problems: [{ what: "data" }] });
  });
});

describe("spaces init", () => {
  it("writes a script that runs and a configuration with which it compiles", async () => {
    const directory = join(cli.home, "project");
    const { written } = await cli.json<{ written: string[] }>(["init", directory]);
    const [script = ""] = written;
    const result = await cli.run(["run", script, "greeted"]);
    expect(result).toEqual({ code: 0, stdout: "hello from greeted\n", stderr: "" });
    expect(await cli.json(["list"])).toEqual({ items: [] });
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const compiled = await execute(process.execPath, [tsc, "-p", directory]);
    expect(compiled.stdout).toBe("");
  });

  it("never overwrites without --force", async () => {
    const directory = join(cli.home, "kept");
    await cli.json(["init", directory]);
    const refused = await cli.run(["init", directory]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("--force");
    await cli.json(["init", directory, "--force"]);
  });
});

describe("completion", () => {
  it.each(["bash", "zsh", "fish", "pwsh"])("prints a script for %s", async (shell) => {
    const { stdout, code } = await cli.run(["completion", shell]);
    expect(code).toBe(0);
    expect(stdout).toContain("spaces __complete");
    expect(await cli.json(["completion", shell])).toEqual({ shell, script: stdout });
  });

  it("refuses a shell that it does not know", async () => {
    expect((await cli.run(["completion", "tcsh"])).code).toBe(2);
  });

  it("completes in a real bash", async () => {
    const { stdout: script } = await cli.run(["completion", "bash"]);
    const file = await cli.write("completion.bash", script);
    await execute("bash", ["-n", file]);
    const line = `spaces() { "$NODE" "$CLI" "$@"; }
      source "$FILE"
      COMP_WORDS=(spaces scripts s) COMP_CWORD=2
      _spaces
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...cli.env, NODE: process.execPath, CLI, FILE: file };
    const { stdout } = await execute("bash", ["-c", line], { env });
    expect(stdout.split("\n")).toEqual(["save", "show", ""]);
  });

  it("completes commands, options, choices and names from the store", async () => {
    await cli.json(["create", "alpha", "--driver", "virtual"]);
    const ask = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await cli.run(["__complete", "--", ...words]);
      return stdout.split("\n").map((line) => line.split("\t")[0] ?? "");
    };
    expect(await ask("st")).toEqual(["start", "stop", ""]);
    expect(await ask("show", "")).toEqual(["alpha", ""]);
    expect(await ask("delete", "alpha", "al")).toEqual(["alpha", ""]);
    expect(await ask("create", "x", "--shell", "")).toEqual(["bash", "zsh", "fish", "sh", ""]);
    expect(await ask("create", "x", "--template", "d")).toEqual(["default", ""]);
    expect(await ask("run", "--s")).toEqual(["--space", ""]);
    expect(await ask("--j")).toEqual(["--json", ""]);
    expect(await ask("run", "")).toContain(":files");
    expect(await ask("exec", "alpha", "--", "")).toEqual([""]);
    await cli.run(["scripts", "save", "-", "--name", "beta"], { input: "1" });
    expect(await ask("scripts", "edit", "b")).toEqual(["beta", ""]);
    expect(await ask("scripts", "test", "b")).toEqual(["beta", ":files", ""]);
    expect(await ask("scripts", "diff", "beta", "")).toEqual([":files", ""]);
    expect(await ask("scripts", "save", "--kind", "")).toEqual(["script", "lib", ""]);
    expect(await ask("scripts", "import", "")).toEqual([":files", ""]);
    await cli.run(["scripts", "delete", "beta"]);
    expect(await ask("nonsense", "")).toEqual([""]);
    await cli.json(["scripts", "save", await cli.write("backup.ts", "1")]);
    const add = ["schedules", "add", "nightly", "--cron", "@daily"];
    const lib = { input: "/*---\nkind: lib\n---*/\nexport const one = 1;" };
    await cli.run(["scripts", "save", "-", "--name", "backups"], lib);
    expect(await ask("scripts", "run", "b")).toEqual(["backup", ""]);
    expect(await ask("scripts", "show", "b")).toEqual(["backup", "backups", ""]);
    await cli.json([...add, "--script", "backup"]);
    expect(await ask("schedules", "show", "")).toEqual(["nightly", ""]);
    expect(await ask("schedules", "pa")).toEqual(["pause", ""]);
    expect(await ask(...add, "--script", "b")).toEqual(["backup", ""]);
    expect(await ask(...add, "--overlap", "")).toEqual(["skip", "queue", "cancel", "allow", ""]);
    expect(await ask(...add, "--notify-space", "")).toEqual(["alpha", ""]);
    expect(await ask("schedules", "apply", "")).toEqual([":files", ""]);
    await cli.json(["schedules", "delete", "nightly"]);
    await cli.json(["delete", "alpha"]);
  });
});
