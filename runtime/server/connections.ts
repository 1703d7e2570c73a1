/**
 * Keeps the number of connections bounded. Who only holds connections open cannot lock others out:
 * for a new one too many, the one that has idled longest is dropped, those that never asked anything
 * before those that did.
 */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

interface Held {
  busy: number;
  asked: boolean;
}

export class ConnectionGuard {
  readonly #most: number;
  readonly #held = new Map<Duplex, Held>();
  /** In the order in which they became idle. */
  readonly #silent = new Set<Duplex>();
  readonly #idle = new Set<Duplex>();

  /** @param most connections at once */
  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#held.size;
  }

  /** Watches the connections of a server. @param event the one that tells of a new connection */
  watch(server: Server, event: "connection" | "secureConnection"): void {
    server.on(event, (socket: Socket) => this.#add(socket));
  }

  /** Notes that a request has begun on a connection; it ends with its response. */
  begin(socket: Duplex, response: ServerResponse): void {
    this.hold(socket);
    response.once("close", () => this.#release(socket));
  }

  /** Notes that a connection is in use until it closes. */
  hold(socket: Duplex): void {
    const held = this.#held.get(socket);
    if (held === undefined) return;
    held.busy += 1;
    held.asked = true;
    this.#silent.delete(socket);
    this.#idle.delete(socket);
  }

  /** Drops every connection. */
  closeAll(): void {
    for (const socket of this.#held.keys()) socket.destroy();
  }

  #add(socket: Socket): void {
    if (this.#held.size >= this.#most && !this.#dropOldest()) {
      socket.destroy();
      return;
    }
    this.#held.set(socket, { busy: 0, asked: false });
    this.#silent.add(socket);
    socket.once("close", () => {
      this.#held.delete(socket);
      this.#silent.delete(socket);
      this.#idle.delete(socket);
    });
  }

  #release(socket: Duplex): void {
    const held = this.#held.get(socket);
    if (held === undefined) return;
    held.busy -= 1;
    if (held.busy === 0) this.#idle.add(socket);
  }

  #dropOldest(): boolean {
    const [oldest] = this.#silent.size > 0 ? this.#silent : this.#idle;
    if (oldest === undefined) return false;
    this.#held.delete(oldest);
    this.#silent.delete(oldest);
    this.#idle.delete(oldest);
    oldest.destroy();
    return true;
  }
}
