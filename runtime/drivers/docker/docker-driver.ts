/**
 * The Docker driver: one container per space. Called by the engine through the `Driver` interface.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type {
  Driver,
  DriverCallOptions,
  DriverContext,
  DriverFeatures,
  DriverSpaceState,
  GuestConnection,
  ProbeResult,
  SpaceSpec,
} from "../driver.js";
import { DockerConnection } from "./connection.js";
import { containerOptions, imageOf, LABELS } from "./container-spec.js";
import { type FoundContainer, findContainer, removeContainer } from "./containers.js";
import { DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";
import { causeStatus, reasonOf } from "./errors.js";
import { pullImage } from "./images.js";
import { ensureKeeper } from "./keeper.js";
import { terminateAll } from "./kill.js";
import { checkLimits } from "./limits.js";
import {
  ensureInternalNetwork,
  internalNetworkName,
  reconnect,
  removeUnusedNetwork,
} from "./network.js";
import { probeDocker } from "./probe.js";

/** How long a container has for its end once its processes were asked to end. */
const STOP_SECONDS = 2;

/** A driver on the Docker daemon that DOCKER_HOST names. Nothing is connected to until it is used. */
export function createDockerDriver(context: DriverContext): Driver {
  return new DockerDriver(context.installationId);
}

class DockerDriver implements Driver {
  readonly name = "docker";
  readonly features: DriverFeatures = {
    nativePrograms: true,
    images: true,
    network: ["open", "internal", "none"],
    limits: ["memoryBytes", "cpus", "pids"],
    streaming: true,
    pty: false,
    ports: false,
  };
  readonly #engine = new DockerEngine();
  readonly #installationId: string;

  constructor(installationId: string) {
    this.#installationId = installationId;
  }

