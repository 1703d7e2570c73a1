/**
 * Makes a space's container, with whatever that needs: its image, its network, and the program that
 * is its main process. Called by the driver.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { DriverCallOptions, SpaceSpec } from "../driver.js";
import { AgentPlace } from "./agent-place.js";
import { containerOptions, imageOf, type MainProcess } from "./container-spec.js";
import { findContainer } from "./containers.js";
import { type DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";
import { causeStatus, reasonOf } from "./errors.js";
import { pullImage } from "./images.js";
import { ensureKeeper } from "./keeper.js";
import { checkLimits } from "./limits.js";
import { ensureInternalNetwork, internalNetworkName, removeUnusedNetworks } from "./network.js";

interface Creation extends DriverCallOptions {
  readonly engine: DockerEngine;
  readonly installationId: string;
  readonly space: SpaceSpec;
  /** Host path of the agent; without it commands get in by `docker exec`. */
  readonly agent: string | undefined;
}

/** Creates the container, stopped; one that another process has created meanwhile is as good. */
export async function createContainer(creation: Creation): Promise<void> {
  const { engine, installationId, space } = creation;
  await checkLimits(engine, space.resources);
  if (space.network === "internal") {
    await ensureInternalNetwork(engine, installationId, space.owner);
  }
  try {
    await createWithImage(creation);
  } catch (error) {
    if (space.network === "internal") await removeUnusedNetworks(engine, installationId);
    throw error;
  }
}

async function createWithImage(creation: Creation): Promise<void> {
  try {
    await create(creation);
  } catch (error) {
    if (causeStatus(error) !== 404 || !/no such image|not found/i.test(reasonOf(error))) {
      throw error;
    }
    await pullImage(creation.engine, imageOf(creation.space), creation);
    await create(creation);
  }
}

async function create(creation: Creation): Promise<void> {
  const { engine, installationId, space, signal } = creation;
  const options = containerOptions({
    space,
    installationId,
    main: await mainProcess(creation),
    internalNetwork: internalNetworkName(installationId, space.owner),
  });
  try {
    await engine.call(
      `create space "${space.name}"`,
      (docker, abortSignal) => docker.createContainer({ ...options, abortSignal }),
      { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal },
    );
  } catch (error) {
    const status = causeStatus(error);
    // The name is taken: another process made the same space, unless it is not ours.
    if (status === 409 && (await appears(creation))) return;
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

async function mainProcess({ engine, space, agent }: Creation): Promise<MainProcess> {
  if (agent === undefined) {
    const { architecture } = await engine.host();
    return { access: "exec", keeper: await ensureKeeper(space.stateDir, architecture) };
  }
  const place = new AgentPlace(space.stateDir);
  await place.prepare(agent);
  return { access: "agent", place, token: randomBytes(32).toString("hex") };
}

/** A name is taken a moment before its container can be found. */
async function appears({ engine, installationId, space }: Creation): Promise<boolean> {
  for (let pause = 5; pause < 5000; pause *= 2) {
    if ((await findContainer(engine, installationId, space.id)) !== undefined) return true;
    await delay(pause);
  }
  return false;
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
