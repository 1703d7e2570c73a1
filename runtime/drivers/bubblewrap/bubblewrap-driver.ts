/**
 * The bubblewrap driver: one sandbox a space, made of the host's own programs, with the guest agent
 * as its main process. Called by the engine through the `Driver` interface.
 */
import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { SpacesError } from "../../contract/errors.js";
import { emptyDirectory } from "../../guest/empty-directory.js";
import { connectAgent } from "../agent-connection.js";
import type {
  AgentEndpoint,
  Driver,
  DriverCallOptions,
  DriverContext,
  DriverFeatures,
  DriverSpaceState,
  GuestConnection,
  ProbeResult,
  SpaceSpec,
} from "../driver.js";
import { type CgroupParents, cgroupName, findCgroupParents } from "./cgroups.js";
import { bootId, isAlive } from "./host-process.js";
import { isRoot, uidOf } from "./host-user.js";
import { enforceableLimits, planLimits } from "./limits.js";
import { exclusively } from "./lock.js";
import { probeBubblewrap } from "./probe.js";
import { type BubblewrapProgram, findBubblewrap } from "./program.js";
import { Records, type SpaceRecord, type StartRecord } from "./record.js";
import { INNER_USER } from "./sandbox.js";
import { cleanUp, endSpace, startSpace } from "./space-life.js";
import { installedShells } from "./system-mounts.js";

const PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/** A driver on the bubblewrap of this machine. Nothing is run until it is used. */
export function createBubblewrapDriver(context: DriverContext): Driver {
  return new BubblewrapDriver(context);
}

class BubblewrapDriver implements Driver {
  readonly name = "bubblewrap";
  readonly features: DriverFeatures;
  readonly #installationId: string;
  readonly #dataDir: string;
  readonly #records: Records;
  readonly #cgroups: CgroupParents;
  #program: Promise<BubblewrapProgram | undefined> | undefined;
  #probe: Promise<ProbeResult> | undefined;

  constructor({ installationId, dataDir }: DriverContext) {
    this.#installationId = installationId;
    this.#dataDir = dataDir;
    this.#records = new Records(dataDir);
    this.#cgroups = findCgroupParents();
    this.features = {
      nativePrograms: true,
      images: false,
      shells: installedShells(),
      network: ["none"],
      limits: enforceableLimits(this.#cgroups),
      streaming: true,
      pty: true,
      ports: true,
    };
  }

  probe(): Promise<ProbeResult> {
    this.#probe ??= probeBubblewrap();
    return this.#probe;
  }

  async create(space: SpaceSpec, { signal }: DriverCallOptions = {}): Promise<void> {
    this.#check(space);
    await this.#exclusively(space.id, signal, async () => {
      if ((await this.#records.read(space.id)) !== undefined) return;
      await this.#records.write(space.id, this.#newRecord(space.id));
    });
  }

  async start(space: SpaceSpec, { signal }: DriverCallOptions = {}): Promise<void> {
    const limits = this.#check(space);
    const program = await this.#bubblewrap();
    await this.#exclusively(space.id, signal, async () => {
      const record = (await this.#records.read(space.id)) ?? this.#newRecord(space.id);
      if (isRunning(record)) return;
      const runDirectory = this.#records.runDirectory(space.id);
      await cleanUp(record, runDirectory);
      const start: StartRecord = {
        id: randomBytes(16).toString("hex"),
        token: randomBytes(32).toString("hex"),
        socket: "",
        bootId: bootId(),
        cgroups: limits.cgroups.map(({ directory }) => directory),
      };
      await startSpace({
        space,
        program,
        uid: record.uid,
        limits,
        runDirectory,
        start,
        signal,
        save: (changed) => this.#records.write(space.id, { ...record, start: changed }),
        forget: () => this.#records.write(space.id, { ...record, start: undefined }),
      });
    });
  }

