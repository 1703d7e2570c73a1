/**
 * The `virtual` driver: spaces whose shell is just-bash, in one worker thread per space and
 * process, over the workspace directory on the host. It needs nothing but Node. Made by the
 * engine's driver registry.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SpacesError } from "../../contract/errors.js";
import { emptyDirectory } from "../../guest/empty-directory.js";
import type {
  Driver,
  DriverCallOptions,
  DriverContext,
  DriverFeatures,
  DriverSpaceState,
  GuestConnection,
  GuestProcess,
  ProbeResult,
  SpaceSpec,
  SpawnRequest,
} from "../driver.js";
import { guestProcess } from "./guest-process.js";
import { STOP_POLL_MS } from "./limits.js";
import { type Marker, Markers } from "./marker.js";
import { MemoryGuard } from "./memory-guard.js";
import { refuseOtherShells } from "./programs.js";
import { checkRequest } from "./quoting.js";
import { SpaceWorker } from "./space-worker.js";

const FEATURES: DriverFeatures = {
  nativePrograms: false,
  images: false,
  shells: ["bash", "sh"],
  network: ["none"],
  limits: [],
  streaming: false,
  pty: false,
  ports: false,
};

/** What this process holds of a space. */
interface LocalSpace {
  readonly worker: SpaceWorker;
  readonly generation: string;
  /** Looks, while commands run, whether another process has stopped the space. */
  watch: NodeJS.Timeout | undefined;
}

/** Reads the version of the installed just-bash, whose package.json is not among its exports. */
async function justBashVersion(): Promise<string> {
  let directory = dirname(createRequire(import.meta.url).resolve("just-bash"));
  for (;;) {
    try {
      const manifest: unknown = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
      if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
        return String(manifest.version);
      }
    } catch (error) {
      if (dirname(directory) === directory) throw error;
    }
    directory = dirname(directory);
  }
}

function environmentOf(space: SpaceSpec, request: SpawnRequest): Array<[string, string]> {
  const base = {
    HOME: "/home/user",
    USER: "user",
    LOGNAME: "user",
    HOSTNAME: space.name,
    SHELL: "/bin/bash",
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "C.UTF-8",
  };
  return [
    ...new Map([
      ...Object.entries(base),
      ...Object.entries(space.env),
      ...Object.entries(request.env),
    ]),
  ];
}

function refuseCancelled(options: DriverCallOptions | undefined): void {
  if (options?.signal?.aborted === true) throw new SpacesError("CANCELLED");
}

function notRunning(space: SpaceSpec): SpacesError {
  return new SpacesError("SPACE_NOT_RUNNING", `The space ${space.name} is not running.`);
}

class VirtualDriver implements Driver {
  readonly name = "virtual";
  readonly features = FEATURES;
  readonly #markers: Markers;
  readonly #spaces = new Map<string, LocalSpace>();
  /** Counts the stops in this process, so that a command under way notices one. */
  #stops = 0;
  /** A booted worker without a space, for the next space of this process. */
  #spare: SpaceWorker | undefined;
  #disposed = false;
  readonly #memory = new MemoryGuard(() => this.#endBusy());

  constructor(context: DriverContext) {
    this.#markers = new Markers(context.dataDir);
  }

  async probe(): Promise<ProbeResult> {
    try {
      return { usable: true, version: `just-bash ${await justBashVersion()}` };
    } catch (error) {
      return {
        usable: false,
        reason: `The package just-bash cannot be loaded: ${String(error)}`,
        remedy: "Install the package spaces-runtime again.",
      };
    }
  }

