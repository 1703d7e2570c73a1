import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, CliHome, PACKAGE } from "./cli-harness.js";

const execute = promisify(execFile);

let home: CliHome;
beforeAll(async () => {
  home = await CliHome.create();
});
afterAll(() => home[Symbol.asyncDispose]());

const COMMANDS = [
  ["run"],
  ...["create", "list", "show", "start", "stop", "restart", "extend", "delete"].map((name) => [
    name,
  ]),
  ["exec"],
  ...["get", "set", "list"].map((name) => ["fields", name]),
  ...["list", "show", "apply", "delete"].map((name) => ["templates", name]),
  ...["save", "list", "show", "run", "delete"].map((name) => ["scripts", name]),
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
      const result = await home.run([...command, "--help"]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(result.stdout).toContain(`Usage: spaces ${name}`);
      expect(result.stdout).toContain(`$ spaces ${name}`);
    },
  );

  it("lists every command", async () => {
    const { stdout, code } = await home.run(["--help"]);
    expect(code).toBe(0);
    for (const [name] of COMMANDS) expect(stdout).toMatch(new RegExp(`^ +${name}\\b`, "m"));
    expect(stdout).not.toContain("__complete");
    expect(await home.run(["help", "exec"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("suggests the command that was meant", async () => {
    const result = await home.run(["crate", "x"]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/unknown command 'crate'[\s\S]*Did you mean create\?/);
    expect((await home.run(["templates", "lst"])).stderr).toContain("Did you mean list?");
    expect((await home.run(["list", "--limt", "1"])).stderr).toContain("Did you mean --limit?");
  });

  it("shows the help of a group whose command is missing, as a usage error", async () => {
    const result = await home.run(["templates"]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain("Usage: spaces templates");
  });
});

describe("colours", () => {
  const colored = /\u001b\[/;

  it("has none in a pipe, and some when they are forced, but not against --no-color", async () => {
    expect((await home.run(["crate"])).stderr).not.toMatch(colored);
    const env = { FORCE_COLOR: "1" };
    expect((await home.run(["crate"], { env })).stderr).toMatch(colored);
    expect((await home.run(["crate", "--no-color"], { env })).stderr).not.toMatch(colored);
    expect((await home.run(["crate"], { env: { NO_COLOR: "1" } })).stderr).not.toMatch(colored);
  });
});

describe("output that cannot be written", () => {
  it("is reported, with exit code 125", async () => {
    const line = '"$NODE" "$CLI" version > /dev/full; echo "code $?"';
    const env = home.env({ NODE: process.execPath, CLI });
    const { stdout, stderr } = await execute("bash", ["-c", line], { env });
    expect(stdout).toBe("code 125\n");
    expect(stderr).toMatch(/^error: The output cannot be written: ENOSPC.*\n$/);
  });
});

describe("spaces version", () => {
  it("prints the version of the package", async () => {
    const { version } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
    expect(await home.json(["version"])).toEqual({
      version,
      node: process.versions.node,
      platform: process.platform,
      arch: process.arch,
    });
    expect((await home.run(["version"])).stdout).toBe(`spaces ${version}\n`);
    expect((await home.run(["--version"])).stdout).toBe(`spaces ${version}\n`);
  });
});

describe("spaces doctor", () => {
  it("finds the virtual driver usable", async () => {
    const findings = await home.json(["doctor"]);
    expect(findings).toMatchObject({ ok: true, node: { ok: true }, binding: "in-process" });
    expect(findings.drivers).toContainEqual(
      expect.objectContaining({ name: "virtual", usable: true }),
    );
    expect((await home.run(["doctor"])).stdout).toMatch(/^ok +driver virtual/m);
  });

  it("says what is wrong with the data directory and ends with 1", async () => {
    const env = { SPACES_HOME: "/dev/null/nowhere" };
    const result = await home.run(["doctor"], { env });
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/^no +data directory/m);
    const findings = JSON.parse((await home.run(["doctor", "--json"], { env })).stdout);
    expect(findings).toMatchObject({ ok: false, problems: [{ what: "data" }] });
  });
});

describe("spaces init", () => {
  it("writes a script that runs and a configuration with which it compiles", async () => {
    const directory = join(home.directory, "project");
    const { written } = await home.json<{ written: string[] }>(["init", directory]);
    const [script = ""] = written;
    const result = await home.run(["run", script, "greeted"]);
    expect(result).toEqual({ code: 0, stdout: "hello from greeted\n", stderr: "" });
    expect(await home.json(["list"])).toEqual({ items: [] });
    const tsc = join(PACKAGE, "node_modules", "typescript", "bin", "tsc");
    const compiled = await execute(process.execPath, [tsc, "-p", directory]);
    expect(compiled.stdout).toBe("");
  });

  it("never overwrites without --force", async () => {
    const directory = join(home.directory, "kept");
    await home.json(["init", directory]);
    const refused = await home.run(["init", directory]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("--force");
    await home.json(["init", directory, "--force"]);
  });
});

describe("completion", () => {
  it.each(["bash", "zsh", "fish", "pwsh"])("prints a script for %s", async (shell) => {
    const { stdout, code } = await home.run(["completion", shell]);
    expect(code).toBe(0);
    expect(stdout).toContain("spaces __complete");
    expect(await home.json(["completion", shell])).toEqual({ shell, script: stdout });
  });

  it("refuses a shell that it does not know", async () => {
    expect((await home.run(["completion", "tcsh"])).code).toBe(2);
  });

  it("completes in a real bash", async () => {
    const { stdout: script } = await home.run(["completion", "bash"]);
    const file = await home.file("completion.bash", script);
    await execute("bash", ["-n", file]);
    const line = `spaces() { "$NODE" "$CLI" "$@"; }
      source "$FILE"
      COMP_WORDS=(spaces scripts s) COMP_CWORD=2
      _spaces
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = home.env({ NODE: process.execPath, CLI, FILE: file });
    const { stdout } = await execute("bash", ["-c", line], { env });
    expect(stdout.split("\n")).toEqual(["save", "show", ""]);
  });

  it("completes commands, options, choices and names from the store", async () => {
    await home.json(["create", "alpha", "--driver", "virtual"]);
    const ask = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await home.run(["__complete", "--", ...words]);
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
    expect(await ask("nonsense", "")).toEqual([""]);
    await home.json(["delete", "alpha"]);
  });
});
