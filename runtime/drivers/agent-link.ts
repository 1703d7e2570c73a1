/**
 * One session with a space's agent over its unix socket, which knows how it ended. Opened by the
 * agent connection.
 */
import type { Socket } from "node:net";
import { SpacesError } from "../contract/errors.js";
import { GuestSession } from "../guest/guest-session.js";
import { connectSocket } from "./agent-socket.js";
import type { AgentEndpoint, SpaceSpec } from "./driver.js";

export class AgentLink {
  readonly session: GuestSession;
  readonly #explainLoss: () => Promise<SpacesError>;
  readonly #wasHungUp: () => boolean;
  #loss: Promise<SpacesError> | undefined;

  private constructor(
    session: GuestSession,
    wasHungUp: () => boolean,
    explainLoss: () => Promise<SpacesError>,
  ) {
    this.session = session;
    this.#wasHungUp = wasHungUp;
    this.#explainLoss = explainLoss;
  }

  /**
   * Opens a session.
   * @param explainLoss gives the error of what is under way when the agent hangs up
   * @throws SpacesError `SPACE_NOT_RUNNING` when nobody listens, `DRIVER_FAILED` when what listens
   *   is not the agent
   */
  static async open(
    endpoint: AgentEndpoint,
    space: SpaceSpec,
    explainLoss = async () => ended(space),
  ): Promise<AgentLink> {
    const socket = await dial(endpoint.socket, space);
    // Seen before the session sees it, and not when the session itself hangs up.
    let hungUp = false;
    const note = () => {
      hungUp = true;
    };
    socket.once("end", note).once("error", note);
    const session = await GuestSession.open(socket, {
      token: Buffer.from(endpoint.token, "hex"),
    });
    return new AgentLink(session, () => hungUp, explainLoss);
  }

  /** What an error of the session means: an agent that hung up takes all its answers with it. */
  async explain(error: unknown): Promise<unknown> {
    if (!this.#wasHungUp() || this.session.open) return error;
    if (!SpacesError.isInstance(error) || error.code !== "DRIVER_FAILED") return error;
    this.#loss ??= this.#explainLoss();
    return await this.#loss;
  }
}

async function dial(path: string, space: SpaceSpec): Promise<Socket> {
  try {
    return await connectSocket(path);
  } catch (cause) {
    throw noAnswer(space, cause);
  }
}

function noAnswer(space: SpaceSpec, cause: unknown): SpacesError {
  return new SpacesError("SPACE_NOT_RUNNING", `The agent of "${space.name}" does not answer.`, {
    cause,
    suggestion: "Start the space again.",
  });
}

function ended(space: SpaceSpec): SpacesError {
  return new SpacesError("SPACE_NOT_RUNNING", `The space "${space.name}" has ended.`, {
    suggestion: "Start the space again.",
  });
}