  probe(): Promise<ProbeResult> {
    return probeDocker(this.#engine);
  }

  async create(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    if ((await this.#find(space.id)) !== undefined) return;
    await checkLimits(this.#engine, space.resources);
    if (space.network === "internal") {
      await ensureInternalNetwork(this.#engine, this.#installationId);
    }
    try {
      await this.#createWithImage(space, options);
    } catch (error) {
      if (space.network === "internal") {
        await removeUnusedNetwork(this.#engine, this.#installationId);
      }
      throw error;
    }
  }

  async start(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    let found = await this.#find(space.id);
    if (found === undefined) {
      await this.create(space, options);
      found = await this.#find(space.id);
    }
    if (found === undefined) throw vanished(space);
    if (found.running) return;
    // Mounted by the container, so it must be there at each start.
    const { architecture } = await this.#engine.host();
    await ensureKeeper(space.stateDir, architecture);
    try {
      await this.#startContainer(space, found.id, options.signal);
    } catch (error) {
      if (space.network !== "internal" || !/network .*not found/i.test(reasonOf(error)))
        throw error;
      await reconnect(this.#engine, this.#installationId, found.id, space.id);
      await this.#startContainer(space, found.id, options.signal);
    }
    const started = await this.#find(space.id);
    if (started?.running !== true) {
      throw new SpacesError(
        "DRIVER_FAILED",
        `The container of space "${space.name}" ended as soon as it was started (exit code ${started?.exitCode ?? "unknown"}).`,
        {
          suggestion:
            "Check that the directory of the space's state is not mounted noexec and that the user may run programs.",
        },
      );
    }
  }

  async connect(space: SpaceSpec): Promise<GuestConnection> {
    const found = await this.#find(space.id);
    if (found?.running !== true) {
      throw new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" is not running.`);
    }
    return new DockerConnection(
      { engine: this.#engine, containerId: found.id, spaceName: space.name },
      space.workdir,
    );
  }

  async endpoint(): Promise<undefined> {
    return undefined;
  }

  async stop(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    const found = await this.#find(space.id);
    if (found?.running !== true) return;
    const target = {
      engine: this.#engine,
      containerId: found.id,
      spaceName: space.name,
    };
    // Docker itself asks only the main process; the others would be killed unasked.
    await terminateAll(target);
    try {
      await this.#engine.call(
        `stop space "${space.name}"`,
        (docker, abortSignal) =>
          docker.getContainer(found.id).stop({ t: STOP_SECONDS, abortSignal }),
        { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal: options.signal },
      );
    } catch (error) {
      const status = causeStatus(error);
      if (status !== 304 && status !== 404) throw error;
    }
  }

  async destroy(spaceId: string): Promise<void> {
    await removeContainer(this.#engine, this.#installationId, spaceId);
    await removeUnusedNetwork(this.#engine, this.#installationId);
  }

  async inspect(spaceId: string): Promise<DriverSpaceState | undefined> {
    const found = await this.#find(spaceId);
    return found === undefined ? undefined : { spaceId, running: found.running };
  }

  async list(): Promise<readonly DriverSpaceState[]> {
    const containers = await this.#engine.call("list the spaces", (docker, abortSignal) =>
      docker.listContainers({
        all: true,
        filters: { label: [`${LABELS.installation}=${this.#installationId}`] },
        abortSignal,
      }),
    );
    return containers.flatMap((container) => {
      const spaceId = container.Labels[LABELS.space];
      if (spaceId === undefined || container.State === "removing") return [];
      return [{ spaceId, running: container.State === "running" }];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Connections to the daemon are of single requests; idle ones keep no process alive.
  }

  #find(spaceId: string): Promise<FoundContainer | undefined> {
    return findContainer(this.#engine, this.#installationId, spaceId);
  }

  /** A name is taken a moment before its container can be found. */
  async #appears(spaceId: string): Promise<boolean> {
    for (let pause = 5; pause < 5000; pause *= 2) {
      if ((await this.#find(spaceId)) !== undefined) return true;
      await delay(pause);
    }
    return false;
  }

  async #createWithImage(space: SpaceSpec, options: DriverCallOptions): Promise<void> {
    try {
      await this.#createContainer(space, options);
    } catch (error) {
      if (causeStatus(error) !== 404 || !/no such image|not found/i.test(reasonOf(error))) {
        throw error;
      }
      await pullImage(this.#engine, imageOf(space), options);
      await this.#createContainer(space, options);
    }
  }

  async #createContainer(space: SpaceSpec, { signal }: DriverCallOptions): Promise<void> {
    const { architecture } = await this.#engine.host();
    const options = containerOptions({
      space,
      installationId: this.#installationId,
      keeper: await ensureKeeper(space.stateDir, architecture),
      internalNetwork: internalNetworkName(this.#installationId),
    });
    try {
      await this.#engine.call(
        `create space "${space.name}"`,
        (docker, abortSignal) => docker.createContainer({ ...options, abortSignal }),
        { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal },
      );
    } catch (error) {
      const status = causeStatus(error);
      // The name is taken: another process made the same space, unless it is not ours.
      if (status === 409 && (await this.#appears(space.id))) return;
      if (/bind source path does not exist/i.test(reasonOf(error))) throw unseenFiles(error, space);
      if (status === 400) {
        throw new SpacesError(
          "INVALID_INPUT",
          `Docker refuses to create space "${space.name}": ${reasonOf(error)}.`,
          { cause: error },
        );
      }
      throw error;
    }
  }

  async #startContainer(
    space: SpaceSpec,
    containerId: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.#engine.call(
        `start space "${space.name}"`,
        (docker, abortSignal) => docker.getContainer(containerId).start({ abortSignal }),
        { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal },
      );
    } catch (error) {
      if (causeStatus(error) !== 304) throw error;
    }
  }
}

function vanished(space: SpaceSpec): SpacesError {
  return new SpacesError(
    "CONFLICT",
    `The container of space "${space.name}" was removed while it was being started.`,
  );
}

function unseenFiles(error: unknown, space: SpaceSpec): SpacesError {
  return new SpacesError(
    "DRIVER_FAILED",
    `Docker does not see the directories of space "${space.name}": ${reasonOf(error)}.`,
    {
      suggestion:
        "Use a Docker daemon on this machine, and keep the data directory where it may look.",
      cause: error,
    },
  );
}
