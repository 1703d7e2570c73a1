/** The contract suite: what every binding on every driver must do. One file a combination calls it. */
import { access, readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";
import { type BindingKind, openTestClient, type TestClient } from "../support/client.js";
import { filesSuite } from "./files.js";
import { scriptsSuite } from "./scripts.js";

/** What a driver cannot do is asserted to be `UNSUPPORTED`. */
export interface SuiteTraits {
  readonly driver: string;
  /** `remote` is over HTTP, with an administrator's token, to a server of this process. */
  readonly binding: BindingKind;
  /**
   * Runs programs of an operating system, in real processes that can outlive their caller and whose
   * ports can be forwarded.
   */
  readonly native: boolean;
  /** Opens the binding that is tested; the in-process one when absent. */
  readonly open?: (driver: string) => Promise<TestClient>;
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

export function contractSuite({ driver, binding, native }: SuiteTraits): void {
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
    opened = await openTestClient(driver, binding);
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
      // Paths of the host are nothing that others should learn.
      if (binding === "remote") expect(space.workspace).toBeUndefined();
      else expect(space.workspace).toBe(opened.workspaceOf(space.id));
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
      await writeFile(`${opened.workspaceOf(failed.id)}/mended`, "");
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
      expect(await client.fields.get({ space, field: "a" })).toEqual({
        value: "one",
        secret: false,
      });
      expect(await client.fields.get({ space, field: "b" })).toMatchObject({ value: "" });
      await client.fields.set({ space, field: "a", value: "" });
      expect(await client.fields.get({ space, field: "a" })).toMatchObject({ value: "" });
      await client.fields.set({ space, field: "b", value: "ü\n'\"" });
      expect(await client.fields.get({ space, field: "b" })).toMatchObject({ value: "ü\n'\"" });
      await fails("FIELD_NOT_DEFINED", client.fields.set({ space, field: "c", value: "" }));
    });

    it("shows a secret in clear only where it is asked for by name", async () => {
      const space = await make("running");
      const value = "sk-very-secret";
      await client.fields.set({ space, field: "api_key", value });
      expect(await client.fields.get({ space, field: "api_key" })).toEqual({ value, secret: true });
      const { items } = await client.fields.list({ space });
      expect(items.find((field) => field.name === "api_key")).toMatchObject({ value: "***" });
      expect(JSON.stringify(await client.spaces.list({ limit: 1000 }))).not.toContain(value);
      const result = await run(space, "printf", ["%s", `key=${value}`]);
      expect(result).toMatchObject({ stdout: "key=***", output: "key=***" });
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

  describe.runIf(native)("what a space leaves behind", () => {
    it("is deleted, however deep it is nested and whatever its modes", async () => {
      const space = await make("running");
      await run(space, "mkdir locked && touch locked/file && chmod 000 locked");
      const nest = "import os\nfor i in range(1500): os.mkdir('deeper'); os.chdir('deeper')";
      expect(await run(space, "python3", ["-c", nest])).toMatchObject({ exitCode: 0 });
      const { id } = await client.spaces.get({ space });
      await client.spaces.delete({ space, force: true });
      await expect(access(opened.workspaceOf(id))).rejects.toThrow("ENOENT");
    });
  });

  describe.runIf(native)("processes that outlive their caller", () => {
    let space: string;
    beforeAll(async () => {
      space = await make("running");
    });

    type Events = Awaited<ReturnType<Client["processes"]["follow"]>>;
    const textOf = async (events: Events) => {
      const text = { stdout: "", stderr: "", exitCode: -1 };
      for await (const event of events) {
        if (event.type === "exit") text.exitCode = event.exitCode;
        else if (event.type !== "lost") text[event.type] += Buffer.from(event.data, "base64");
      }
      return text;
    };

    it("starts one, follows it to its end, and forgets it", async () => {
      const started = await client.processes.start({
        space,
        command: "echo one; echo two >&2; exit 3",
      });
      expect(started).toMatchObject({ terminal: false, argv: ["bash", "-c", expect.any(String)] });
      const process = started.id;
      const events = await client.processes.follow({ space, process });
      expect(await textOf(events)).toEqual({ stdout: "one\n", stderr: "two\n", exitCode: 3 });
      const again = await client.processes.follow({ space, process, stdoutOffset: 2 });
      expect(await textOf(again)).toMatchObject({ stdout: "e\n", exitCode: 3 });
      const ended = await client.processes.get({ space, process });
      expect(ended).toMatchObject({ state: "exited", exitCode: 3 });
      await client.processes.remove({ space, process });
      await fails("PROCESS_NOT_FOUND", client.processes.get({ space, process }));
    });

    it("keeps one running that another engine finds, feeds and follows", async () => {
      const other = await opened.openAnother();
      const { id } = await other.client.processes.start({
        space,
        command: "read line; echo got $line; cat",
        input: true,
      });
      await other[Symbol.asyncDispose]();
      const { items } = await client.processes.list({ space });
      expect(items.find((process) => process.id === id)).toMatchObject({ state: "running" });
      const data = Buffer.from("wörds\nmore").toString("base64");
      await client.processes.write({ space, process: id, data });
      await client.processes.write({ space, process: id, close: true });
      const events = await client.processes.follow({ space, process: id });
      expect(await textOf(events)).toMatchObject({ stdout: "got wörds\nmore", exitCode: 0 });
    });

    it("signals, kills and waits", async () => {
      const command = "trap 'echo caught; exit 5' TERM; sleep 60 & wait";
      const { id } = await client.processes.start({ space, command });
      await expect
        .poll(async () => (await run(space, "grep -lz '^sleep' /proc/[0-9]*/cmdline; true")).stdout)
        .not.toBe("");
      const waited = await client.processes.wait({ space, process: id, timeoutMs: 50 });
      expect(waited.state).toBe("running");
      await client.processes.signal({ space, process: id });
      const ended = await client.processes.wait({ space, process: id });
      expect(ended).toMatchObject({ state: "exited", exitCode: 5 });
      const { id: stubborn } = await client.processes.start({
        space,
        command: "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 60' &) ; sleep 60",
      });
      await client.processes.kill({ space, process: stubborn });
      const killed = await client.processes.wait({ space, process: stubborn });
      expect(killed).toMatchObject({ state: "exited", signal: "SIGKILL" });
      const left = await run(space, "grep -lz '^sleep' /proc/[0-9]*/cmdline; true");
      expect(left.stdout).toBe("");
    });

    it("gives one a terminal that can be resized and interrupted", async () => {
      const { id } = await client.processes.start({
        space,
        command: "sh",
        args: [],
        input: true,
        terminal: { columns: 80, rows: 24 },
        env: { PS1: "" },
      });
      const type = (text: string) =>
        client.processes.write({
          space,
          process: id,
          data: Buffer.from(text).toString("base64"),
        });
      let screen = "";
      const watching = (async () => {
        for await (const event of await client.processes.follow({ space, process: id })) {
          if (event.type === "stdout") screen += Buffer.from(event.data, "base64");
        }
      })();
      await type("stty size\n");
      await expect.poll(() => screen).toContain("24 80");
      await client.processes.resize({ space, process: id, terminal: { columns: 132, rows: 50 } });
      await type("stty size\n");
      await expect.poll(() => screen).toContain("50 132");
      // What is to be interrupted says itself that it is in front; what was typed ahead is lost then.
      await type("sh -c 'echo read\"\"y; exec sleep 60'; echo not here\n");
      await expect.poll(() => screen).toContain("ready");
      await type("\x03");
      await expect.poll(() => screen).toContain("^C");
      await type("echo back: $?\n");
      await expect.poll(() => screen).toMatch(/back: 130/);
      await type("exit 7\n");
      await watching;
      const ended = await client.processes.get({ space, process: id });
      expect(ended).toMatchObject({ state: "exited", exitCode: 7, terminal: true });
    });

    it("shows no secret to who follows", async () => {
      const value = "sk-very-secret";
      await client.fields.set({ space, field: "api_key", value });
      const command = `printf 'key=sk-very'; sleep 0.2; printf -- '-secret.'`;
      const { id } = await client.processes.start({ space, command });
      const { stdout } = await textOf(await client.processes.follow({ space, process: id }));
      expect(stdout).toBe(`key=${"*".repeat(value.length)}.`);
    });

    it("bounds what it keeps, and says what is lost", async () => {
      const { id } = await client.processes.start({ space, command: "head -c 3000000 /dev/zero" });
      await client.processes.wait({ space, process: id });
      let lost = 0;
      let kept = 0;
      for await (const event of await client.processes.follow({ space, process: id })) {
        if (event.type === "lost") lost += event.bytes;
        if (event.type === "stdout") kept += Buffer.from(event.data, "base64").length;
      }
      expect(lost).toBeGreaterThan(2_000_000);
      expect(lost + kept).toBe(3_000_000);
    });

    it("can be left by who follows, and cancelled", async () => {
      const { id } = await client.processes.start({ space, command: "echo first; sleep 60" });
      for await (const event of await client.processes.follow({ space, process: id })) {
        if (event.type === "stdout") break;
      }
      const abort = new AbortController();
      const follow = { space, process: id };
      const events = await client.processes.follow(follow, { signal: abort.signal });
      setTimeout(() => abort.abort(), 100);
      await expect(textOf(events)).rejects.toThrow();
      expect((await client.processes.get({ space, process: id })).state).toBe("running");
      await client.processes.kill({ space, process: id });
    });

    it("refuses what is no process", async () => {
      const process = "0".repeat(32);
      await fails("PROCESS_NOT_FOUND", client.processes.kill({ space, process }));
      await fails("INVALID_INPUT", client.processes.kill({ space, process: "../x" }));
      await fails(
        "COMMAND_NOT_FOUND",
        client.processes.start({ space, command: "nope", args: [] }),
      );
    });
  });

  describe.runIf(native)("ports", () => {
    const SERVER = "cd /workspace && exec python3 -m http.server 3000 --bind 127.0.0.1";
    /** A space whose loopback serves its own name over HTTP at port 3000. */
    const serve = async (): Promise<string> => {
      const source = `name: server\nstartup: ["echo served > index.html"]\n`;
      await client.templates.apply({ source });
      const space = await make("running", "server");
      await listen(space);
      return space;
    };
    const listen = async (space: string): Promise<void> => {
      await client.processes.start({ space, command: SERVER });
      await expect
        .poll(async () => await fetchFrom(space, 3000), { timeout: 10_000 })
        .toBe("served\n");
    };
    const fetchFrom = async (space: string, port: number): Promise<string> =>
      (await run(space, `curl -sS --max-time 5 localhost:${port}`)).output;

    it("reaches another space's loopback, still after either has restarted", async () => {
      const api = await serve();
      const web = await make("running");
      const forward = { space: web, localPort: 8080, remote: api, remotePort: 3000 };
      // The engine that makes the forward goes; what it made stays.
      const maker = await opened.openAnother();
      expect(await maker.client.ports.forward(forward)).toMatchObject({
        source: { name: web },
        localPort: 8080,
        remote: { name: api },
        remotePort: 3000,
        state: "active",
      });
      await maker[Symbol.asyncDispose]();
      expect(await fetchFrom(web, 8080)).toBe("served\n");
      await client.spaces.restart({ space: web });
      expect(await fetchFrom(web, 8080)).toBe("served\n");
      await client.spaces.restart({ space: api });
      await listen(api);
      expect(await fetchFrom(web, 8080)).toBe("served\n");
      await client.spaces.stop({ space: api });
      expect((await client.ports.list({ space: web })).items).toMatchObject([{ state: "waiting" }]);
      await client.ports.stop({ space: web, localPort: 8080 });
      expect(await fetchFrom(web, 8080)).toMatch(/refused|Failed to connect/);
      await fails("FORWARD_NOT_FOUND", client.ports.stop({ space: web, localPort: 8080 }));
    });

    it("ends with the space that it leads to", async () => {
      const api = await serve();
      const web = await make("running");
      await client.ports.forward({ space: web, localPort: 8081, remote: api, remotePort: 3000 });
      await client.spaces.delete({ space: api, force: true });
      expect((await client.ports.list({ space: web })).items).toEqual([]);
      expect(await fetchFrom(web, 8081)).toMatch(/refused|Failed to connect/);
    });

    it("opens a port of the host", async () => {
      const api = await serve();
      const { createServer } = await import("node:net");
      const probe = createServer();
      await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
      const address = probe.address();
      const hostPort = typeof address === "object" && address !== null ? address.port : 0;
      await fails("PORT_IN_USE", client.ports.open({ space: api, port: 3000, hostPort }));
      await new Promise((resolve) => probe.close(resolve));
      const opened = await client.ports.open({ space: api, port: 3000, hostPort });
      expect(opened.source).toBeUndefined();
      const answer = await fetch(`http://127.0.0.1:${hostPort}/`);
      expect(await answer.text()).toBe("served\n");
      await client.ports.stop({ space: api, localPort: hostPort, host: true });
      await expect(fetch(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow();
    });

    it("refuses what cannot be forwarded, and leaves nothing behind", async () => {
      const web = await make("running");
      const api = await make("running");
      const stopped = await make("stopped");
      const forward = { space: web, localPort: 8080, remote: api, remotePort: 3000 };
      for (const port of [-1, 0, 65_536, 1.5, Number.NaN]) {
        await fails("INVALID_INPUT", client.ports.forward({ ...forward, localPort: port }));
        await fails("INVALID_INPUT", client.ports.forward({ ...forward, remotePort: port }));
      }
      await fails("SPACE_NOT_RUNNING", client.ports.forward({ ...forward, remote: stopped }));
      await fails("SPACE_NOT_FOUND", client.ports.forward({ ...forward, remote: "nope" }));
      expect((await client.ports.list({ space: web })).items).toEqual([]);
      await client.ports.forward(forward);
      await fails("PORT_IN_USE", client.ports.forward(forward));
      // Nothing listens at the remote port: the connection ends, the forward stays.
      expect(await fetchFrom(web, 8080)).toMatch(/curl/);
      expect((await client.ports.list({ space: web })).items).toHaveLength(1);
      await client.processes.start({
        space: web,
        command: "exec python3 -m http.server 8082 --bind 127.0.0.1",
      });
      await expect
        .poll(async () => await fetchFrom(web, 8082), { timeout: 10_000 })
        .toContain("Directory listing");
      await fails("PORT_IN_USE", client.ports.forward({ ...forward, localPort: 8082 }));
      expect((await client.ports.list({ space: web })).items).toHaveLength(1);
    });
  });

  scriptsSuite({ make, run, fails, client: () => client });
  filesSuite({ native, make, run, client: () => client });

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

      it("refuses processes that outlive their caller, and ports", async () => {
        const space = await make("running");
        const remote = await make("running");
        const process = "0".repeat(32);
        await fails("UNSUPPORTED", client.processes.start({ space, command: "true" }));
        await fails("UNSUPPORTED", client.processes.list({ space }));
        await fails("UNSUPPORTED", client.processes.kill({ space, process }));
        const forward = { space, localPort: 8080, remote, remotePort: 3000 };
        await fails("UNSUPPORTED", client.ports.forward(forward));
        await fails("UNSUPPORTED", client.ports.open({ space, port: 3000 }));
        expect((await client.ports.list({ space })).items).toEqual([]);
      });
    });
  }
}
