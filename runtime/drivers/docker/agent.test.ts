/** The agent as the main process of real containers: what it brings, and the ways in which it can fail. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerAvailability } from "../../../test/support/docker.js";
import { ensureTestImage } from "../../../test/support/docker-image.js";
import { GuestSession } from "../../guest/guest-session.js";
import type { BackgroundProcesses, GuestConnection } from "../driver.js";
import { bytes, collect, type RunningSpace, TestInstallation, text } from "./test-space.js";

const docker = await dockerAvailability();

const newId = () => randomBytes(16).toString("hex");
const FROM_START = { stdout: 0, stderr: 0, input: false };

function backgroundOf({ background }: GuestConnection): BackgroundProcesses {
  if (background === undefined) throw new Error("this connection keeps no processes");
  return background;
}

describe.skipIf(!docker.usable || process.platform !== "linux")("the agent in a container", () => {
  let installation: TestInstallation;
  let space: RunningSpace;

  beforeAll(async () => {
    await ensureTestImage();
    installation = await TestInstallation.make();
    space = await installation.running({ env: { FROM_SPACE: "space" } });
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    expect(await installation.leftovers()).toEqual([]);
  });

  it("is the first process, and reaps what others leave behind", async () => {
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ access: "agent" });
    expect(await space.bash("tr '\\0' ' ' </proc/1/cmdline")).toMatchObject({
      stdout: "/.spaces/guest serve /.spaces/run/agent.sock ",
    });
    await space.bash("for i in {1..20}; do (setsid true &); done");
    const zombies = () => space.bash("grep -l '^State:.Z' /proc/[0-9]*/status; true");
    await expect.poll(async () => (await zombies()).stdout).toBe("");
  });

  it("gives commands the environment of the image and of the space", async () => {
    const { stdout } = await space.run(["env"]);
    const names = stdout.split("\n").map((line) => line.split("=")[0]);
    expect(names).toEqual(expect.arrayContaining(["PATH", "HOME", "HOSTNAME", "FROM_SPACE"]));
    expect(stdout).toContain(`HOSTNAME=${space.spec.name}\n`);
    expect(stdout).not.toContain("SPACES_GUEST");
  });

  it("keeps a process that its starter leaves, for another driver to find", async () => {
    const id = newId();
    const first = await installation.anotherDriver().connect(space.spec);
    await backgroundOf(first).start({
      id,
      argv: ["bash", "-c", "echo one; read line; echo $line; exit 6"],
      env: {},
      keepInput: true,
    });
    await first[Symbol.asyncDispose]();
    await using connection = await installation.anotherDriver().connect(space.spec);
    const background = backgroundOf(connection);
    expect((await background.list()).find((process) => process.id === id)).toMatchObject({
      argv: ["bash", "-c", expect.any(String)],
      terminal: false,
    });
    await using child = await background.attach(id, { stdout: 2, stderr: 0, input: true });
    child.stdin.end("two\n");
    child.stderr.resume();
    expect(await text(child.stdout)).toBe("e\ntwo\n");
    expect(await child.exit).toEqual({ exitCode: 6 });
    await using again = await background.attach(id, { ...FROM_START, stdout: 4 });
    again.stderr.resume();
    expect(await text(again.stdout)).toBe("two\n");
    await background.release(id);
    await expect(background.attach(id, FROM_START)).rejects.toMatchObject({
      code: "PROCESS_NOT_FOUND",
    });
  });

  it("runs a terminal that has a size and can be interrupted", async () => {
    const background = backgroundOf(space.connection);
    const id = newId();
    await background.start({
      id,
      argv: ["bash", "--norc"],
      env: { PS1: "" },
      keepInput: true,
      terminal: { columns: 81, rows: 25 },
    });
    await using child = await background.attach(id, { ...FROM_START, input: true });
    let screen = "";
    child.stdout.on("data", (chunk: Buffer) => {
      screen += chunk.toString();
    });
    child.stderr.resume();
    child.stdin.write("stty size\n");
    await expect.poll(() => screen).toContain("25 81\r\n");
    await background.resize(id, { columns: 132, rows: 50 });
    child.stdin.write("stty size\n");
    await expect.poll(() => screen).toContain("50 132\r\n");
    child.stdin.write("sleep 71\n");
    await expect.poll(() => space.processes()).toContain("sleep 71");
    child.stdin.write("\x03");
    child.stdin.write("exit 9\n");
    expect(await child.exit).toEqual({ exitCode: 9 });
  });

  it("kills what has left its session, its parents and its environment", async () => {
    const background = backgroundOf(space.connection);
    const id = newId();
    await background.start({
      id,
      argv: ["bash", "-c", "(env -i setsid setsid sleep 72 &); env -i setsid sleep 72 & sleep 72"],
      env: {},
      keepInput: false,
    });
    const sleeping = async () =>
      (await space.processes()).filter((line) => line === "sleep 72").length;
    await expect.poll(sleeping).toBe(3);
    await background.kill(id);
    expect(await sleeping()).toBe(0);
    await background.release(id);
  });

  it("cannot be ended by what runs in the space", async () => {
    await space.bash("kill -9 1; kill -STOP 1; kill -SEGV 1");
    expect(await space.run(["echo", "on"])).toMatchObject({ stdout: "on\n" });
    // Takes with it what the agent has put above the command, so nobody saw how that ended.
    await expect(space.bash("kill -9 -1")).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect(await space.run(["echo", "on"])).toMatchObject({ stdout: "on\n" });
  });

  it("shows its token to nobody in the space", async () => {
    const { token } = (await installation.driver.endpoint(space.spec)) ?? { token: "" };
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    const { stdout } = await space.bash(
      "cat /proc/[0-9]*/environ /proc/1/mem /proc/1/cmdline 2>/dev/null; ls -A /.spaces/run",
    );
    expect(stdout).not.toContain(token);
    expect(stdout).not.toContain("SPACES_GUEST_TOKEN");
  });

  it("has its socket where only the owner of the state directory comes", async () => {
    const { socket } = (await installation.driver.endpoint(space.spec)) ?? { socket: "" };
    expect((await stat(socket)).isSocket()).toBe(true);
    expect((await stat(join(socket, ".."))).mode & 0o777).toBe(0o700);
    expect((await stat(join(socket, "../run"))).mode & 0o777).toBe(0o700);
    expect(await space.bash("ls -A /.spaces/run; ls -A /.spaces")).toMatchObject({
      stdout: "guest\nrun\n",
    });
  });

  it("minds neither garbage nor a wrong token at its socket", async () => {
    const { socket, token } = (await installation.driver.endpoint(space.spec)) ?? {
      socket: "",
      token: "",
    };
    const strangers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const stranger = connect(socket).on("error", () => undefined);
        await once(stranger, "connect");
        stranger.write(randomBytes(200));
        return new Promise((resolve) => stranger.resume().once("close", resolve));
      }),
    );
    expect(strangers).toHaveLength(100);
    await expect(
      GuestSession.open(connect(socket), { token: randomBytes(token.length / 2) }),
    ).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect(await space.run(["echo", "on"])).toMatchObject({ stdout: "on\n" });
  });

  it.each([
    ["root", "0"],
    ["1234:1234", "1234"],
    ["user", "1000"],
  ])("runs as the user %s", async (user, uid) => {
    const other = await installation.running({ user });
    expect(await other.bash("id -u")).toMatchObject({ stdout: `${uid}\n` });
    const { stdout } = await other.bash("cat /proc/[0-9]*/environ 2>/dev/null");
    expect(stdout).not.toContain("SPACES_GUEST_TOKEN");
    await installation.driver.stop(other.spec);
    await installation.driver.start(other.spec);
    const again = await installation.driver.connect(other.spec);
    expect(await collect(await again.spawn({ argv: ["id", "-u"], env: {} }))).toMatchObject({
      stdout: `${uid}\n`,
    });
    await again[Symbol.asyncDispose]();
    await installation.driver.destroy(other.spec.id);
  });

  it("says at once that the space has ended, to commands, followers and later calls", async () => {
    const doomed = await installation.running();
    const background = backgroundOf(doomed.connection);
    const id = newId();
    await background.start({ id, argv: ["sleep", "60"], env: {}, keepInput: false });
    const followed = await background.attach(id, FROM_START);
    const child = await doomed.spawn(["sleep", "60"]);
    for (const stream of [child.stdout, child.stderr, followed.stdout, followed.stderr]) {
      bytes(stream).catch(() => undefined);
    }
    const gone = expect.objectContaining({ code: "SPACE_NOT_RUNNING" });
    const ends = [child, followed].map(({ exit }) => expect(exit).rejects.toEqual(gone));
    await doomed.container.kill();
    await Promise.all(ends);
    await expect(background.list()).rejects.toEqual(gone);
    await expect(doomed.run(["true"])).rejects.toEqual(gone);
    await expect(installation.driver.connect(doomed.spec)).rejects.toEqual(gone);
    await followed.kill();
    await followed[Symbol.asyncDispose]();
  });

  it("takes up its work again in a connection that has outlived a restart", async () => {
    const other = await installation.running();
    await installation.driver.stop(other.spec);
    await expect(other.run(["true"])).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
    await installation.driver.start(other.spec);
    expect(await other.run(["echo", "again"])).toMatchObject({ stdout: "again\n" });
    // Behind the driver's back, too.
    await other.container.restart({ t: 5 });
    const connection = await installation.anotherDriver().connect(other.spec);
    expect(await collect(await connection.spawn({ argv: ["true"], env: {} }))).toMatchObject({
      exitCode: 0,
    });
    await connection[Symbol.asyncDispose]();
  });

  it("is found by a process that comes after one that died while starting it", async () => {
    const { driver } = installation;
    const left = await installation.space();
    await driver.create(left);
    const { Id = "" } =
      (
        await installation.docker.listContainers({
          all: true,
          filters: { label: [`spaces.space=${left.id}`] },
        })
      )[0] ?? {};
    await installation.docker.getContainer(Id).start();
    await driver.start(left);
    const connection = await driver.connect(left);
    expect(await collect(await connection.spawn({ argv: ["true"], env: {} }))).toMatchObject({
      exitCode: 0,
    });
    await connection[Symbol.asyncDispose]();
  });

  it("is replaced at a start when the package has another", async () => {
    const { driver } = installation;
    const old = await installation.running();
    await driver.stop(old.spec);
    await writeFile(join(old.spec.stateDir, "agent/guest"), "an older agent");
    await driver.start(old.spec);
    expect(await old.run(["echo", "new"])).toMatchObject({ stdout: "new\n" });
  });

  describe("that does not work here", () => {
    it.each([
      ["ends", "#!/bin/bash\nexit 3\n", 15_000],
      ["never answers", "#!/bin/bash\nsleep 60\n", 500],
    ])("leaves the space to docker exec when it %s", async (_what, program, answerMs) => {
      const broken = await installation.space();
      const agent = join(broken.stateDir, "broken");
      await writeFile(agent, program);
      const driver = installation.anotherDriver({ agent, answerMs });
      const told: string[] = [];
      await driver.start(broken, { onProgress: (message) => told.push(message) });
      expect(told.join("\n")).toContain("docker exec");
      const state = { spaceId: broken.id, running: true, access: "exec" };
      expect(await driver.inspect(broken.id)).toEqual(state);
      expect(await driver.list()).toContainEqual(state);
      expect(await driver.endpoint(broken)).toBeUndefined();
      // Any other driver goes by what the container was made for, also at a later start.
      await installation.driver.stop(broken);
      await installation.driver.start(broken);
      const connection = await installation.driver.connect(broken);
      expect(connection.background).toBeUndefined();
      expect(
        await collect(await connection.spawn({ argv: ["echo", "on"], env: {} })),
      ).toMatchObject({ stdout: "on\n" });
      expect(await readdir(broken.workspace)).toEqual([]);
    });

    it("does not give up a container in which something may have run", async () => {
      const used = await installation.running();
      await used.bash("echo kept >/tmp/file");
      await installation.driver.stop(used.spec);
      const agent = join(used.spec.stateDir, "broken");
      await writeFile(agent, "#!/bin/bash\nexit 3\n");
      const driver = installation.anotherDriver({ agent });
      await expect(driver.start(used.spec)).rejects.toMatchObject({
        code: "DRIVER_FAILED",
        message: expect.stringContaining("exit code 3"),
      });
      await installation.driver.start(used.spec);
      expect(await used.run(["cat", "/tmp/file"])).toMatchObject({ stdout: "kept\n" });
    });
  });
});