  async connect(space: SpaceSpec): Promise<GuestConnection> {
    const connection = await connectAgent(await this.endpoint(space), space);
    const env = (more: Readonly<Record<string, string>>) => ({
      ...environmentOf(space),
      ...more,
    });
    const { background } = connection;
    return {
      spawn: (request) => connection.spawn({ ...request, env: env(request.env) }),
      background: background && {
        ...background,
        start: (request) => background.start({ ...request, env: env(request.env) }),
      },
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  }

  async endpoint(space: SpaceSpec): Promise<AgentEndpoint> {
    const record = await this.#records.read(space.id);
    if (record?.start === undefined || !isRunning(record)) {
      throw new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" is not running.`);
    }
    return { socket: record.start.socket, token: record.start.token };
  }

  async stop(space: SpaceSpec, { signal }: DriverCallOptions = {}): Promise<void> {
    await this.#exclusively(space.id, signal, async () => {
      const record = await this.#records.read(space.id);
      if (record?.start === undefined) return;
      await this.#end(space.id, record);
      await this.#records.write(space.id, { ...record, start: undefined });
    });
  }

  emptyWorkspace({ workspace }: SpaceSpec): Promise<void> {
    return emptyDirectory(workspace);
  }

  async destroy(spaceId: string): Promise<void> {
    await this.#exclusively(spaceId, undefined, async () => {
      const record = await this.#records.read(spaceId);
      if (record === undefined) return;
      await this.#end(spaceId, record);
      await this.#records.remove(spaceId);
    });
  }

  async inspect(spaceId: string): Promise<DriverSpaceState | undefined> {
    const record = await this.#records.read(spaceId);
    return record === undefined ? undefined : { spaceId, running: isRunning(record) };
  }

  async list(): Promise<readonly DriverSpaceState[]> {
    const ids = await this.#records.ids();
    const states = await Promise.all(ids.map((id) => this.inspect(id)));
    return states.filter((state) => state !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Spaces outlive this process, and nothing else is held.
  }

  async #end(spaceId: string, record: SpaceRecord): Promise<void> {
    await endSpace(record);
    await cleanUp(record, this.#records.runDirectory(spaceId));
  }

  #newRecord(spaceId: string): SpaceRecord {
    return isRoot() ? { uid: uidOf(this.#installationId, spaceId) } : {};
  }

  /** Refuses what cannot be honoured, and plans how limits are. */
  #check(space: SpaceSpec) {
    const { network } = this.features;
    if (!network.includes(space.network)) {
      throw unsupported(`the network mode "${space.network}"`);
    }
    if (space.image !== undefined) throw unsupported(`images ("${space.image}")`);
    if (space.user !== undefined) throw unsupported(`another user ("${space.user}")`);
    const group = cgroupName(this.#installationId, space.id);
    return planLimits(space.resources, this.#cgroups, group);
  }

  async #bubblewrap(): Promise<BubblewrapProgram> {
    this.#program ??= process.platform === "linux" ? findBubblewrap() : Promise.resolve(undefined);
    const program = await this.#program;
    if (program !== undefined) return program;
    const probe = await this.probe();
    throw new SpacesError(
      "DRIVER_UNAVAILABLE",
      probe.usable ? "bubblewrap is not here any more." : probe.reason,
      probe.usable ? {} : { suggestion: probe.remedy },
    );
  }

  async #exclusively<T>(
    spaceId: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    await this.#records.prepare();
    // All processes of the installation must come to the same key, whatever path they use.
    const place = await realpath(this.#dataDir);
    return exclusively(`${this.#installationId}\n${place}\n${spaceId}`, signal, work);
  }
}

function isRunning({ start }: SpaceRecord): boolean {
  return start?.agent !== undefined && start.bootId === bootId() && isAlive(start.agent);
}

function environmentOf(space: SpaceSpec): Record<string, string> {
  return {
    HOME: space.workspaceMount,
    USER: INNER_USER.name,
    LOGNAME: INNER_USER.name,
    HOSTNAME: space.name,
    PATH,
    LANG: "C.UTF-8",
    ...space.env,
  };
}

function unsupported(what: string): SpacesError {
  return new SpacesError("UNSUPPORTED", `The driver bubblewrap has no support for ${what}.`);
}
