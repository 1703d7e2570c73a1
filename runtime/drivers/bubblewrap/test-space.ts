/**
 * What the bubblewrap driver's tests share: an installation of their own, spaces in it, commands,
 * other processes of the installation, and the check that nothing is left behind. Used by tests only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type {
  Driver,
  GuestConnection,
  GuestProcess,
  ProcessExit,
  SpaceSpec,
  SpawnRequest,
} from "../driver.js";
import { agentProgram } from "./agent-program.js";
import { createBubblewrapDriver } from "./bubblewrap-driver.js";
import { cgroupName } from "./cgroups.js";
import { processesNaming } from "./host-process.js";

let counter = 0;

/** An installation that lives as long as a test. */
export class TestInstallation {
  readonly id = `test-${randomUUID()}`;
  readonly driver: Driver;
  readonly dataDir: string;
  readonly #starts = new Set<string>();

  private constructor(dataDir: string) {
    this.dataDir = dataDir;
    this.driver = createBubblewrapDriver({ installationId: this.id, dataDir });
  }

  /** @param parent where its data directory is made */
  static async make(parent = tmpdir()): Promise<TestInstallation> {
    return new TestInstallation(await mkdtemp(join(parent, "spaces-bwrap-")));
  }

  /** A space's description with directories of its own; nothing of the driver yet. */
  async space(change: Partial<SpaceSpec> = {}): Promise<SpaceSpec> {
    counter += 1;
    const id = change.id ?? `spc_t${counter}`;
    const workspace = join(this.dataDir, "spaces", id, "workspace");
    const stateDir = join(this.dataDir, "spaces", id, "state");
    await mkdir(workspace, { recursive: true });
    await mkdir(stateDir, { recursive: true });
    return {
      id,
      name: `space-${counter}`,
      workspace,
      stateDir,
      owner: "owner",
      workspaceMount: "/workspace",
      workdir: "/workspace",
      shell: "bash",
      env: {},
      resources: {},
      network: "none",
      ...change,
    };
  }

  /** A running space and a way into it. */
  async running(change: Partial<SpaceSpec> = {}): Promise<RunningSpace> {
    const space = await this.space(change);
    await this.driver.start(space);
    await this.remember(space);
    return new RunningSpace(space, await this.driver.connect(space));
  }

  /** Notes the start of a running space, so that `leftovers` looks for its processes. */
  async remember(space: SpaceSpec): Promise<string> {
    const endpoint = await this.driver.endpoint(space);
    const start = basename(endpoint?.socket ?? "");
    this.#starts.add(start);
    return start;
  }

  /** Whatever of the installation is still on the host: processes, groups, files, mounts. */
  async leftovers(): Promise<string[]> {
    const processes = await Promise.all([...this.#starts].map((start) => processesNaming(start)));
    const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
    const files = await readdir(join(this.dataDir, "bubblewrap")).catch(() => []);
    return [
      ...processes.flat().map(({ pid }) => `process ${pid}`),
      ...mounts.filter((line) => line.includes(this.dataDir)),
      ...(await groupsNamed(cgroupName(this.id, ""))),
      ...files,
    ];
  }

  /** The process id of a space's agent on the host, from the driver's record. */
  async agentPid(space: SpaceSpec): Promise<number> {
    const text = await readFile(join(this.dataDir, "bubblewrap", `${space.id}.json`), "utf8");
    const pid: unknown = JSON.parse(text).start?.agent?.pid;
    if (typeof pid !== "number") throw new Error(`${space.id} has no recorded agent`);
    return pid;
  }

  /** Destroys all spaces through the driver. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { spaceId } of await this.driver.list()) {
      await this.driver.destroy(spaceId);
    }
    await this.driver[Symbol.asyncDispose]();
    const left = await this.leftovers();
    await rm(this.dataDir, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`left behind: ${left.join("; ")}`);
  }
}

async function groupsNamed(prefix: string): Promise<string[]> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4] ?? "");
  const names = await Promise.all(mounts.map((mount) => readdir(mount)));
  return names.flat().filter((name) => name.startsWith(prefix));
}

/** A running space, with the commands of tests. */
export class RunningSpace {
  readonly spec: SpaceSpec;
  readonly connection: GuestConnection;

  constructor(spec: SpaceSpec, connection: GuestConnection) {
    this.spec = spec;
    this.connection = connection;
  }

  spawn(argv: readonly [string, ...string[]], more: Partial<SpawnRequest> = {}) {
    return this.connection.spawn({ argv, env: {}, ...more });
  }

  async run(argv: readonly [string, ...string[]], more: Partial<SpawnRequest> = {}) {
    return collect(await this.spawn(argv, more));
  }

  bash(script: string, more: Partial<SpawnRequest> = {}) {
    return this.run(["bash", "-c", script], more);
  }
}

export interface Result extends ProcessExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Reads a process to its end. */
export async function collect(process: GuestProcess): Promise<Result> {
  const output = Promise.all([text(process.stdout), text(process.stderr)]);
  const exit = await process.exit;
  const [stdout, stderr] = await output;
  return { ...exit, stdout, stderr };
}

async function text(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * The driver as a program of its own (`test-driver-process.ts`), which other users can run too: for
 * what happens between processes of one installation.
 */
export class DriverProgram implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<DriverProgram> {
    const directory = await mkdtemp(join(tmpdir(), "spaces-bwrap-program-"));
    await chmod(directory, 0o755);
    const dist = join(directory, "dist");
    await build({
      entryPoints: [fileURLToPath(new URL("./test-driver-process.ts", import.meta.url))],
      outfile: join(dist, "driver.mjs"),
      bundle: true,
      platform: "node",
      target: "node20.19",
      format: "esm",
      logLevel: "error",
    });
    // The bundle looks for the agent beside itself.
    await mkdir(join(dist, "guest"));
    await copyFile(agentProgram(), join(dist, "guest", basename(agentProgram())));
    return new DriverProgram(directory);
  }

  /** A directory of a user's own. */
  async home(uid: number): Promise<string> {
    const home = await mkdtemp(join(this.directory, "home-"));
    await chown(home, uid, uid);
    return home;
  }

  /** Gives files to a user; needs root. */
  async giveTo(uid: number, ...paths: string[]): Promise<void> {
    for (const path of paths) await chown(path, uid, uid);
  }

  /** Starts it; `uid` needs root. It prints one line of JSON and then ends, or waits (`hold`). */
  start(request: DriverProgramRequest, uid?: number): ChildProcess {
    return spawn(
      process.execPath,
      [join(this.directory, "dist", "driver.mjs"), JSON.stringify(request)],
      {
        cwd: "/",
        stdio: ["ignore", "pipe", "inherit"],
        ...(uid === undefined ? {} : { uid, gid: uid }),
      },
    );
  }

  /** Runs it to its end and gives what it printed. */
  async run(request: DriverProgramRequest, uid?: number): Promise<unknown> {
    const child = this.start(request, uid);
    const line = await firstLine(child);
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface DriverProgramRequest {
  readonly installationId: string;
  readonly dataDir: string;
  readonly space: SpaceSpec;
  readonly action: "start" | "hold" | "run" | "stop" | "destroy" | "inspect" | "features";
  /** Shell script for `run`, which starts the space where it does not run. */
  readonly script?: string;
}

/** The first line that a process prints, or all that it prints where there is no full line. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let all = "";
  for await (const chunk of child.stdout ?? []) {
    all += String(chunk);
    if (all.includes("\n")) break;
  }
  return all.split("\n")[0] ?? "";
}
