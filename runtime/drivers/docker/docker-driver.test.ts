/** The life of spaces on a real Docker engine. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dockerAvailability } from "../../../test/support/docker.js";
import { ensureTestImage } from "../../../test/support/docker-image.js";
import { containerName } from "./container-spec.js";
import { internalNetworkName } from "./network.js";
import { OWNER, type RunningSpace, TestInstallation } from "./test-space.js";

const docker = await dockerAvailability();

const accesses = ["agent", "exec"] as const;

describe.skipIf(!docker.usable).each(accesses)("the Docker driver by %s", (access) => {
  let installation: TestInstallation;

  beforeAll(async () => {
    await ensureTestImage();
  });
  beforeEach(async () => {
    installation = await TestInstallation.make({ access });
  });
  afterEach(async () => {
    await installation[Symbol.asyncDispose]();
    expect(await installation.leftovers()).toEqual([]);
  });

  it("creates a space stopped, starts, stops and destroys it, each also a second time", async () => {
    const { driver } = installation;
    const space = await installation.space();
    expect(await driver.inspect(space.id)).toBeUndefined();
    for (const _again of [1, 2]) {
      await driver.create(space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false, access });
    }
    for (const _again of [1, 2]) {
      await driver.start(space);
      expect(await driver.list()).toEqual([{ spaceId: space.id, running: true, access }]);
    }
    for (const _again of [1, 2]) {
      await driver.stop(space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false, access });
    }
    for (const _again of [1, 2]) {
      await driver.destroy(space.id);
      expect(await driver.inspect(space.id)).toBeUndefined();
    }
  });

  it("lets two processes do the same at once", async () => {
    const space = await installation.space({ network: "internal" });
    const drivers = [1, 2, 3, 4].map(() => installation.anotherDriver({ access }));
    const all = (act: (driver: (typeof drivers)[number]) => Promise<unknown>) =>
      Promise.all(drivers.map(act));
    await all((driver) => driver.create(space));
    await all((driver) => driver.start(space));
    expect(await installation.leftovers()).toHaveLength(2);
    await all((driver) => driver.stop(space));
    await all((driver) => driver.destroy(space.id));
  });

  it("lists the spaces of its own installation only", async () => {
    const other = await TestInstallation.make({ access });
    try {
      await other.driver.create(await other.space());
      const space = await installation.space();
      await installation.driver.create(space);
      expect(await installation.driver.list()).toEqual([
        { spaceId: space.id, running: false, access },
      ]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it("gives a process as little as it can", async () => {
    const space = await installation.running();
    const { stdout } = await space.bash("cat /proc/self/status; echo HOME=$HOME PWD=$PWD");
    expect(stdout).toMatch(/^CapEff:\s+0+$/m);
    expect(stdout).toMatch(/^CapBnd:\s+0+$/m);
    expect(stdout).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(stdout).toMatch(/^Seccomp:\s+2$/m);
    expect(stdout).toMatch(new RegExp(`^Uid:\\s+${process.getuid?.()}\\s`, "m"));
    expect(stdout).toContain("HOME=/workspace PWD=/workspace");
    const found = await space.container.inspect();
    expect(found.HostConfig).toMatchObject({
      Init: access === "exec",
      Privileged: false,
      CapAdd: null,
      PidMode: "",
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
    });
    expect(found.Mounts.map(({ Destination, RW }) => [Destination, RW]).sort()).toEqual([
      ...(access === "exec"
        ? [["/.spaces/keeper", false]]
        : [
            ["/.spaces/guest", false],
            ["/.spaces/run", true],
          ]),
      ["/workspace", true],
    ]);
  });

  it("runs commands as the named user and shares the workspace both ways", async () => {
    const space = await installation.running({ user: "1000:1000" });
    await writeFile(join(space.spec.workspace, "from-outside"), "hello");
    expect(await space.bash("id -u; cat from-outside")).toMatchObject({ stdout: "1000\nhello" });
  });

  it("says which user the image does not know", async () => {
    const space = await installation.space({ user: "nobody-here" });
    await expect(installation.driver.start(space)).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("nobody-here"),
    });
  });

  it("keeps the container's own files over a stop and a start", async () => {
    const space = await installation.running();
    await space.bash("echo kept >/tmp/file");
    await installation.driver.stop(space.spec);
    await installation.driver.start(space.spec);
    const again = await installation.driver.connect(space.spec);
    const child = await again.spawn({ argv: ["cat", "/tmp/file"], env: {} });
    child.stderr.resume();
    expect(String((await child.stdout.toArray())[0])).toBe("kept\n");
  });

  it("lets processes end by themselves when a space is stopped", async () => {
    const space = await installation.running();
    const child = await space.spawn([
      "bash",
      "-c",
      "trap 'echo done >last-words; exit' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    child.stderr.resume();
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await installation.driver.stop(space.spec);
    await child.exit.catch(() => undefined);
    expect(await readFile(join(space.spec.workspace, "last-words"), "utf8")).toBe("done\n");
  });

  it("stops a space whose processes ignore the request", async () => {
    const space = await installation.running();
    const child = await space.spawn(["bash", "-c", "trap '' TERM; echo on; sleep 100; sleep 100"]);
    child.stderr.resume();
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await installation.driver.stop(space.spec);
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ running: false });
    if (access === "agent") expect(await child.exit).toMatchObject({ signal: "SIGKILL" });
    else await expect(child.exit).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
  });

  it("does not connect to a space that is stopped or gone", async () => {
    const space = await installation.space();
    const refused = expect.objectContaining({ code: "SPACE_NOT_RUNNING" });
    await expect(installation.driver.connect(space)).rejects.toEqual(refused);
    await installation.driver.create(space);
    await expect(installation.driver.connect(space)).rejects.toEqual(refused);
  });

  it("recovers from a container that was removed behind its back", async () => {
    const space = await installation.running();
    await space.container.remove({ force: true });
    await expect(space.run(["true"])).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
    await installation.driver.stop(space.spec);
    await installation.driver.start(space.spec);
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ running: true });
  });

  it("leaves a container alone that has a space's name and is not ours", async () => {
    const space = await installation.space();
    const foreign = await installation.docker.createContainer({
      name: containerName(installation.id, space.id),
      Image: space.image ?? "",
      Cmd: ["true"],
    });
    try {
      const conflict = expect.objectContaining({ code: "CONFLICT" });
      await expect(installation.driver.create(space)).rejects.toEqual(conflict);
      await expect(installation.driver.destroy(space.id)).rejects.toEqual(conflict);
    } finally {
      await foreign.remove();
    }
  });

  it("says that the workspace is missing instead of making one", async () => {
    const space = await installation.space();
    await rm(space.workspace, { recursive: true });
    await expect(installation.driver.create(space)).rejects.toMatchObject({
      code: "DRIVER_FAILED",
      message: expect.stringContaining(space.workspace),
    });
  });

  it("holds a space to its process limit", async () => {
    const space = await installation.running({ resources: { pids: 20 } });
    const { stderr } = await space.bash("for i in {1..40}; do sleep 2 & done");
    expect(stderr).toContain("fork");
  });

  it("holds a space to its memory limit, and the space survives it", async () => {
    const space = await installation.running({ resources: { memoryBytes: 32 * 1024 * 1024 } });
    const eat = await space.run(["head", "-c", "200M", "/dev/zero"]);
    expect(eat.exitCode).toBe(0);
    expect(await space.run(["bash", "-c", "x=$(tr '\\0' a </dev/zero)"])).toMatchObject({
      exitCode: 137,
      signal: "SIGKILL",
    });
    expect(await space.run(["true"])).toMatchObject({ exitCode: 0 });
  });

  it("sets the CPU limit", async () => {
    const space = await installation.running({ resources: { cpus: 0.5 } });
    expect((await space.container.inspect()).HostConfig.NanoCpus).toBe(5e8);
  });

  it.each([
    { memoryBytes: 1 },
    { memoryBytes: Number.NaN },
    { cpus: -1 },
    { cpus: Number.POSITIVE_INFINITY },
    { pids: 0 },
    { pids: 1.5 },
  ])("refuses the limit %o", async (resources) => {
    const space = await installation.space({ resources });
    await expect(installation.driver.create(space)).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  describe("with a service on the host", () => {
    let server: Server;
    let port: number;

    beforeEach(async () => {
      server = createServer((socket) => socket.end("host"));
      await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
      const address = server.address();
      port = typeof address === "object" && address !== null ? address.port : 0;
    });
    afterEach(() => {
      server.close();
    });

    const reach = (host: string, to: number) =>
      `timeout 1 bash -c 'exec 3<>/dev/tcp/${host}/${to}; cat <&3' 2>/dev/null`;
    it("reaches it from an open space", async () => {
      const space = await installation.running({ network: "open" });
      const gateway = (await space.container.inspect()).NetworkSettings.Networks.bridge?.Gateway;
      expect(await space.bash(reach(gateway ?? "", port))).toMatchObject({ stdout: "host" });
    });

    it.each(["internal", "none"] as const)("does not from a space on %s", async (network) => {
      const space = await installation.running({ network });
      // The bridge would have had the first address of the subnet.
      const own = await space.bash("cat /proc/net/fib_trie");
      const subnet = /(\d+\.\d+\.\d+)\.0\/\d+/.exec(own.stdout)?.[1];
      const hosts = ["172.17.0.1", "127.0.0.1", ...(subnet === undefined ? [] : [`${subnet}.1`])];
      for (const host of hosts) {
        expect(await space.bash(reach(host, port))).toMatchObject({ stdout: "" });
      }
    });
  });

  it("lets internal spaces reach each other, by the id too", async () => {
    const one = await installation.running({ network: "internal", id: "spc_peer" });
    const two = await installation.running({ network: "internal" });
    const found = await one.container.inspect();
    const address = Object.values(found.NetworkSettings.Networks)[0]?.IPAddress;
    // A refused connection is an answer: nobody listens, but the peer is there.
    for (const host of [address, "spc_peer"]) {
      const { stderr } = await two.bash(`exec 3<>/dev/tcp/${host}/9`);
      expect(stderr).toContain("Connection refused");
    }
  });

  it("keeps the internal spaces of different owners apart", async () => {
    const id = "spc_theirs";
    const theirs = await installation.running({ network: "internal", owner: "usr_other", id });
    const one = await installation.running({ network: "internal" });
    const two = await installation.running({ network: "internal", id: "spc_mine" });
    const addressOf = async (space: RunningSpace) =>
      Object.values((await space.container.inspect()).NetworkSettings.Networks)[0]?.IPAddress ?? "";
    const reach = async (host: string) =>
      (await one.bash(`timeout 2 bash -c "exec 3<>/dev/tcp/${host}/9"`)).stderr;
    expect(await reach(await addressOf(two))).toContain("Connection refused");
    for (const host of [await addressOf(theirs), id]) {
      expect(await reach(host)).not.toContain("Connection refused");
    }
    await installation.driver.destroy(id);
    const networks = await installation.docker.listNetworks({
      filters: { label: [`spaces.installation=${installation.id}`] },
    });
    expect(networks.map(({ Name }) => Name)).toEqual([internalNetworkName(installation.id, OWNER)]);
  });

  it("keeps the internal network as long as a space needs it, even a stopped one", async () => {
    const [one, two] = [
      await installation.space({ network: "internal" }),
      await installation.space({ network: "internal" }),
    ];
    await Promise.all([one, two].map((space) => installation.driver.create(space)));
    const network = installation.docker.getNetwork(internalNetworkName(installation.id, OWNER));
    await installation.driver.destroy(one.id);
    expect(await network.inspect()).toMatchObject({ Internal: true });
    await installation.driver.destroy(two.id);
    await expect(network.inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it("starts an internal space whose network was pruned meanwhile", async () => {
    const space = await installation.running({ network: "internal" });
    await installation.driver.stop(space.spec);
    await installation.docker.getNetwork(internalNetworkName(installation.id, OWNER)).remove();
    await installation.driver.start(space.spec);
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ running: true });
  });

  it("gives up before anything is made when it is cancelled", async () => {
    const space = await installation.space();
    await expect(
      installation.driver.create(space, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await installation.driver.inspect(space.id)).toBeUndefined();
  });
});
