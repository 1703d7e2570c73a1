/**
 * What the Docker driver's tests share: an installation of their own, spaces in it, commands, and
 * the check that nothing is left behind. Used by tests only.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import Docker from "dockerode";
import { TEST_IMAGE } from "../../../test/support/docker-image.js";
import type {
  Driver,
  GuestConnection,
  GuestProcess,
  ProcessExit,
  SpaceSpec,
  SpawnRequest,
} from "../driver.js";
import { containerName, LABELS } from "./container-spec.js";
import { createDockerDriver, type DockerDriverOptions } from "./docker-driver.js";

let counter = 0;

/** Whose spaces they are where a test does not say. */
export const OWNER = "owner";

/** An installation that lives as long as a test. */
export class TestInstallation {
  readonly docker = new Docker();
  readonly id: string;
  readonly driver: Driver;
  readonly #root: string;

  private constructor(root: string, options: DockerDriverOptions) {
    this.#root = root;
    this.id = `test-${root}`;
    this.driver = this.anotherDriver(options);
  }

  static async make(options: DockerDriverOptions = {}): Promise<TestInstallation> {
    return new TestInstallation(await mkdtemp(join(tmpdir(), "spaces-docker-")), options);
  }

  /** A driver as another process of this installation would have it. */
  anotherDriver(options: DockerDriverOptions = {}): Driver {
    return createDockerDriver({ installationId: this.id, dataDir: this.#root }, options);
  }

  /** A space's description with directories of its own; nothing in Docker yet. */
  async space(change: Partial<SpaceSpec> = {}): Promise<SpaceSpec> {
    counter += 1;
    const id = change.id ?? `spc_t${counter}`;
    const workspace = join(this.#root, id, "workspace");
    const stateDir = join(this.#root, id, "state");
    await mkdir(workspace, { recursive: true });
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    return {
      id,
      name: `space-${counter}`,
      owner: OWNER,
      workspace,
      stateDir,
      workspaceMount: "/workspace",
      workdir: "/workspace",
      shell: "bash",
      image: TEST_IMAGE,
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
    return new RunningSpace(this, space, await this.driver.connect(space));
  }

  /** Ids of all containers and networks that carry this installation's label. */
  async leftovers(): Promise<string[]> {
    const filters = { label: [`${LABELS.installation}=${this.id}`] };
    const containers = await this.docker.listContainers({ all: true, filters });
    const networks = await this.docker.listNetworks({ filters });
    return [...containers, ...networks].map(({ Id }) => Id);
  }

  /** Destroys all spaces through the driver. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { spaceId } of await this.driver.list()) await this.driver.destroy(spaceId);
    await this.driver[Symbol.asyncDispose]();
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** A running space, with the commands of tests. */
export class RunningSpace {
  readonly spec: SpaceSpec;
  readonly connection: GuestConnection;
  readonly #installation: TestInstallation;

  constructor(installation: TestInstallation, spec: SpaceSpec, connection: GuestConnection) {
    this.#installation = installation;
    this.spec = spec;
    this.connection = connection;
  }

  /** The container itself, for tests that do something behind the driver's back. */
  get container(): Docker.Container {
    return this.#installation.docker.getContainer(
      containerName(this.#installation.id, this.spec.id),
    );
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

  /** Command lines of all processes in the space but the main ones and the asking one. */
  async processes(): Promise<string[]> {
    const { stdout } = await this.bash(
      'for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline 2>/dev/null; echo; done',
    );
    return stdout
      .split("\n")
      .map((line) => line.trim())
      .filter(
        (line) => line !== "" && !/docker-init|\.spaces\/(keeper|guest)|\/proc\/|^tr /.test(line),
      );
  }
}

export interface Result extends ProcessExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Reads a process to its end. */
export async function collect(process: GuestProcess): Promise<Result> {
  const output = Promise.all([text(process.stdout), text(process.stderr)]);
  // Broken off together with the process, of which `exit` tells.
  output.catch(() => undefined);
  const exit = await process.exit;
  const [stdout, stderr] = await output;
  return { ...exit, stdout, stderr };
}

/** All that a stream brings, byte by byte as latin1 where it is not UTF-8. */
export async function text(stream: Readable): Promise<string> {
  return (await bytes(stream)).toString("utf8");
}

export async function bytes(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