  async create(space: SpaceSpec, options?: DriverCallOptions): Promise<void> {
    refuseCancelled(options);
    if ((await this.#markers.read(space.id)) !== undefined) return;
    await this.#markers.write(space.id, false);
  }

  async start(space: SpaceSpec, options?: DriverCallOptions): Promise<void> {
    refuseCancelled(options);
    if ((await this.#markers.read(space.id))?.running === true) return;
    await this.#markers.write(space.id, true);
  }

  async connect(space: SpaceSpec): Promise<GuestConnection> {
    const { generation } = await this.#running(space);
    // Boots while the caller prepares its first command.
    this.#local(space, generation);
    const processes = new Set<GuestProcess>();
    let disposed = false;
    return {
      spawn: async (request) => {
        if (disposed) throw new SpacesError("DRIVER_FAILED", "The connection has been closed.");
        const process = await this.#spawn(space, request);
        processes.add(process);
        const forget = () => processes.delete(process);
        process.exit.then(forget, forget);
        if (disposed) await process.kill();
        return process;
      },
      [Symbol.asyncDispose]: async () => {
        disposed = true;
        await Promise.all([...processes].map((process) => process.kill()));
      },
    };
  }

  /** Virtual spaces have no agent: their commands are no processes of the system. */
  async endpoint(): Promise<undefined> {
    return undefined;
  }

  async stop(space: SpaceSpec, options?: DriverCallOptions): Promise<void> {
    refuseCancelled(options);
    if ((await this.#markers.read(space.id))?.running === true) {
      await this.#markers.write(space.id, false);
    }
    await this.#end(space.id);
  }

  emptyWorkspace({ workspace }: SpaceSpec): Promise<void> {
    return emptyDirectory(workspace);
  }

  async destroy(spaceId: string): Promise<void> {
    await this.#markers.remove(spaceId);
    await this.#end(spaceId);
  }

  async inspect(spaceId: string): Promise<DriverSpaceState | undefined> {
    const marker = await this.#markers.read(spaceId);
    return marker === undefined ? undefined : { spaceId, running: marker.running };
  }

  async list(): Promise<readonly DriverSpaceState[]> {
    const ids = await this.#markers.ids();
    const states = await Promise.all(ids.map((id) => this.inspect(id)));
    return states.filter((state) => state !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const spare = this.#spare;
    this.#spare = undefined;
    await Promise.all([
      ...[...this.#spaces.keys()].map((id) => this.#end(id)),
      ...(spare === undefined ? [] : [spare.terminate()]),
    ]);
  }

  async #running(space: SpaceSpec): Promise<Marker> {
    for (;;) {
      if (this.#disposed) {
        throw new SpacesError("DRIVER_UNAVAILABLE", "The virtual driver has been closed.");
      }
      const stops = this.#stops;
      const marker = await this.#markers.read(space.id);
      if (marker?.running !== true) throw notRunning(space);
      // A stop during the read would have missed the command that is about to start.
      if (stops === this.#stops && !this.#disposed) return marker;
    }
  }

  async #spawn(space: SpaceSpec, request: SpawnRequest): Promise<GuestProcess> {
    checkRequest(request);
    refuseOtherShells(request.argv[0]);
    const { generation } = await this.#running(space);
    const local = this.#local(space, generation);
    const command = local.worker.run({
      argv: request.argv,
      workdir: request.workdir ?? space.workdir,
      env: environmentOf(space, request),
      input: request.input ?? new Uint8Array(),
    });
    this.#watch(space.id, local);
    this.#memory.enter();
    void command.end.then(() => {
      this.#memory.leave();
      this.#commandEnded(local);
    });
    return guestProcess(command);
  }

  /** The worker of a space in this process; a fresh one where it has none that fits. */
  #local(space: SpaceSpec, generation: string): LocalSpace {
    const present = this.#spaces.get(space.id);
    if (present?.worker.usable === true && present.generation === generation) return present;
    // A worker of an earlier start holds files in memory that the stop has removed.
    if (present !== undefined) this.#abandon(space.id, present);
    const worker = this.#spare?.usable === true ? this.#spare : new SpaceWorker();
    this.#spare = undefined;
    worker.open(space.workspace, space.workspaceMount);
    const local: LocalSpace = { worker, generation, watch: undefined };
    this.#spaces.set(space.id, local);
    return local;
  }

  #commandEnded(local: LocalSpace): void {
    if (local.worker.load > 0) return;
    clearInterval(local.watch);
    local.watch = undefined;
    if (!this.#disposed) this.#spare ??= new SpaceWorker();
  }

  #watch(spaceId: string, local: LocalSpace): void {
    if (local.watch !== undefined) return;
    const look = async () => {
      const marker = await this.#markers.read(spaceId).catch(() => undefined);
      if (marker?.running === true && marker.generation === local.generation) return;
      this.#abandon(spaceId, local);
    };
    local.watch = setInterval(() => void look(), STOP_POLL_MS).unref();
  }

  #abandon(spaceId: string, local: LocalSpace, reason?: SpacesError): void {
    clearInterval(local.watch);
    if (this.#spaces.get(spaceId) === local) this.#spaces.delete(spaceId);
    void local.worker.terminate(reason);
  }

  /** Which of the commands holds the memory cannot be told from outside: all of them end. */
  #endBusy(): void {
    const reason = new SpacesError(
      "LIMIT_EXCEEDED",
      "The commands of virtual spaces used up the memory allowed to them and were ended.",
      { suggestion: "Hold less data at once, or write it to files of the workspace." },
    );
    for (const [id, local] of this.#spaces) {
      if (local.worker.load > 0) this.#abandon(id, local, reason);
    }
  }

  async #end(spaceId: string): Promise<void> {
    this.#stops += 1;
    const local = this.#spaces.get(spaceId);
    if (local === undefined) return;
    this.#spaces.delete(spaceId);
    clearInterval(local.watch);
    await local.worker.terminate();
  }
}

/** Makes the `virtual` driver of one installation. */
export function createVirtualDriver(context: DriverContext): Driver {
  return new VirtualDriver(context);
}
