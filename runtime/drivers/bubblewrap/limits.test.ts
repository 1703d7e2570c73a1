/** Limits of spaces on the real kernel: by control groups, and by what processes inherit. */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../../test/support/bubblewrap.js";
import type { ResourceLimits } from "../driver.js";
import { planCgroups } from "./cgroups.js";
import { planLimits } from "./limits.js";
import { DriverProgram, TestInstallation } from "./test-space.js";

const bubblewrap = await bubblewrapAvailability();
const isRoot = process.geteuid?.() === 0;
const ORDINARY_UID = 54_322;
const MEBIBYTE = 1024 ** 2;

/** Tries to have 200 processes at once; prints how many it got. */
const FORKS = `python3 -c '
import os, signal
made = []
for _ in range(200):
    try: pid = os.fork()
    except OSError: break
    if pid == 0: signal.pause()
    made.append(pid)
print(len(made))
for pid in made: os.kill(pid, signal.SIGKILL)
'`;
const EAT_MEMORY = "python3 -c 'x = bytearray(200 * 1024 * 1024); print(len(x))'";

describe.skipIf(!bubblewrap.usable)("limits of bubblewrap spaces", () => {
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

  /** Skips what the machine's kernel does not offer, by what the driver says of itself. */
  const offers = (limit: keyof ResourceLimits) =>
    installation.driver.features.limits.includes(limit);

  it("bounds the number of processes", async ({ skip }) => {
    skip(!offers("pids"), "no limit of processes here");
    const space = await installation.running({ resources: { pids: 20 } });
    const { stdout } = await space.bash(FORKS);
    expect(Number(stdout)).toBeGreaterThan(5);
    expect(Number(stdout)).toBeLessThanOrEqual(20);
    // The space is not the worse for it.
    expect(await space.bash("echo fine")).toMatchObject({ stdout: "fine\n" });
  });

  it("survives a fork bomb, with the limit that every space has", async ({ skip }) => {
    skip(!offers("pids"), "no limit of processes here");
    const space = await installation.running();
    const bomb = await space.spawn(["sh", "-c", "b() { b | b & }; b; sleep 1000"]);
    bomb.stderr.resume();
    bomb.stdout.resume();
    // Nothing more can start sooner or later; what can be asked of the space still answers.
    let refused = false;
    while (!refused) {
      await space.run(["true"]).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "LIMIT_EXCEEDED" });
        refused = true;
      });
    }
    await installation.driver.stop(space.spec);
    expect(await installation.driver.inspect(space.spec.id)).toMatchObject({ running: false });
    // Told of its end or cut off from it, whichever comes first.
    await bomb.exit.catch((error: unknown) => {
      expect(error).toMatchObject({ code: "DRIVER_FAILED" });
    });
  });

  it("bounds memory", async ({ skip }) => {
    skip(!offers("memoryBytes"), "no limit of memory here");
    const space = await installation.running({ resources: { memoryBytes: 64 * MEBIBYTE } });
    expect((await space.bash(EAT_MEMORY)).exitCode).not.toBe(0);
    expect(await space.bash("echo fine")).toMatchObject({ stdout: "fine\n" });
    const free = await installation.running();
    expect((await free.bash(EAT_MEMORY)).exitCode).toBe(0);
  });

  it("refuses a CPU limit where it cannot be set, and sets it elsewhere", async () => {
    const resources = { cpus: 0.5 };
    if (!offers("cpus")) {
      const space = await installation.space({ resources });
      await expect(installation.driver.start(space)).rejects.toMatchObject({ code: "UNSUPPORTED" });
      return;
    }
    const space = await installation.running({ resources });
    const record = await readFile(
      join(installation.dataDir, "bubblewrap", `${space.spec.id}.json`),
      "utf8",
    );
    const groups: string[] = JSON.parse(record).start.cgroups;
    const members = await Promise.all(
      groups.map((group) => readFile(join(group, "cgroup.procs"), "utf8")),
    );
    const agent = String(await installation.agentPid(space.spec));
    for (const list of members) expect(list.split("\n")).toContain(agent);
    const { stdout } = await space.bash(
      "times=$(date +%s%N); i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; cat /proc/self/cgroup",
    );
    expect(stdout).toContain(space.spec.id);
  });

  it.skipIf(!isRoot)(
    "bounds processes and memory for an ordinary user without groups",
    async () => {
      const home = await program.home(ORDINARY_UID);
      const space = {
        ...(await installation.space()),
        workspace: join(home, "w"),
        resources: { pids: 20, memoryBytes: 100 * MEBIBYTE },
      };
      await mkdir(space.workspace);
      await program.giveTo(ORDINARY_UID, space.workspace);
      const request = { installationId: installation.id, dataDir: home, space };
      const run = (script: string) =>
        program.run({ ...request, action: "run", script }, ORDINARY_UID);
      try {
        const features = await program.run({ ...request, action: "features" }, ORDINARY_UID);
        expect(features).toMatchObject({ limits: ["memoryBytes", "pids"] });
        const forks = (await run(FORKS)) as { stdout: string };
        expect(Number(forks.stdout)).toBeGreaterThan(5);
        expect(Number(forks.stdout)).toBeLessThanOrEqual(20);
        expect(await run(EAT_MEMORY)).toMatchObject({ exitCode: 1 });
        const limited = { ...request, space: { ...space, id: "spc_cpu", resources: { cpus: 1 } } };
        expect(await program.run({ ...limited, action: "start" }, ORDINARY_UID)).toMatchObject({
          error: expect.stringContaining('"cpus" cannot be enforced'),
        });
      } finally {
        await program.run({ ...request, action: "destroy" }, ORDINARY_UID);
        await rm(home, { recursive: true });
      }
    },
  );
});

describe("the plan for limits", () => {
  it("uses one group of version 2 for all, and one a controller of version 1", () => {
    const limits = { memoryBytes: 1e9, cpus: 0.5, pids: 7 };
    const two = { version: 2, directory: "/cg" } as const;
    expect(planCgroups({ memoryBytes: two, cpus: two, pids: two }, limits, "name")).toEqual([
      {
        directory: "/cg/name",
        version: 2,
        controllers: ["memory", "cpu", "pids"],
        settings: [
          ["memory.max", "1000000000"],
          ["memory.swap.max", "0"],
          ["cpu.max", "50000 100000"],
          ["pids.max", "7"],
        ],
      },
    ]);
    const one = (name: string) => ({ version: 1, directory: `/cg/${name}` }) as const;
    const plans = planCgroups({ memoryBytes: one("memory"), pids: one("pids") }, limits, "name");
    expect(plans.map(({ directory }) => directory)).toEqual(["/cg/memory/name", "/cg/pids/name"]);
  });

  it("refuses limits that make no sense", () => {
    for (const limits of [
      { pids: 0 },
      { pids: 1.5 },
      { cpus: 0 },
      { cpus: Number.NaN },
      { memoryBytes: 1 },
    ]) {
      expect(() => planLimits(limits, {}, "name")).toThrow(/limit of .* cannot be set/);
    }
  });
});
