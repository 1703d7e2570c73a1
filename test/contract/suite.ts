/** The contract suite: what every binding on every driver must do. One file a combination calls it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";
import { openTestClient, type TestClient } from "../support/client.js";

/** What a driver cannot do is asserted to be `UNSUPPORTED`. */
export interface SuiteTraits {
  readonly driver: string;
  /** Runs programs of an operating system, in real processes. */
  readonly native: boolean;
}

const HOSTILE_NAMES = [
  "",
  ".",
  "..",
  "../x",
  "a/b",
  "a\\b",
  "%2e%2e%2f",
  "a\0b",
  "a\nb",
  "a\u202eb",
  "\ud800",
  "__proto__",
  "-rf",
  "--privileged",
  " lead",
  "Upper",
  "ünder",
  "a".repeat(64),
  "a".repeat(10_000_000),
];

export function contractSuite({ driver, native }: SuiteTraits): void {
  let opened: TestClient;
  let client: Client;
  let counter = 0;

  /** Creates a space under a fresh name; started where asked. */
  const make = async (state: "stopped" | "running", template = "default"): Promise<string> => {
    counter += 1;
    const name = `s${counter}`;
    await client.spaces.create({ name, template });
    if (state === "running") await client.spaces.start({ space: name });
    return name;
  };
  const run = (space: string, command: string, args?: string[]) =>
    client.processes.run({ space, command, ...(args === undefined ? {} : { args }) });
  const fails = async (code: ErrorCode, call: Promise<unknown>): Promise<void> => {
    await expect(call).rejects.toMatchObject({ code });
  };

  beforeAll(async () => {
    opened = await openTestClient(driver);
    client = opened.client;
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });

  describe("spaces", () => {
    it("creates a space that is stopped, with what it was given", async () => {
      const space = await client.spaces.create({
        name: "full",
        description: "A test",
        shell: "sh",
        env: { COLOUR: "blue" },
        fields: { environment: "testing" },
        metadata: { team: "a", "x.y": '"quoted"' },
      });
      expect(space).toMatchObject({
        name: "full",
        description: "A test",
        shell: "sh",
        status: "stopped",
        isRunning: false,
        driver,
        template: "default",
        env: { COLOUR: "blue" },
        metadata: { team: "a", "x.y": '"quoted"' },
        fields: { environment: "testing", api_key: "" },
      });
      expect(space.id).toMatch(/^spc_[0-9a-v]{20}$/);
      expect(space.workspace).toContain(space.id);
    });

    it("finds a space by name and by id", async () => {
      const name = await make("stopped");
      const byName = await client.spaces.get({ space: name });
      expect(await client.spaces.get({ space: byName.id })).toEqual(byName);
    });

    it("refuses a name that is taken", async () => {
      const name = await make("stopped");
      await fails("SPACE_EXISTS", client.spaces.create({ name }));
      expect((await client.spaces.get({ space: name })).name).toBe(name);
    });

    it("refuses names that are not names, and leaves nothing behind", async () => {
      const before = (await client.spaces.list({ limit: 1000 })).items.length;
      for (const name of HOSTILE_NAMES) {
        await fails("INVALID_INPUT", client.spaces.create({ name }));
        await fails("INVALID_INPUT", client.spaces.start({ space: name }));
      }
      expect((await client.spaces.list({ limit: 1000 })).items).toHaveLength(before);
    });

    it("gives a freed name to a new space", async () => {
      const name = await make("stopped");
      const { id } = await client.spaces.get({ space: name });
      await client.spaces.delete({ space: name });
      const again = await client.spaces.create({ name });
      expect(again.id).not.toBe(id);
    });

    it("says which space, template or field is unknown", async () => {
      const name = await make("stopped");
      for (const action of ["get", "start", "stop", "restart", "delete"] as const) {
        await fails("SPACE_NOT_FOUND", client.spaces[action]({ space: "nope" }));
      }
      await fails("SPACE_NOT_FOUND", client.processes.run({ space: "nope", command: "true" }));
      await fails("TEMPLATE_NOT_FOUND", client.spaces.create({ name: "x", template: "nope" }));
      await fails("FIELD_NOT_DEFINED", client.fields.get({ space: name, field: "nope" }));
      await fails("FIELD_NOT_DEFINED", client.spaces.create({ name: "x", fields: { nope: "1" } }));
      await fails("SPACE_NOT_FOUND", client.spaces.get({ space: "x" }));
    });

    it("refuses options that do not exist", async () => {
      const input = { name: "opt", polcy: "strict" };
      await fails("INVALID_INPUT", client.spaces.create(input));
    });

    it("refuses reserved keys in maps", async () => {
      for (const key of ["__proto__", "constructor", "prototype"]) {
        const map = JSON.parse(`{"${key}": "x"}`);
        await fails("INVALID_INPUT", client.spaces.create({ name: "keys", env: map }));
        await fails("INVALID_INPUT", client.spaces.create({ name: "keys", metadata: map }));
        await fails("INVALID_INPUT", client.spaces.create({ name: "keys", fields: map }));
      }
    });

    it("lists by page and by filter", async () => {
      await client.spaces.create({ name: "page-a", metadata: { set: "p" } });
      await client.spaces.create({ name: "page-b", metadata: { set: "p", more: "1" } });
      await client.spaces.create({ name: "page-c", metadata: { set: "p" } });
      const metadata = { set: "p" };
      const first = await client.spaces.list({ metadata, limit: 2 });
      expect(first.items.map((space) => space.name)).toEqual(["page-a", "page-b"]);
      const cursor = first.nextCursor;
      const second = await client.spaces.list({
        metadata,
        limit: 2,
        ...(cursor ? { cursor } : {}),
      });
      expect(second.items.map((space) => space.name)).toEqual(["page-c"]);
      expect(second.nextCursor).toBeUndefined();
      const both = await client.spaces.list({ metadata: { set: "p", more: "1" } });
      expect(both.items.map((space) => space.name)).toEqual(["page-b"]);
      await fails("INVALID_INPUT", client.spaces.list({ limit: -1 }));
    });

    it("updates what is given and keeps the rest", async () => {
      const name = await make("stopped");
      const updated = await client.spaces.update({
        space: name,
        description: "new",
        env: { A: "1" },
      });
      expect(updated).toMatchObject({ name, description: "new", env: { A: "1" }, metadata: {} });
      const other = await make("stopped");
      await fails("SPACE_EXISTS", client.spaces.update({ space: name, name: other }));
      expect((await client.spaces.update({ space: name, name: "renamed" })).name).toBe("renamed");
    });
  });

  describe("life", () => {
    it("starts, stops and restarts", async () => {
      const space = await make("stopped");
      expect((await client.spaces.start({ space })).status).toBe("running");
      expect((await client.spaces.start({ space })).status).toBe("running");
      expect((await client.spaces.restart({ space })).status).toBe("running");
      expect((await client.spaces.stop({ space })).status).toBe("stopped");
      expect((await client.spaces.stop({ space })).status).toBe("stopped");
      await fails("SPACE_NOT_RUNNING", client.spaces.restart({ space }));
    });

    it("deletes a stopped space only, unless forced", async () => {
      const space = await make("running");
      await fails("SPACE_RUNNING", client.spaces.delete({ space }));
      await client.spaces.delete({ space, force: true });
      await fails("SPACE_NOT_FOUND", client.spaces.get({ space }));
    });

    it("waits for a status, and says which one it found instead", async () => {
      const space = await make("stopped");
      const waiting = client.spaces.wait({ space, status: "running", timeoutMs: 30_000 });
      await client.spaces.start({ space });
      expect((await waiting).status).toBe("running");
      await fails("CONFLICT", client.spaces.wait({ space, status: "stopped", timeoutMs: 50 }));
    });

    it("starts once when two engines start the same space", async () => {
      const space = await make("stopped");
      const other = await opened.openAnother();
      const both = await Promise.all([
        client.spaces.start({ space }),
        other.client.spaces.start({ space }),
        client.spaces.start({ space }),
      ]);
      expect(new Set(both.map((result) => result.startedAt)).size).toBe(1);
      expect(both.map((result) => result.status)).toEqual(["running", "running", "running"]);
    });

    it("keeps files over a restart, and removes them with the space", async () => {
      const space = await make("running");
      await run(space, "echo kept > file");
      await client.spaces.restart({ space });
      expect((await run(space, "cat file")).stdout).toBe("kept\n");
      await client.spaces.delete({ space, force: true });
    });

    it("runs setup once and startup at each start", async () => {
      const source = `
name: counted
setup: ["echo setup >> log"]
startup: ["echo startup >> log"]
`;
      await client.templates.apply({ source });
      const space = await make("running", "counted");
      await client.spaces.restart({ space });
      expect((await run(space, "cat log")).stdout).toBe("setup\nstartup\nstartup\n");
      await client.spaces.delete({ space, force: true });
    });

    it("shows why a start failed, and starts again once that is mended", async () => {
      const source = 'name: broken\nstartup: ["echo trouble >&2; test -e mended"]\n';
      await client.templates.apply({ source });
      const space = await make("stopped", "broken");
      await fails("SPACE_START_FAILED", client.spaces.start({ space }));
      const failed = await client.spaces.get({ space });
      expect(failed).toMatchObject({ status: "error", lastError: { code: "SPACE_START_FAILED" } });
      expect(failed.lastError?.details?.output).toBe("trouble\n");
      const { writeFile } = await import("node:fs/promises");
      await writeFile(`${failed.workspace}/mended`, "");
      const mended = await client.spaces.start({ space });
      expect(mended.status).toBe("running");
      expect(mended.lastError).toBeUndefined();
    });
  });

  describe("fields", () => {
    it("gives what was set, the default, or nothing", async () => {
      const source = "name: fielded\nfields: [{name: a, default: one}, {name: b}]\n";
      await client.templates.apply({ source });
      const space = await make("stopped", "fielded");
      expect(await client.fields.get({ space, field: "a" })).toEqual({ value: "one" });
      expect(await client.fields.get({ space, field: "b" })).toEqual({ value: "" });
      await client.fields.set({ space, field: "a", value: "" });
      expect(await client.fields.get({ space, field: "a" })).toEqual({ value: "" });
      await client.fields.set({ space, field: "b", value: "ü\n'\"" });
      expect(await client.fields.get({ space, field: "b" })).toEqual({ value: "ü\n'\"" });
      await fails("FIELD_NOT_DEFINED", client.fields.set({ space, field: "c", value: "" }));
    });

    it("shows a secret in clear only where it is asked for by name", async () => {
      const space = await make("running");
      const value = "sk-very-secret";
      await client.fields.set({ space, field: "api_key", value });
      expect(await client.fields.get({ space, field: "api_key" })).toEqual({ value });
      const { items } = await client.fields.list({ space });
      expect(items.find((field) => field.name === "api_key")).toMatchObject({ value: "***" });
      expect(JSON.stringify(await client.spaces.list({ limit: 1000 }))).not.toContain(value);
      const result = await run(space, "printf", ["%s", `key=${value}`]);
      expect(result).toMatchObject({ stdout: "key=***", output: "key=***" });
      const { readFile, stat } = await import("node:fs/promises");
      for (const file of ["spaces.db", "spaces.db-wal"]) {
        const stored = await readFile(`${opened.dataDir}/${file}`);
        expect(stored.includes(value)).toBe(false);
      }
      expect((await stat(`${opened.dataDir}/secrets.key`)).mode & 0o777).toBe(0o600);
      expect((await stat(opened.dataDir)).mode & 0o777).toBe(0o700);
    });
  });

  describe("templates", () => {
    it("applies, shows, lists and deletes", async () => {
      const source = "name: shown\ndescription: One\n";
      const apply = () => client.templates.apply({ source });
      expect((await apply()).items).toEqual([{ name: "shown", result: "created" }]);
      expect((await apply()).items).toEqual([{ name: "shown", result: "unchanged" }]);
      expect(await client.templates.get({ template: "shown" })).toMatchObject({
        description: "One",
      });
      const { items } = await client.templates.list({});
      expect(items.map((template) => template.name)).toEqual(
        expect.arrayContaining(["default", "node", "python", "shown"]),
      );
      await client.templates.delete({ template: "shown" });
      await fails("TEMPLATE_NOT_FOUND", client.templates.get({ template: "shown" }));
    });

    it("keeps a template that a space uses, and the built-in ones", async () => {
      await client.templates.apply({ source: "name: used\n" });
      const space = await make("stopped", "used");
      await fails("TEMPLATE_IN_USE", client.templates.delete({ template: "used" }));
      await client.spaces.delete({ space });
      await client.templates.delete({ template: "used" });
      await fails("CONFLICT", client.templates.delete({ template: "default" }));
      await fails("CONFLICT", client.templates.apply({ source: "name: default\n" }));
    });
  });

  describe("processes", () => {
    let space: string;
    beforeAll(async () => {
      space = await make("running");
    });

    it("executes arguments directly, without a shell", async () => {
      const result = await run(space, "printf", ["%s|", "a b", "$HOME", "'\"`", "*", "-n", ""]);
      expect(result).toMatchObject({ exitCode: 0, stdout: "a b|$HOME|'\"`|*|-n||", stderr: "" });
    });

    it("runs a command line in the shell, in the workspace", async () => {
      const result = await run(space, "echo out; echo err >&2; pwd; exit 3");
      expect(result).toMatchObject({
        exitCode: 3,
        stdout: "out\n/workspace\n",
        stderr: "err\n",
        truncated: false,
        timedOut: false,
      });
    });

    it("gives environment, working directory and input", async () => {
      await run(space, "mkdir -p deep/er");
      const result = await client.processes.run({
        space,
        command: 'echo "$A $SPACES_SPACE_NAME"; pwd; cat',
        env: { A: "x y" },
        workdir: "deep/er",
        input: "ünput",
      });
      expect(result.stdout).toBe(`x y ${space}\n/workspace/deep/er\nünput`);
    });

    it("tells a missing working directory and a missing program", async () => {
      await run(space, "echo > plain-file");
      const input = { space, command: "true", args: [] };
      for (const workdir of ["missing", "plain-file"]) {
        await fails("INVALID_INPUT", client.processes.run({ ...input, workdir }));
      }
      await fails("COMMAND_NOT_FOUND", run(space, "no-such-program", []));
      expect((await run(space, "no-such-program")).exitCode).toBe(127);
      expect((await run(space, "exit 126")).exitCode).toBe(126);
      expect((await run(space, "exit 255")).exitCode).toBe(255);
    });

    it("kills what runs too long, with all it started, and keeps its output", async () => {
      const started = await client.processes.run({
        space,
        command: "echo before; sleep 60 & sleep 60",
        timeoutMs: 700,
      });
      expect(started).toMatchObject({ timedOut: true, exitCode: 124 });
      if (native) {
        expect(started.stdout).toBe("before\n");
        const left = await run(space, "grep -lz '^sleep' /proc/[0-9]*/cmdline; true");
        expect(left.stdout).toBe("");
      }
      expect((await run(space, "echo alive")).stdout).toBe("alive\n");
    });

    it("cancels and kills by signal", async () => {
      const abort = new AbortController();
      const call = client.processes.run({ space, command: "sleep 60" }, { signal: abort.signal });
      setTimeout(() => abort.abort(), 300);
      await fails("CANCELLED", call);
      expect((await run(space, "echo alive")).stdout).toBe("alive\n");
    });

    it("refuses time limits that are none", async () => {
      for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await fails("INVALID_INPUT", client.processes.run({ space, command: "true", timeoutMs }));
      }
    });

    it("bounds output, and says how much it dropped", async () => {
      const result = await run(space, "seq 1 400000");
      expect(result.truncated).toBe(true);
      expect(result.stdout.length).toBeLessThan(1_100_000);
      expect(result.stdout).toMatch(
        /^1\n2\n3\n[\s\S]*\[spaces: 1640319 bytes of output were dropped\]\n$/,
      );
    });

    it("survives output that is no UTF-8", async () => {
      const result = await run(space, "printf 'a\\377b'");
      expect(result.stdout).toBe("a\ufffdb");
    });

    it("runs many commands at once", async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) => run(space, "echo", [String(index)])),
      );
      expect(results.map((result) => result.stdout.trim())).toEqual(
        Array.from({ length: 20 }, (_, index) => String(index)),
      );
    });

    it("shows a space as busy while a command runs, and idle after", async () => {
      const call = run(space, "sleep 1");
      await expect.poll(async () => (await client.spaces.get({ space })).activity).toBe("busy");
      await call;
      expect((await client.spaces.get({ space })).activity).toBe("idle");
    });

    it("refuses commands in a space that does not run", async () => {
      await fails("SPACE_NOT_RUNNING", run(await make("stopped"), "true"));
    });
  });

  describe("scripts", () => {
    it("saves, shows, lists and deletes", async () => {
      const saved = await client.scripts.save({ script: "kept", source: "console.log(1)" });
      expect(saved).toMatchObject({ name: "kept", language: "typescript", description: "" });
      const { items } = await client.scripts.list({});
      expect(items.find((script) => script.name === "kept")).not.toHaveProperty("source");
      await client.scripts.delete({ script: "kept" });
      await fails("SCRIPT_NOT_FOUND", client.scripts.get({ script: "kept" }));
      await fails("SCRIPT_NOT_FOUND", client.scripts.run({ script: "kept" }));
      await fails("INVALID_INPUT", client.scripts.save({ script: "empty", source: " \n" }));
    });

    it("runs a script in the sandbox, bound to its space", async () => {
      const space = await make("running");
      await client.scripts.save({
        script: "bound",
        source: `import space from "space"; import { args } from "runtime";
          console.log(space.name, args.join("+"), space.run("echo inside").trim());`,
      });
      const result = await client.scripts.run({ script: "bound", space, args: ["a", "b"] });
      expect(result).toMatchObject({ exitCode: 0, output: `${space} a+b inside\n` });
    });

    it("runs a script with a shebang inside of the space", async () => {
      const space = await make("running");
      await client.scripts.save({
        script: "native",
        source: '#!/bin/sh\necho "native $1 $2"; pwd\nexit 4\n',
      });
      const result = await client.scripts.run({ script: "native", space, args: ["a b", "$x"] });
      expect(result).toMatchObject({ exitCode: 4, error: { code: "SCRIPT_FAILED" } });
      expect(result.output).toBe("native a b $x\n/workspace\n");
      expect((await run(space, "ls -A")).stdout).toBe("");
      await fails("INVALID_INPUT", client.scripts.run({ script: "native" }));
    });

    it("reports what a script died of, with its output so far", async () => {
      await client.scripts.save({ script: "dies", source: "console.log('so far');\nnull.x" });
      const result = await client.scripts.run({ script: "dies" });
      expect(result).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining("so far\n"),
        error: { code: "SCRIPT_FAILED", message: expect.stringContaining("TypeError") },
      });
      await client.scripts.save({ script: "spins", source: "while (true) {}" });
      const spun = await client.scripts.run({ script: "spins", timeoutMs: 300 });
      expect(spun).toMatchObject({ exitCode: 124, error: { code: "SCRIPT_TIMEOUT" } });
    });

    it("ends scripts that run themselves", async () => {
      await client.scripts.save({
        script: "loops",
        source: 'import space from "space"; space.run_script("loops");',
      });
      const space = await make("running");
      const result = await client.scripts.run({ script: "loops", space });
      expect(result.exitCode).toBe(1);
      expect(JSON.stringify(result)).toContain("LIMIT_EXCEEDED");
    });
  });

  describe("system", () => {
    it("names the binding and the drivers, with the reason where one is not usable", async () => {
      const info = await client.system.info({});
      expect(info.drivers.find((candidate) => candidate.name === driver)?.usable).toBe(true);
      for (const candidate of info.drivers.filter(({ usable }) => !usable)) {
        expect(candidate.reason).toBeTruthy();
        expect(candidate.remedy).toBeTruthy();
      }
      expect(info.installation).toMatch(/^ins_/);
    });
  });

  if (!native) {
    describe("what this driver cannot do", () => {
      it.each([
        ["an image", "image: debian\n"],
        ["a memory limit", "resources: { memory: 64Mi }\n"],
        ["an open network", "network: open\n"],
        ["a shell that it has not", "shell: zsh\n"],
      ])("refuses %s as unsupported", async (_, line) => {
        await client.templates.apply({ source: `name: wants\n${line}` });
        await fails("UNSUPPORTED", client.spaces.create({ name: "wants", template: "wants" }));
        await fails("SPACE_NOT_FOUND", client.spaces.get({ space: "wants" }));
      });
    });
  }
}
