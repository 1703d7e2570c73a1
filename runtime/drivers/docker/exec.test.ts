/** Commands in a real container: output, input, ends, and the ways in which they go wrong. */
import { mkdir } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { dockerAvailability } from "../../../test/support/docker.js";
import { ensureTestImage } from "../../../test/support/docker-image.js";
import { createDockerDriver } from "./docker-driver.js";
import { bytes, collect, type RunningSpace, TestInstallation } from "./test-space.js";

const docker = await dockerAvailability();

const accesses = ["agent", "exec"] as const;

describe.skipIf(!docker.usable).each(accesses)("commands on Docker by %s", (access) => {
  let installation: TestInstallation;
  let space: RunningSpace;

  beforeAll(async () => {
    await ensureTestImage();
    installation = await TestInstallation.make({ access });
    space = await installation.running({ env: { FROM_SPACE: "space", BOTH: "space" } });
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    expect(await installation.leftovers()).toEqual([]);
  });

  it("separates the outputs and tells the exit code", async () => {
    expect(await space.bash("echo out; echo err >&2; exit 7")).toEqual({
      exitCode: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  it("passes arguments as they are", async () => {
    const words = ["a b", "", "'\"", "$HOME", "*", "\n", "ü", "-n"];
    const { stdout } = await space.run(["printf", "%s|", ...words]);
    expect(stdout).toBe(words.map((word) => `${word}|`).join(""));
  });

  it("adds a command's environment to the space's", async () => {
    const env = { BOTH: "command", EMPTY: "", LINES: "a\nb" };
    const { stdout } = await space.bash('echo "$FROM_SPACE $BOTH [$EMPTY] $LINES $HOME"', { env });
    expect(stdout).toBe("space command [] a\nb /workspace\n");
  });

  it.runIf(access === "exec")(
    "does not let a command forge the mark by which it is killed",
    async () => {
      const { stdout } = await space.bash('echo "$SPACES_EXEC"', {
        env: { SPACES_EXEC: "forged" },
      });
      expect(stdout).not.toContain("forged");
    },
  );

  it("starts in the given directory", async () => {
    expect(await space.run(["pwd"])).toMatchObject({ stdout: "/workspace\n" });
    expect(await space.run(["pwd"], { workdir: "/tmp" })).toMatchObject({ stdout: "/tmp\n" });
  });

  it("gives 5 MB of input and then its end", async () => {
    const input = Buffer.alloc(5_000_000, "x");
    expect(await space.run(["wc", "-c"], { input })).toMatchObject({ stdout: "5000000\n" });
    expect(await space.run(["cat"], { input: Buffer.alloc(0) })).toMatchObject({ stdout: "" });
    expect(await space.run(["cat"])).toMatchObject({ exitCode: 0, stdout: "" });
  });

  it("does not mind a program that leaves its input unread", async () => {
    const input = Buffer.alloc(5_000_000, "x");
    expect(await space.run(["true"], { input })).toMatchObject({ exitCode: 0 });
  });

  it("passes bytes on unchanged, without newline and without being UTF-8", async () => {
    const child = await space.spawn(["printf", "\\377\\000\\200\\303"]);
    child.stderr.resume();
    expect([...(await bytes(child.stdout))]).toEqual([0xff, 0, 0x80, 0xc3]);
  });

  it("takes output as fast as its reader and loses none, in bounded memory", async () => {
    const child = await space.spawn(["head", "-c", "2000000000", "/dev/zero"]);
    child.stderr.resume();
    const before = process.memoryUsage().rss;
    let most = 0;
    let total = 0;
    for await (const chunk of child.stdout) {
      total += (chunk as Buffer).length;
      if (total < 20e6) await delay(2);
      most = Math.max(most, process.memoryUsage.rss());
    }
    expect(total).toBe(2_000_000_000);
    expect(most - before).toBeLessThan(200e6);
    expect(await child.exit).toEqual({ exitCode: 0 });
  });

  it("keeps what a process wrote last for a reader that comes late", async () => {
    const child = await space.spawn(["bash", "-c", "seq 100000; sleep 100 & exit 4"]);
    expect(await child.exit).toEqual({ exitCode: 4 });
    const [stdout] = await Promise.all([bytes(child.stdout), bytes(child.stderr)]);
    expect(stdout.toString().endsWith("\n99999\n100000\n")).toBe(true);
    expect(stdout.toString().split("\n")).toHaveLength(100_001);
    await child.kill();
  });

  it("does not wait for background children that hold the output", async () => {
    const child = await space.spawn(["bash", "-c", "sleep 1000 & echo started"]);
    expect(await collect(child)).toEqual({ exitCode: 0, stdout: "started\n", stderr: "" });
    expect(await space.processes()).toContain("sleep 1000");
    await child.kill();
    expect(await space.processes()).toEqual([]);
  });

  it("does not wait for background children that go on writing", async () => {
    const child = await space.spawn([
      "bash",
      "-c",
      "yes() { while :; do echo y; done; }; yes & echo x",
    ]);
    expect(await collect(child)).toMatchObject({ exitCode: 0 });
    await child.kill();
  });

  it("waits for a process that closed its output", async () => {
    expect(await space.bash("exec >&- 2>&-; sleep 0.5; exit 3")).toMatchObject({ exitCode: 3 });
  });

  it("names the signal that ended a process", async () => {
    expect(await space.bash("kill -TERM $$")).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
    expect(await space.bash("kill -SEGV $$")).toMatchObject({ exitCode: 139, signal: "SIGSEGV" });
    expect(await space.bash("kill -KILL $$")).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
    expect(await space.bash("exit 255")).toEqual({ exitCode: 255, stdout: "", stderr: "" });
  });

  it.each([
    ["a program that is nowhere", "no-such-program"],
    ["a path that is nowhere", "/no/such/program"],
    ["a file that is no program", "/etc/passwd"],
    ["a directory", "/etc"],
  ])("rejects %s as not found and shows no output", async (_what, program) => {
    const refused = { code: "COMMAND_NOT_FOUND", message: expect.stringContaining(program) };
    if (access === "agent") {
      await expect(space.spawn([program])).rejects.toMatchObject(refused);
      return;
    }
    const child = await space.spawn([program]);
    const output = Promise.all([bytes(child.stdout), bytes(child.stderr)]);
    await expect(child.exit).rejects.toMatchObject(refused);
    expect(Buffer.concat(await output)).toHaveLength(0);
    await child.kill();
  });

  it("takes a program that ends like a missing one for what it is", async () => {
    const text =
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "x": executable file not found in $PATH: unknown';
    for (const exitCode of [126, 127]) {
      const run = space.run(["bash", "-c", 'printf %s "$1"; exit $2', "x", text, `${exitCode}`]);
      expect(await run).toEqual({ exitCode, stdout: text, stderr: "" });
    }
  });

  it.each(["/no/such", "/etc/passwd"])("rejects the working directory %s", async (workdir) => {
    await expect(space.run(["ls"], { workdir })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining(workdir),
    });
  });

  it.each(["relative", "", "/a\0b"])("does not even try the directory %j", async (workdir) => {
    await expect(space.spawn(["ls"], { workdir })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it.runIf(access === "exec").each(["/proc/self/fd/8", "/tmp/../proc/1/root", "//proc/self/cwd"])(
    "does not even ask Docker for the working directory %j",
    async (workdir) => {
      await expect(space.spawn(["ls"], { workdir })).rejects.toMatchObject({
        code: "INVALID_INPUT",
      });
    },
  );

  it.runIf(access === "agent")("finds no way out by a working directory below /proc", async () => {
    for (const end of [...Array.from({ length: 12 }, (_, fd) => `fd/${fd}`), "root", "cwd"]) {
      const run = space.run(["ls", "-A", "."], { workdir: `/proc/self/${end}` });
      const { stdout } = await run.catch(() => ({ stdout: "" }));
      expect(stdout).not.toMatch(/^(boot|lost\+found|agent\.sock|guest)$/m);
    }
  });

  it("refuses what no program can be given", async () => {
    const invalid = expect.objectContaining({ code: "INVALID_INPUT" });
    await expect(space.spawn([""])).rejects.toEqual(invalid);
    await expect(space.spawn(["echo", "a\0b"])).rejects.toEqual(invalid);
    for (const env of [{ "": "x" }, { "A=B": "x" }, { A: "a\0b" }]) {
      await expect(space.spawn(["true"], { env })).rejects.toEqual(invalid);
    }
  });

  it("runs twenty commands at once", async () => {
    const runs = Array.from({ length: 20 }, (_, index) => space.run(["echo", `${index}`]));
    const outputs = (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
    expect(outputs).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
  });

  it.each([
    ["a shell's background child", "sleep 60 & sleep 60"],
    ["processes that ignore SIGTERM", "trap '' TERM; sleep 60 & sleep 60"],
    ["processes that left the session", "setsid sleep 60 & (setsid setsid sleep 60 &); sleep 60"],
    ["children without the environment", "(env -i sleep 60 &); env -i setsid sleep 60 & sleep 60"],
    ["a halted process", "sleep 60 & kill -STOP $!; sleep 60"],
  ])("kills %s", async (_what, script) => {
    const other = await space.spawn(["sleep", "61"]);
    const child = await space.spawn(["bash", "-c", `${script} & echo ready; wait`]);
    child.stderr.resume();
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await expect.poll(async () => (await space.processes()).includes("sleep 60")).toBe(true);
    await Promise.all([child.kill(), child.kill()]);
    expect(await space.processes()).toEqual(["sleep 61"]);
    await other.kill();
  });

  it("kills a fork bomb that fills the process limit", async () => {
    const small = await installation.running({ resources: { pids: 30 } });
    const child = await small.spawn(["bash", "-c", "f() { f | f & }; echo go; f; sleep 60"]);
    child.stderr.resume();
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.stdout.resume();
    await child.kill();
    await expect.poll(() => small.processes()).toEqual([]);
    await installation.driver.destroy(small.spec.id);
  });

  it("kills a process in the moment of its start", async () => {
    const child = await space.spawn(["sleep", "62"]);
    await child.kill();
    expect(await child.exit).toMatchObject({ signal: "SIGKILL" });
    expect(await space.processes()).toEqual([]);
  });

  it("ends the outputs of a killed process whose reader is slow", async () => {
    const child = await space.spawn(["bash", "-c", "while :; do echo y; done"]);
    child.stderr.resume();
    await new Promise((resolve) => child.stdout.once("readable", resolve));
    const killing = child.kill();
    await bytes(child.stdout);
    await killing;
  });

  it.each(["kill", "remove"] as const)("notices a %s of the container", async (how) => {
    const doomed = await installation.running();
    const child = await doomed.spawn(["bash", "-c", "echo on; sleep 60"]);
    const began = new Promise((resolve) => child.stdout.once("data", resolve));
    const ending = expect(collect(child)).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
    await began;
    if (how === "kill") await doomed.container.kill();
    else await doomed.container.remove({ force: true });
    await ending;
    await child.kill();
    await installation.driver.destroy(doomed.spec.id);
  });

  it("ends or lets go of running commands when the connection is closed", async () => {
    const own = await installation.driver.connect(space.spec);
    const child = await own.spawn({ argv: ["sleep", "63"], env: {} });
    await own[Symbol.asyncDispose]();
    await expect(child.exit).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    await expect(own.spawn({ argv: ["true"], env: {} })).rejects.toMatchObject({
      code: "DRIVER_FAILED",
    });
    if (access === "agent") {
      await expect.poll(() => space.processes()).toEqual([]);
      return;
    }
    expect(await space.processes()).toContain("sleep 63");
    await space.bash("kill $(grep -lz 63 /proc/[0-9]*/cmdline | tr -dc '0-9 \\n')");
  });

  describe.runIf(access === "exec")("when the daemon goes away", () => {
    let server: Server;
    const sockets = new Set<Socket>();
    const former = process.env.DOCKER_HOST;

    /** A way to the real daemon that the test can cut. */
    async function cuttable(): Promise<string> {
      const path = join(space.spec.stateDir, `proxy-${sockets.size}.sock`);
      await mkdir(space.spec.stateDir, { recursive: true });
      server = createServer((near) => {
        const far = connect("/var/run/docker.sock");
        for (const socket of [near, far]) {
          sockets.add(socket);
          socket.on("error", () => socket.destroy());
        }
        near.pipe(far).pipe(near);
      });
      await new Promise<void>((resolve) => server.listen(path, resolve));
      return `unix://${path}`;
    }
    const cut = () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    };
    afterEach(() => {
      cut();
      if (former === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = former;
    });

    it.skipIf(former !== undefined)("rejects the command and all that follows", async () => {
      process.env.DOCKER_HOST = await cuttable();
      const { dataDir, installationId } = { dataDir: "/", installationId: installation.id };
      const driver = createDockerDriver({ dataDir, installationId });
      const connection = await driver.connect(space.spec);
      const child = await connection.spawn({ argv: ["bash", "-c", "echo on; sleep 1"], env: {} });
      child.stderr.resume();
      await new Promise((resolve) => child.stdout.once("data", resolve));
      const gone = expect.objectContaining({ code: "DRIVER_UNAVAILABLE" });
      const ending = expect(child.exit).rejects.toEqual(gone);
      cut();
      await ending;
      await bytes(child.stdout);
      await expect(child.kill()).rejects.toEqual(gone);
      await expect(connection.spawn({ argv: ["true"], env: {} })).rejects.toEqual(gone);
      await expect(driver.list()).rejects.toEqual(gone);
      await expect(driver.stop(space.spec)).rejects.toEqual(gone);
    });
  });
});
