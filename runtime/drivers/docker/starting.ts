/**
 * The start of a container, and the errors of what can go wrong with it. Called by the driver.
 */
import { SpacesError } from "../../contract/errors.js";
import type { SpaceSpec } from "../driver.js";
import type { AgentState } from "./agent-access.js";
import { type DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";
import { causeStatus, reasonOf } from "./errors.js";
import { reconnect } from "./network.js";

interface Start {
  readonly engine: DockerEngine;
  readonly installationId: string;
  readonly space: SpaceSpec;
  readonly containerId: string;
  readonly signal: AbortSignal | undefined;
}

/** Starts a container, unless it runs; one whose network was taken away joins it anew. */
export async function startContainer(start: Start): Promise<void> {
  try {
    await requestStart(start);
  } catch (error) {
    const { engine, installationId, space, containerId } = start;
    if (space.network !== "internal" || !/network .*not found/i.test(reasonOf(error))) throw error;
    await reconnect(engine, installationId, containerId, space);
    await requestStart(start);
  }
}

async function requestStart({ engine, space, containerId, signal }: Start): Promise<void> {
  try {
    await engine.call(
      `start space "${space.name}"`,
      (docker, abortSignal) => docker.getContainer(containerId).start({ abortSignal }),
      { timeoutMs: LIFECYCLE_TIMEOUT_MS, signal },
    );
  } catch (error) {
    if (causeStatus(error) !== 304) throw error;
  }
}

type Unanswered = Exclude<AgentState, { kind: "answered" }>;

/** Whether it is the agent that does not work here: it ends with 0 when asked to, by 137 if killed. */
export function isBroken(state: Unanswered): boolean {
  return state.kind === "silent" || (state.kind === "ended" && ![0, 137].includes(state.exitCode));
}

/** The error for an agent that did not come up. */
export function agentError(space: SpaceSpec, state: Unanswered): SpacesError {
  if (state.kind === "gone") return vanished(space);
  if (state.kind === "ended") return endedAtOnce(space, state.exitCode);
  return new SpacesError(
    "DRIVER_FAILED",
    `The agent of space "${space.name}" does not answer: ${state.reason.message}`,
    { cause: state.reason, suggestion: "Stop the space and start it again." },
  );
}

/** The error for a main process that did not stay. */
export function endedAtOnce(space: SpaceSpec, exitCode: number | undefined): SpacesError {
  return new SpacesError(
    "DRIVER_FAILED",
    `The container of space "${space.name}" ended as soon as it was started (exit code ${exitCode ?? "unknown"}).`,
    {
      suggestion:
        "Check that the directory of the space's state is not mounted noexec and that the user may run programs.",
    },
  );
}

/** The error for a container that another program took away. */
export function vanished(space: SpaceSpec): SpacesError {
  return new SpacesError(
    "CONFLICT",
    `The container of space "${space.name}" was removed while it was being started.`,
  );
}
