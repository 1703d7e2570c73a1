/** The life of spaces on the real bubblewrap, in one process and between processes. */
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../../test/support/bubblewrap.js";
import { createBubblewrapDriver } from "./bubblewrap-driver.js";
import { processesNaming, processOf, waitForEnd } from "./host-process.js";
import { RUN_PATH } from "./sandbox.js";
import { DriverProgram, firstLine, TestInstallation } from "./test-space.js";

const bubblewrap = await bubblewrapAvailability();
const isRoot = process.geteuid?.() === 0;

describe.skipIf(!bubblewrap.usable)("the bubblewrap driver", () => {
  let installation: TestInstallation;
  let program: DriverProgram;

  beforeAll(async () => {
    program = await DriverProgram.make();
  });
  afterAll(async () => {
    await program[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    installation = await TestInstallation.make();
  });
  afterEach(async () => {
    await installation[Symbol.asyncDispose]();
  });

  it("creates a space stopped, starts, stops and destroys it, each also a second time", async () => {
    const { driver } = installation;
    const space = await installation.space();
    expect(await driver.inspect(space.id)).toBeUndefined();
    for (const _again of [1, 2]) {
      await driver.create(space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false });
    }
    for (const _again of [1, 2]) {
      await driver.start(space);
      expect(await driver.list()).toEqual([{ spaceId: space.id, running: true }]);
    }
    await installation.remember(space);
    for (const _again of [1, 2]) {
      await driver.stop(space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false });
      expect(await installation.leftovers()).toEqual([`${space.id}.json`]);
    }
    for (const _again of [1, 2]) {
      await driver.destroy(space.id);
      expect(await driver.inspect(space.id)).toBeUndefined();
    }
  });

  it("keeps the workspace, and only that, over a restart", async () => {
    const space = await installation.running();
    await space.bash("echo kept > file; echo gone > /tmp/file");
    await installation.driver.stop(space.spec);
    expect(await readFile(join(space.spec.workspace, "file"), "utf8")).toBe("kept\n");
    await writeFile(join(space.spec.workspace, "from-outside"), "hello\n");
    await installation.driver.start(space.spec);
    await using again = await installation.driver.connect(space.spec);
    const guest = await again.spawn({
      argv: ["sh", "-c", "cat file from-outside && echo more >> from-outside && ls /tmp"],
      env: {},
    });
    expect(Buffer.concat(await guest.stdout.toArray()).toString()).toBe("kept\nhello\n");
    expect(await guest.exit).toEqual({ exitCode: 0 });
  });

  it("gives commands the space's environment, its host name and its directory", async () => {
    const space = await installation.running({
      env: { COLOUR: "red", "WITH SPACE": "a b\nc", PATH: "/usr/bin:/opt" },
    });
    const { stdout } = await space.run(["env", "-0"], { env: { COLOUR: "blue", MORE: "1" } });
    expect(
      Object.fromEntries(stdout.split("\0").map((line) => line.split(/=(.*)/s))),
    ).toMatchObject({
      COLOUR: "blue",
      MORE: "1",
      "WITH SPACE": "a b\nc",
      PATH: "/usr/bin:/opt",
      HOME: "/workspace",
      USER: "user",
    });
    expect(stdout).not.toContain("SPACES_GUEST_TOKEN");
    const told = await space.bash("hostname; id -un; pwd; getent hosts localhost | wc -l");
    expect(told.stdout).toBe(`${space.spec.name}\nuser\n/workspace\n1\n`);
  });

  it("runs processes in the background that outlive the connection", async () => {
    const space = await installation.running();
    const id = "0123456789abcdef0123456789abcdef";
    await space.connection.background?.start({
      id,
      argv: ["sh", "-c", 'echo "$COLOUR"; exec sleep 1000'],
      env: { COLOUR: "green" },
      keepInput: false,
    });
    await space.connection[Symbol.asyncDispose]();
    await using again = await installation.driver.connect(space.spec);
    const listed = await again.background?.list();
    expect(listed?.map(({ id: found, exit }) => [found, exit])).toEqual([[id, undefined]]);
    await using followed = await again.background?.attach(id, {
      stdout: 0,
      stderr: 0,
      input: false,
    });
    const [line] = (await once(followed?.stdout ?? process.stdin, "data")) as [Buffer];
    expect(line.toString()).toBe("green\n");
  });

  it("runs a shell in a terminal with job control", async () => {
    const space = await installation.running();
    const id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    await space.connection.background?.start({
      id,
      argv: ["bash", "--norc", "-i"],
      env: { PS1: "$ " },
      keepInput: true,
      terminal: { columns: 91, rows: 17 },
    });
    await using shell = await space.connection.background?.attach(id, {
      stdout: 0,
      stderr: 0,
      input: true,
    });
    if (shell === undefined) throw new Error("no background processes");
    let seen = "";
    shell.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    shell.stdin.write("stty size; sleep 1000 & jobs; kill %1; exit 3\n");
    expect(await shell.exit).toMatchObject({ exitCode: 3 });
    expect(seen).toContain("17 91");
    expect(seen).toContain("Running");
    expect(seen).not.toMatch(/no job control|cannot set terminal/);
  });

  it("stops what ignores SIGTERM, has daemonised, and has left its session", async () => {
    const space = await installation.running();
    await space.bash(
      "trap '' TERM; (setsid sh -c 'trap \"\" TERM; (sleep 1000 & sleep 1000) & echo $$ > ready; wait' >/dev/null 2>&1 &) ; while [ ! -s ready ]; do sleep 0.01; done",
    );
    await space.spawn(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    const pid = await installation.agentPid(space.spec);
    const before = await namespaceMembers(pid);
    expect(before.length).toBeGreaterThan(4);
    await installation.driver.stop(space.spec);
    expect(before.filter((member) => processOf(member) !== undefined)).toEqual([]);
  });

  it("sees that a space was killed behind its back, and starts it again", async () => {
    const space = await installation.running();
    const agent = processOf(await installation.agentPid(space.spec));
    if (agent === undefined) throw new Error("the agent does not run");
    process.kill(agent.pid, "SIGKILL");
    expect(await waitForEnd(agent, 5000)).toBe(true);
    expect(await installation.driver.inspect(space.spec.id)).toEqual({
      spaceId: space.spec.id,
      running: false,
    });
    await expect(installation.driver.connect(space.spec)).rejects.toMatchObject({
      code: "SPACE_NOT_RUNNING",
    });
    await installation.driver.start(space.spec);
    await installation.remember(space.spec);
    await using again = await installation.driver.connect(space.spec);
    const guest = await again.spawn({ argv: ["true"], env: {} });
    expect(await guest.exit).toEqual({ exitCode: 0 });
  });

  it("does not take a stranger with the recorded number for the space", async () => {
    const { driver } = installation;
    const space = await installation.running();
    await driver.stop(space.spec);
    const file = join(installation.dataDir, "bubblewrap", `${space.spec.id}.json`);
    const record = JSON.parse(await readFile(file, "utf8"));
    const forged = {
      id: "0".repeat(32),
      token: "0".repeat(64),
      socket: "/nowhere",
      bootId: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
      cgroups: [],
      agent: { pid: process.pid, startTime: "1" },
    };
    await writeFile(file, JSON.stringify({ ...record, start: forged }));
    expect(await driver.inspect(space.spec.id)).toMatchObject({ running: false });
    await driver.stop(space.spec);
    expect(processOf(process.pid)).toBeDefined();
  });

  it("starts a space once when many processes start it at the same time", async () => {
    const space = await installation.space();
    const request = { installationId: installation.id, dataDir: installation.dataDir, space };
    const outcomes = await Promise.all(
      [1, 2, 3, 4].map(() => program.run({ ...request, action: "start" })),
    );
    expect(outcomes).toEqual(["started", "started", "started", "started"]);
    const start = await installation.remember(space);
    // What waits for the agent, with root two of them, and the agent.
    expect(await processesNaming(start)).toHaveLength(isRoot ? 3 : 2);
    await Promise.all([
      program.run({ ...request, action: "stop" }),
      installation.driver.destroy(space.id),
      program.run({ ...request, action: "destroy" }),
    ]);
    expect(await installation.driver.inspect(space.id)).toBeUndefined();
  });

  it("finds a space again whose starter was killed", async () => {
    const space = await installation.space();
    const starter = program.start({
      installationId: installation.id,
      dataDir: installation.dataDir,
      space,
      action: "hold",
    });
    expect(await firstLine(starter)).toBe('"started"');
    const exited = once(starter, "exit");
    starter.kill("SIGKILL");
    await exited;
    await installation.remember(space);
    expect(await installation.driver.inspect(space.id)).toMatchObject({ running: true });
    await using connection = await installation.driver.connect(space);
    const guest = await connection.spawn({ argv: ["echo", "still here"], env: {} });
    expect(await guest.stdout.toArray()).toEqual([Buffer.from("still here\n")]);
  });

  it("cleans up after a starter that was killed at any moment of the start", async () => {
    const space = await installation.space();
    const request = { installationId: installation.id, dataDir: installation.dataDir, space };
    const record = join(installation.dataDir, "bubblewrap", `${space.id}.json`);
    for (let wait = 0; wait < 40; wait += 5) {
      await installation.driver.create(space);
      const starter = program.start({ ...request, action: "hold" });
      const exited = once(starter, "exit");
      // From the first record of the start on, at a later moment each time.
      while (!(await readFile(record, "utf8")).includes('"start"')) {
        expect(starter.exitCode).toBeNull();
        await delay(1);
      }
      const { id } = JSON.parse(await readFile(record, "utf8")).start;
      await delay(wait);
      starter.kill("SIGKILL");
      await exited;
      await installation.driver.destroy(space.id);
      expect(await processesNaming(`${RUN_PATH}/${id}`)).toEqual([]);
      expect(await readdir(join(installation.dataDir, "bubblewrap"))).toEqual([]);
    }
  });

  it("refuses what it cannot honour", async () => {
    const { driver } = installation;
    for (const change of [{ network: "open" }, { image: "busybox" }, { user: "1:1" }] as const) {
      const space = await installation.space(change);
      await expect(driver.create(space)).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await expect(driver.start(space)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    }
    const space = await installation.space({ resources: { pids: 0 } });
    await expect(driver.create(space)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(driver.inspect("../x")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("leaves nothing of a start that fails or is cancelled", async () => {
    const { driver } = installation;
    const broken = await installation.space({ workspace: join(installation.dataDir, "missing") });
    await expect(driver.start(broken)).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect(await driver.inspect(broken.id)).toEqual({ spaceId: broken.id, running: false });
    const cancelled = await installation.space();
    const cancel = new AbortController();
    const starting = driver.start(cancelled, { signal: cancel.signal });
    cancel.abort();
    await expect(starting).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("works where the path of the data directory is too long for a socket's address", async () => {
    const parent = join(installation.dataDir, "d".repeat(120));
    await mkdir(parent);
    const deep = await TestInstallation.make(parent);
    try {
      const space = await deep.running();
      expect(await space.bash("echo deep")).toMatchObject({ stdout: "deep\n" });
    } finally {
      await deep[Symbol.asyncDispose]();
    }
  });

  it("keeps its records from other users", async () => {
    const space = await installation.running();
    const directory = join(installation.dataDir, "bubblewrap");
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, `${space.spec.id}.json`))).mode & 0o777).toBe(0o600);
    const { token } = (await installation.driver.endpoint(space.spec)) ?? {};
    const lines = await Promise.all(
      (await processesNaming(RUN_PATH)).map(({ pid }) => readFile(`/proc/${pid}/cmdline`, "utf8")),
    );
    expect(lines.join("")).not.toContain(token);
  });

  it("lists the spaces of its own data directory only", async () => {
    const other = await TestInstallation.make();
    try {
      await other.driver.create(await other.space());
      const space = await installation.space();
      await installation.driver.create(space);
      expect(await installation.driver.list()).toEqual([{ spaceId: space.id, running: false }]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it("does nothing with the target of a symlink in the workspace when it gives it to the space", async () => {
    const space = await installation.space();
    const outside = join(installation.dataDir, "outside");
    await writeFile(outside, "mine");
    await symlink(outside, join(space.workspace, "link"));
    await mkdir(join(space.workspace, "sub"));
    await writeFile(join(space.workspace, "sub", "file"), "theirs");
    const before = await stat(outside);
    await installation.driver.start(space);
    await installation.remember(space);
    expect((await stat(outside)).uid).toBe(before.uid);
    const { uid } = await stat(join(space.workspace, "sub", "file"));
    expect(uid === before.uid).toBe(!isRoot);
  });

  it("is another driver object's equal on the same data directory", async () => {
    const space = await installation.running();
    const twin = createBubblewrapDriver({
      installationId: installation.id,
      dataDir: installation.dataDir,
    });
    expect(await twin.list()).toEqual([{ spaceId: space.spec.id, running: true }]);
    await twin.stop(space.spec);
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ running: false });
  });
});

/** All processes of the host in the pid namespace that this process is the first of. */
async function namespaceMembers(first: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const status = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    const parent = Number(status.slice(status.lastIndexOf(")") + 4).split(" ")[0]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [first];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}
