/** The port forwards of a space, as programs reach them: `space.ports`. */
import type { Forward } from "../contract/ports.js";
import type { CallOptions, Connection } from "./connection.js";

export interface ForwardOptions extends CallOptions {
  /** Port of this space's loopback that listens. */
  readonly localPort: number;
  /** The other space, or its id or name. */
  readonly remote: string | { readonly id: string };
  /** Port of the other space's loopback. */
  readonly remotePort: number;
}

export interface OpenPortOptions extends CallOptions {
  /** Port of this space's loopback. */
  readonly port: number;
  /** Port of 127.0.0.1 of the machine where the space lives; the same when absent. */
  readonly hostPort?: number | undefined;
}

export class SpacePorts {
  readonly #connection: Connection;
  readonly #space: string;

  constructor(connection: Connection, space: string) {
    this.#connection = connection;
    this.#space = space;
  }

  /**
   * Has a port of this space reach a port of another one; restarts of either change nothing.
   * @throws SpacesError `SPACE_NOT_RUNNING`, `PORT_IN_USE`, `UNSUPPORTED`
   */
  async forward(options: ForwardOptions): Promise<Forward> {
    const { signal, timeoutMs, remote, ...ports } = options;
    const to = typeof remote === "string" ? remote : remote.id;
    return await this.#connection.call(
      (client, call) => client.ports.forward({ space: this.#space, remote: to, ...ports }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Has a port of the machine where the space lives reach a port of this space.
   * @throws SpacesError `SPACE_NOT_RUNNING`, `PORT_IN_USE`, `UNSUPPORTED`
   */
  async open(options: OpenPortOptions): Promise<Forward> {
    const { signal, timeoutMs, ...ports } = options;
    return await this.#connection.call(
      (client, call) => client.ports.open({ space: this.#space, ...ports }, call),
      { signal, timeoutMs },
    );
  }

  /** The forwards that begin in this space, and the machine's that lead to it. */
  async list(options: CallOptions = {}): Promise<Forward[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.ports.list({ space: this.#space }, call),
      options,
    );
    return items;
  }

  /**
   * Ends the forward that begins at a port of this space.
   * @param options `host` ends the machine's that leads to it instead
   * @throws SpacesError `FORWARD_NOT_FOUND`
   */
  async stop(
    localPort: number,
    options: CallOptions & { readonly host?: boolean | undefined } = {},
  ): Promise<void> {
    const { signal, timeoutMs, ...rest } = options;
    await this.#connection.call(
      (client, call) => client.ports.stop({ space: this.#space, localPort, ...rest }, call),
      { signal, timeoutMs },
    );
  }
}
