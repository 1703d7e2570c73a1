/**
 * The client of the relay, the background process that carries port forwards between spaces. Used
 * by the engine, which keeps the forwards and opens them again whenever a space starts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../contract/errors.js";
import { exchange } from "./relay-connection.js";
import { openError } from "./relay-errors.js";
import { launchRelay, type RelayLaunch } from "./relay-launch.js";
import {
  Command,
  decodeForwards,
  decodeNumber,
  encodeForward,
  encodeId,
  encodePath,
  type RelayForward,
  type RelayForwardRequest,
  type Reply,
  Status,
} from "./relay-protocol.js";

/** One relay may end while the next starts; each round takes a few milliseconds. */
const START_MS = 10_000;
const ROUND_MS = 20;

export type { GuestEndpoint, HostEndpoint } from "./relay-protocol.js";
export type { RelayForward, RelayForwardRequest };
export type RelayClientOptions = RelayLaunch;

/** Talks to the one relay of a control socket, and starts it when something is to be opened. */
export class RelayClient {
  readonly #launch: RelayLaunch;

  /**
   * @param options `controlSocket` names the relay: all clients of one installation give the same
   *   absolute path, in a directory that nobody but this user can write to
   */
  constructor(options: RelayClientOptions) {
    if (!options.controlSocket.startsWith("/")) {
      const message = `The relay's control socket must be an absolute path, unlike ${JSON.stringify(options.controlSocket)}.`;
      throw new SpacesError("INVALID_INPUT", message);
    }
    this.#launch = options;
  }

  /**
   * Opens a forward and gives the port that it listens on. A forward of the same id is kept when it
   * listens there already (its remote may change), and replaced otherwise. Starts the relay if
   * there is none. When it was cancelled, the forward may be open nevertheless: close it.
   * @throws SpacesError `PORT_IN_USE`, `INVALID_INPUT`, `LIMIT_EXCEEDED`, `CONFLICT` (closed
   *   meanwhile), `DRIVER_FAILED` (the space's agent or the relay), `DRIVER_UNAVAILABLE`, `CANCELLED`
   */
  async open(
    request: RelayForwardRequest,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<{ readonly port: number }> {
    const payload = encodeForward(request);
    const reply = await this.#insist(Command.open, payload, options.signal);
    if (reply.status === Status.failed) throw openError(request, decodeNumber(reply.payload));
    return { port: decodeNumber(checked(reply)) };
  }

  /**
   * Closes a forward and ends its connections. False when there is no such forward.
   * @throws SpacesError `INVALID_INPUT`, `DRIVER_FAILED`
   */
  async close(id: string): Promise<boolean> {
    const reply = await this.#ask(Command.close, encodeId(id));
    return reply !== undefined && decodeNumber(checked(reply)) === 1;
  }

  /**
   * Closes all forwards from and to the space of this agent socket, and gives how many there were.
   * @throws SpacesError `INVALID_INPUT`, `DRIVER_FAILED`
   */
  async closeSpace(socket: string): Promise<number> {
    const reply = await this.#ask(Command.closeSpace, encodePath(socket));
    return reply === undefined ? 0 : decodeNumber(checked(reply));
  }

  /** All forwards that the relay has; none without a relay. @throws SpacesError `DRIVER_FAILED` */
  async list(): Promise<RelayForward[]> {
    const reply = await this.#ask(Command.list);
    return reply === undefined ? [] : decodeForwards(checked(reply));
  }

  /** The relay's process id, or undefined without a relay. @throws SpacesError `DRIVER_FAILED` */
  async ping(): Promise<number | undefined> {
    const reply = await this.#ask(Command.ping);
    return reply === undefined ? undefined : decodeNumber(checked(reply));
  }

  /** Ends the relay and with it all forwards. @throws SpacesError `DRIVER_FAILED` */
  async shutdown(): Promise<void> {
    const reply = await this.#ask(Command.shutdown);
    if (reply !== undefined) checked(reply);
  }

  #ask(command: number, payload: Buffer = Buffer.alloc(0)): Promise<Reply | undefined> {
    return exchange(this.#launch.controlSocket, command, payload);
  }

  /** Asks until a relay answers. A relay that ends just now has not done what it did not answer. */
  async #insist(command: number, payload: Buffer, signal: AbortSignal | undefined): Promise<Reply> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      const reply = await exchange(this.#launch.controlSocket, command, payload, signal);
      if (reply !== undefined) return reply;
      if (Date.now() > deadline) throw silent(this.#launch.controlSocket);
      await launchRelay(this.#launch);
      const started = await exchange(this.#launch.controlSocket, command, payload, signal);
      if (started !== undefined) return started;
      await delay(ROUND_MS);
    }
  }
}

function checked(reply: Reply): Buffer {
  if (reply.status === Status.done) return reply.payload;
  if (reply.status === Status.otherVersion) {
    throw new SpacesError("DRIVER_FAILED", "The relay of port forwards is of another version.", {
      suggestion: "End it: the next forward starts the one of this version.",
    });
  }
  throw new SpacesError("DRIVER_FAILED", "The relay of port forwards refused the command.");
}

function silent(controlSocket: string): SpacesError {
  return new SpacesError(
    "DRIVER_FAILED",
    `No relay of port forwards answers at ${controlSocket}.`,
    {
      suggestion: "End processes that hold the lock file beside that socket, and try again.",
    },
  );
}
