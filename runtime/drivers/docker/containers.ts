/**
 * Finding and removing the container of a space, whatever other processes do to it meanwhile.
 * Called by the driver.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import { type Access, accessOf } from "./access.js";
import { containerName, LABELS } from "./container-spec.js";
import { type DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";
import { causeStatus } from "./errors.js";

/** How long a removal by someone else is waited for. */
const REMOVAL_MS = 30_000;

export interface FoundContainer {
  readonly id: string;
  readonly running: boolean;
  readonly exitCode: number;
  /** Tells one start from the next. */
  readonly startedAt: string;
  readonly access: Access;
  /** What the container's programs are given, the agent's token among it. */
  readonly env: readonly string[];
  readonly hostname: string;
}

/**
 * The container of a space, or undefined. One that is being removed counts as gone once it is.
 * @throws SpacesError `CONFLICT` when a container that is not ours has its name.
 */
export async function findContainer(
  engine: DockerEngine,
  installationId: string,
  spaceId: string,
): Promise<FoundContainer | undefined> {
  const name = containerName(installationId, spaceId);
  for (let waited = 0, pause = 10; ; waited += pause, pause = Math.min(pause * 2, 500)) {
    const found = await inspectContainer(engine, name);
    if (found === undefined) return undefined;
    const labels = found.Config.Labels;
    if (labels[LABELS.installation] !== installationId || labels[LABELS.space] !== spaceId) {
      throw new SpacesError(
        "CONFLICT",
        `The container name "${name}" is taken by something else.`,
        {
          suggestion: `Rename or remove that container: \`docker rename ${name} <other>\`.`,
        },
      );
    }
    if (found.State.Status !== "removing" || waited > REMOVAL_MS) {
      return {
        id: found.Id,
        running: found.State.Running,
        exitCode: found.State.ExitCode,
        startedAt: found.State.StartedAt,
        access: accessOf(labels),
        env: found.Config.Env,
        hostname: found.Config.Hostname,
      };
    }
    await delay(pause);
  }
}

/** Kills and removes the container of a space, with volumes that its image declares. */
export async function removeContainer(
  engine: DockerEngine,
  installationId: string,
  spaceId: string,
): Promise<void> {
  const deadline = Date.now() + REMOVAL_MS;
  for (;;) {
    const found = await findContainer(engine, installationId, spaceId);
    if (found === undefined) return;
    try {
      await engine.call(
        `remove the container of space ${spaceId}`,
        (docker, abortSignal) =>
          docker.getContainer(found.id).remove({ force: true, v: true, abortSignal }),
        { timeoutMs: LIFECYCLE_TIMEOUT_MS },
      );
      return;
    } catch (error) {
      const status = causeStatus(error);
      if (status === 404) return;
      // Being removed or started by another process at this moment.
      if (status !== 409 || Date.now() > deadline) throw error;
      await delay(20);
    }
  }
}

async function inspectContainer(engine: DockerEngine, name: string) {
  try {
    return await engine.call(`inspect container "${name}"`, (docker, abortSignal) =>
      docker.getContainer(name).inspect({ abortSignal }),
    );
  } catch (error) {
    if (causeStatus(error) === 404) return undefined;
    throw error;
  }
}
