/**
 * The Docker driver: one container per space. Called by the engine through the `Driver` interface.
 */
import { SpacesError } from "../../contract/errors.js";
import { emptyDirectory } from "../../guest/empty-directory.js";
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
import { type Access, accessOf, agentProgram } from "./access.js";
import { type AgentState, awaitAgent, connectTo, endpointOf } from "./agent-access.js";
import { AgentPlace } from "./agent-place.js";
import { DockerConnection } from "./connection.js";
import { LABELS } from "./container-spec.js";
import { type FoundContainer, findContainer, removeContainer } from "./containers.js";
import { createContainer } from "./creation.js";
import { emptyInContainer } from "./empty-workspace.js";
import { DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";
import { causeStatus } from "./errors.js";
import { ensureKeeper } from "./keeper.js";
import { terminateAll } from "./kill.js";
import { removeUnusedNetworks } from "./network.js";
import { probeDocker } from "./probe.js";
import { agentError, endedAtOnce, isBroken, startContainer, vanished } from "./starting.js";

/** How long a container has for its end once its processes were asked to end. */
const STOP_SECONDS = { exec: 2, agent: 5 };
/** The agent needs milliseconds; the rest is for machines out of breath. */
const ANSWER_MS = 15_000;

/** For tests: what is otherwise decided by what the daemon is. */
export interface DockerDriverOptions {
  /** `exec`: new containers are made without the agent. */
  readonly access?: Access | undefined;
  /** Host path of a program to run in place of the agent. */
  readonly agent?: string | undefined;
  readonly answerMs?: number | undefined;
}

/** A driver on the Docker daemon that DOCKER_HOST names. Nothing is connected to until it is used. */
export function createDockerDriver(
  context: DriverContext,
  options: DockerDriverOptions = {},
): Driver {
  return new DockerDriver(context.installationId, options);
}

class DockerDriver implements Driver {
  readonly name = "docker";
  readonly features: DriverFeatures = {
    nativePrograms: true,
    images: true,
    network: ["open", "internal", "none"],
    limits: ["memoryBytes", "cpus", "pids"],
    streaming: true,
    pty: true,
    ports: true,
  };
  readonly #engine = new DockerEngine();
  readonly #installationId: string;
  readonly #options: DockerDriverOptions;

  constructor(installationId: string, options: DockerDriverOptions) {
    this.#installationId = installationId;
    this.#options = options;
  }

  probe(): Promise<ProbeResult> {
    return probeDocker(this.#engine);
  }

  async create(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    if ((await this.#find(space.id)) !== undefined) return;
    await this.#create(space, await this.#agentProgram(), options);
  }

  async start(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    let found = await this.#find(space.id);
    if (found === undefined) {
      await this.create(space, options);
      found = await this.#find(space.id);
    }
    if (found === undefined) throw vanished(space);
    if (found.access === "agent") await this.#startWithAgent(space, found, options);
    else await this.#startWithKeeper(space, found, options);
  }

  async connect(space: SpaceSpec): Promise<GuestConnection> {
    const found = await this.#findRunning(space);
    if (found.access === "exec") {
      return new DockerConnection(
        { engine: this.#engine, containerId: found.id, spaceName: space.name },
        space.workdir,
      );
    }
    const place = new AgentPlace(space.stateDir);
    const connect = () => connectTo(space, place, found, () => this.#find(space.id));
    try {
      return await connect();
    } catch (error) {
      if (!SpacesError.isInstance(error) || error.code !== "SPACE_NOT_RUNNING") throw error;
      // Started by another process just now, or behind our back.
      await this.#requireAgent(space, found);
      return await connect();
    }
  }

  async endpoint(space: SpaceSpec): Promise<AgentEndpoint | undefined> {
    const found = await this.#findRunning(space);
    if (found.access === "exec") return undefined;
    await this.#requireAgent(space, found);
    return endpointOf(new AgentPlace(space.stateDir), found);
  }

  async stop(space: SpaceSpec, options: DriverCallOptions = {}): Promise<void> {
    const found = await this.#find(space.id);
    if (found?.running !== true) return;
    if (found.access === "exec") {
      // Docker itself asks only the main process; the others would be killed unasked.
      await terminateAll({
        engine: this.#engine,
        containerId: found.id,
        spaceName: space.name,
      });
    }
    const t = STOP_SECONDS[found.access];
    try {
      await this.#engine.call(
        `stop space "${space.name}"`,
        (docker, abortSignal) => docker.getContainer(found.id).stop({ t, abortSignal }),
        { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal: options.signal },
      );
    } catch (error) {
      const status = causeStatus(error);
      if (status !== 304 && status !== 404) throw error;
    }
  }

  async emptyWorkspace(space: SpaceSpec): Promise<void> {
    const program = await agentProgram(this.#engine);
    if (program === undefined) await emptyDirectory(space.workspace);
    else await emptyInContainer(this.#engine, space, program);
  }

  async destroy(spaceId: string): Promise<void> {
    await removeContainer(this.#engine, this.#installationId, spaceId);
    await removeUnusedNetworks(this.#engine, this.#installationId);
  }

  async inspect(spaceId: string): Promise<DriverSpaceState | undefined> {
    const found = await this.#find(spaceId);
    return found && { spaceId, running: found.running, access: found.access };
  }

  async list(): Promise<readonly DriverSpaceState[]> {
    const containers = await this.#engine.call("list the spaces", (docker, abortSignal) =>
      docker.listContainers({
        all: true,
        filters: { label: [`${LABELS.installation}=${this.#installationId}`] },
        abortSignal,
      }),
    );
    return containers.flatMap(({ Labels, State }) => {
      const spaceId = Labels[LABELS.space];
      if (spaceId === undefined || State === "removing") return [];
      return [{ spaceId, running: State === "running", access: accessOf(Labels) }];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Connections to the daemon are of single requests; idle ones keep no process alive.
  }

  #find(spaceId: string): Promise<FoundContainer | undefined> {
    return findContainer(this.#engine, this.#installationId, spaceId);
  }

  async #findRunning(space: SpaceSpec): Promise<FoundContainer> {
    const found = await this.#find(space.id);
    if (found?.running === true) return found;
    throw new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" is not running.`);
  }

  async #agentProgram(): Promise<string | undefined> {
    if (this.#options.access === "exec") return undefined;
    return this.#options.agent ?? (await agentProgram(this.#engine));
  }

  async #create(
    space: SpaceSpec,
    agent: string | undefined,
    options: DriverCallOptions,
  ): Promise<void> {
    await createContainer({
      engine: this.#engine,
      installationId: this.#installationId,
      space,
      agent,
      ...options,
    });
  }

  async #startWithKeeper(
    space: SpaceSpec,
    found: FoundContainer,
    options: DriverCallOptions,
  ): Promise<void> {
    if (found.running) return;
    // Mounted by the container, so it must be there at each start.
    const { architecture } = await this.#engine.host();
    await ensureKeeper(space.stateDir, architecture);
    await this.#run(space, found.id, options.signal);
    const started = await this.#find(space.id);
    if (started?.running !== true) throw endedAtOnce(space, started?.exitCode);
  }

  async #startWithAgent(
    space: SpaceSpec,
    found: FoundContainer,
    options: DriverCallOptions,
  ): Promise<void> {
    const place = new AgentPlace(space.stateDir);
    const answered = await place.hasAnswered(found.id);
    if (found.running && answered) return;
    if (!found.running) {
      // Also brings the container the agent of this version.
      const program = await this.#agentProgram();
      if (program !== undefined) await place.prepare(program);
      await this.#run(space, found.id, options.signal);
    }
    const state = await this.#agentState(space, place, found, options.signal);
    if (state.kind === "answered") return await place.noteAnswer(found.id);
    if (answered || !isBroken(state)) throw agentError(space, state);
    // Nothing can have run in there yet: a container without the agent takes its place.
    options.onProgress?.(
      `${agentError(space, state).message} Its commands run by docker exec: without terminals, background processes and ports.`,
    );
    await removeContainer(this.#engine, this.#installationId, space.id);
    await this.#create(space, undefined, options);
    const plain = await this.#find(space.id);
    if (plain === undefined) throw vanished(space);
    await this.#startWithKeeper(space, plain, options);
  }

  #agentState(
    space: SpaceSpec,
    place: AgentPlace,
    container: FoundContainer,
    signal?: AbortSignal,
  ): Promise<AgentState> {
    const timeoutMs = this.#options.answerMs ?? ANSWER_MS;
    const find = () => this.#find(space.id);
    return awaitAgent({ space, place, container, find, timeoutMs, signal });
  }

  async #requireAgent(space: SpaceSpec, container: FoundContainer): Promise<void> {
    const state = await this.#agentState(space, new AgentPlace(space.stateDir), container);
    if (state.kind === "answered") return;
    if (state.kind === "silent") throw agentError(space, state);
    throw new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" is not running.`);
  }

  #run(space: SpaceSpec, containerId: string, signal: AbortSignal | undefined): Promise<void> {
    const engine = this.#engine;
    return startContainer({
      engine,
      installationId: this.#installationId,
      space,
      containerId,
      signal,
    });
  }
}
