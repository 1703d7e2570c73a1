/**
 * Keeps the number of connections bounded. Who only holds connections open cannot lock others out:
 * for a new one too many, the one that has idled longest is dropped, those that never asked anything
 * before those that did.
 */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Duplex } from "node:stream";

const SWEEP_MS = 1_000;

interface Held {
  busy: number;
  asked: boolean;
  /** Answers that have not been sent whole. */
  readonly answers: Set<ServerResponse>;
}

export class ConnectionGuard {
  readonly #most: number;
  readonly #silentMs: number;
  readonly #mostAsked: number;
  readonly #timer: NodeJS.Timeout;
  readonly #held = new Map<Duplex, Held>();
  /** In the order in which they became idle. */
  readonly #silent = new Map<Duplex, number>();
  readonly #idle = new Set<Duplex>();

  /**
   * @param most connections at once
   * @param silentMs milliseconds in which a connection must have asked something
   * @param mostAsked requests of one connection that may wait for their answers
   */
  constructor(most: number, silentMs: number, mostAsked: number) {
    this.#most = most;
    this.#silentMs = silentMs;
    this.#mostAsked = mostAsked;
    // Node's own time-out for headers begins with their first byte.
    this.#timer = setInterval(() => this.#dropSilent(), SWEEP_MS).unref();
  }

  get count(): number {
    return this.#held.size;
  }

  /** Watches the connections of a server. @param event the one that tells of a new connection */
  watch(server: Server, event: "connection" | "secureConnection"): void {
    server.on(event, (socket: Socket) => this.#add(socket));
  }

  /**
   * Notes that a request has begun on a connection; it ends with its response. A connection on which
   * too many wait for their answers is dropped: each of them costs memory until it is read.
   * @returns whether the request may be answered
   */
  begin(socket: Duplex, response: ServerResponse): boolean {
    // Requests that came together are told of together, also behind the one that was too many.
    if (socket.destroyed) return false;
    const held = this.#held.get(socket);
    if (held !== undefined && held.busy >= this.#mostAsked) {
      socket.destroy();
      return false;
    }
    this.hold(socket);
    held?.answers.add(response);
    response.once("close", () => {
      held?.answers.delete(response);
      this.#release(socket);
    });
    return true;
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

  /** Drops every connection; none is to come any more. */
  closeAll(): void {
    clearInterval(this.#timer);
    for (const socket of this.#held.keys()) socket.destroy();
  }

  #add(socket: Socket): void {
    if (this.#held.size >= this.#most && !this.#dropOldest()) {
      socket.destroy();
      return;
    }
    const answers = new Set<ServerResponse>();
    this.#held.set(socket, { busy: 0, asked: false, answers });
    this.#silent.set(socket, performance.now());
    socket.once("close", () => {
      this.#held.delete(socket);
      this.#silent.delete(socket);
      this.#idle.delete(socket);
      closeUnsent(answers);
    });
  }

  #release(socket: Duplex): void {
    const held = this.#held.get(socket);
    if (held === undefined) return;
    held.busy -= 1;
    if (held.busy === 0) this.#idle.add(socket);
  }

  #dropSilent(): void {
    const before = performance.now() - this.#silentMs;
    for (const [socket, since] of this.#silent) {
      if (since > before) return;
      this.#drop(socket);
    }
  }

  #dropOldest(): boolean {
    const [oldest] = this.#silent.size > 0 ? this.#silent.keys() : this.#idle;
    if (oldest === undefined) return false;
    this.#drop(oldest);
    return true;
  }

  #drop(socket: Duplex): void {
    this.#held.delete(socket);
    this.#silent.delete(socket);
    this.#idle.delete(socket);
    socket.destroy();
  }
}

/**
 * Tells the answers that wait behind another one on their connection that it has closed: Node tells only
 * the one that is being sent, and whatever the others hold would be held for ever.
 */
function closeUnsent(answers: ReadonlySet<ServerResponse>): void {
  for (const answer of [...answers]) {
    if (answer.socket !== null || answer.closed) continue;
    answer.destroy();
    answer.emit("close");
  }
}
