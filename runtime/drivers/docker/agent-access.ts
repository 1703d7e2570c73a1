/**
 * The way into a container by its agent: waiting until it answers, and what is known of it from the
 * container itself. Called by the driver.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import { connectAgent } from "../agent-connection.js";
import type { AgentEndpoint, GuestConnection, SpaceSpec } from "../driver.js";
import type { AgentPlace } from "./agent-place.js";
import { TOKEN_VARIABLE } from "./container-spec.js";
import type { FoundContainer } from "./containers.js";

/** What Docker gives to programs of an image that says nothing of its own. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** The agent dies a moment before its container counts as dead. */
const END_SHOWS_MS = 2000;
const LOOK_EVERY_MS = 50;

/** Finds the container anew; undefined once it is gone. */
type Find = () => Promise<FoundContainer | undefined>;

interface Waiting {
  readonly space: SpaceSpec;
  readonly place: AgentPlace;
  readonly container: FoundContainer;
  readonly find: Find;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** `silent`: no answer, though the container runs; `ended` and `gone`: the container does not. */
export type AgentState =
  | { readonly kind: "answered" }
  | { readonly kind: "gone" }
  | { readonly kind: "silent"; readonly reason: SpacesError }
  | { readonly kind: "ended"; readonly exitCode: number };

/** Where the agent listens, and its token: the container's own copy is the only one. */
export function endpointOf(place: AgentPlace, container: FoundContainer): AgentEndpoint {
  const start = `${TOKEN_VARIABLE}=`;
  // Last of all, where an image or a template has a variable of this name too.
  const variable = container.env.findLast((entry) => entry.startsWith(start));
  return { socket: place.socket, token: variable?.slice(start.length) ?? "" };
}

/** Waits until the agent answers or its container ends. Throws `CANCELLED` for the signal. */
export async function awaitAgent(waiting: Waiting): Promise<AgentState> {
  const { space, place, container, find, timeoutMs, signal } = waiting;
  const deadline = Date.now() + timeoutMs;
  const endpoint = endpointOf(place, container);
  for (let pause = 1, looked = Date.now(); ; pause = Math.min(pause * 1.5, 25)) {
    if (signal?.aborted === true) {
      throw new SpacesError("CANCELLED", `The start of space "${space.name}" was cancelled.`);
    }
    await place.adopt();
    const reason = await refusalOf(endpoint, space);
    if (reason === undefined) {
      await place.seal();
      return { kind: "answered" };
    }
    if (Date.now() - looked > LOOK_EVERY_MS) {
      const found = await find();
      if (found?.id !== container.id) return { kind: "gone" };
      if (!found.running) return { kind: "ended", exitCode: found.exitCode };
      looked = Date.now();
    }
    if (Date.now() > deadline) return { kind: "silent", reason };
    await delay(pause);
  }
}

/** Connects to an agent that answers. */
export function connectTo(
  space: SpaceSpec,
  place: AgentPlace,
  container: FoundContainer,
  find: Find,
): Promise<GuestConnection> {
  return connectAgent(endpointOf(place, container), space, {
    env: environmentOf(container),
    explainLoss: async () => await lossError(space, container, find),
  });
}

async function refusalOf(
  endpoint: AgentEndpoint,
  space: SpaceSpec,
): Promise<SpacesError | undefined> {
  try {
    await using _ = await connectAgent(endpoint, space);
    return undefined;
  } catch (error) {
    if (SpacesError.isInstance(error)) return error;
    throw error;
  }
}

/** What Docker itself gives to a program of the container, without the agent's secret. */
function environmentOf({ env, hostname }: FoundContainer): Record<string, string> {
  const result: Record<string, string> = { PATH: DEFAULT_PATH, HOSTNAME: hostname };
  for (const entry of env) {
    const at = entry.indexOf("=");
    if (at > 0) result[entry.slice(0, at)] = entry.slice(at + 1);
  }
  delete result[TOKEN_VARIABLE];
  return result;
}

async function lossError(
  space: SpaceSpec,
  container: FoundContainer,
  find: Find,
): Promise<SpacesError> {
  const deadline = Date.now() + END_SHOWS_MS;
  for (let pause = 5; Date.now() < deadline; pause = Math.min(pause * 2, 200)) {
    const found = await find();
    if (!found?.running || found.id !== container.id || found.startedAt !== container.startedAt) {
      return new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" has stopped.`, {
        suggestion: "Start the space again.",
      });
    }
    await delay(pause);
  }
  return new SpacesError(
    "DRIVER_FAILED",
    `The agent of space "${space.name}" has hung up, though the container still runs.`,
    { suggestion: `Restart the space: \`spaces restart ${space.name}\`.` },
  );
}
