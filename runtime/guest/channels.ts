/**
 * All connections and listeners of one session on the space's loopback. Used by the session, which
 * hands it the frames about them.
 */
import type { Duplex } from "node:stream";
import { SpacesError } from "../contract/errors.js";
import { type FrameReader, FrameWriter, protocolError } from "./frames.js";
import { GuestChannel } from "./guest-channel.js";
import { ANSWER_MS } from "./pending.js";
import { ACCEPTED_BIT, Answer, errnoName, LIMITS, Request } from "./protocol.js";

/** A port of the space's loopback on which connections are taken. */
export interface GuestListener extends AsyncDisposable {
  /** The port; the one that was chosen when 0 was asked for. */
  readonly port: number;
  /** Whether it listens on ::1 too. */
  readonly ipv6: boolean;
  /** Takes no more connections. Those that are open stay. */
  close(): Promise<void>;
}

interface Opening {
  readonly port: number;
  readonly resolve: (channel: GuestChannel) => void;
  readonly reject: (error: SpacesError) => void;
}

interface Listening {
  readonly port: number;
  readonly onConnection: (connection: Duplex) => void;
  readonly resolve: (listener: GuestListener) => void;
  readonly reject: (error: SpacesError) => void;
  open: boolean;
}

export class Channels {
  readonly #send: (frame: FrameWriter) => void;
  readonly #channels = new Map<number, GuestChannel>();
  readonly #openings = new Map<number, Opening>();
  readonly #listeners = new Map<number, Listening>();
  #lastId = 0;
  #lastAccepted = ACCEPTED_BIT - 1;

  constructor(send: (frame: FrameWriter) => void) {
    this.#send = send;
  }

  /** See `GuestSession.connect`. */
  connect(port: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<GuestChannel> {
    if (this.#channels.size + this.#openings.size >= LIMITS.channels) {
      throw new SpacesError("LIMIT_EXCEEDED", `${LIMITS.channels} connections are open already.`);
    }
    const id = this.#nextId();
    return new Promise((resolve, reject) => {
      const abandon = (error: SpacesError) => {
        if (!this.#openings.has(id)) return;
        this.#send(new FrameWriter(Request.reset).u32(id));
        settle();
        reject(error);
      };
      const timer = setTimeout(
        () => abandon(connectError(port, `no answer in ${Math.round(timeoutMs / 1000)} s`)),
        timeoutMs,
      );
      const onAbort = () =>
        abandon(new SpacesError("CANCELLED", `Connecting to port ${port} was cancelled.`));
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#openings.delete(id);
      };
      signal?.addEventListener("abort", onAbort);
      this.#openings.set(id, {
        port,
        resolve: (channel) => {
          settle();
          resolve(channel);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#send(new FrameWriter(Request.connect).u32(id).u16(port).u32(LIMITS.windowBytes));
    });
  }

  /** See `GuestSession.listen`. */
  listen(port: number, onConnection: (connection: Duplex) => void): Promise<GuestListener> {
    const id = this.#nextId();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(id);
        this.#send(new FrameWriter(Request.unlisten).u32(id));
        reject(listenError(port, "no answer"));
      }, ANSWER_MS);
      const settled = {
        resolve: (listener: GuestListener) => {
          clearTimeout(timer);
          resolve(listener);
        },
        reject: (error: SpacesError) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#listeners.set(id, { port, onConnection, ...settled, open: false });
      this.#send(new FrameWriter(Request.listen).u32(id).u16(port).u32(LIMITS.windowBytes));
    });
  }

  /** Takes a frame about a channel; false when it is about something else. */
  handle(type: number, fields: FrameReader): boolean {
    switch (type) {
      case Answer.connected:
        this.#onConnected(fields.u32());
        return true;
      case Answer.netError:
        this.#onNetError(fields.u32(), fields.u32());
        return true;
      case Answer.listening:
        this.#onListening(fields.u32(), fields.u16(), fields.u8());
        return true;
      case Answer.accepted:
        this.#onAccepted(fields.u32(), fields.u32());
        return true;
      case Answer.data:
        this.#find(fields.u32())?.onData(fields.rest());
        return true;
      case Answer.channelCredit:
        this.#find(fields.u32())?.onCredit(fields.u32());
        return true;
      case Answer.eof:
        this.#find(fields.u32())?.onEof();
        return true;
      case Answer.reset:
        this.#onReset(fields.u32());
        return true;
      default:
        return false;
    }
  }

  /** Ends everything with this error. */
  fail(error: SpacesError): void {
    for (const opening of [...this.#openings.values()]) opening.reject(error);
    for (const listening of this.#listeners.values()) listening.reject(error);
    this.#listeners.clear();
    for (const channel of [...this.#channels.values()]) channel.onLost(error);
    this.#channels.clear();
  }

  #nextId(): number {
    this.#lastId += 1;
    if (this.#lastId >= ACCEPTED_BIT) {
      throw new SpacesError("LIMIT_EXCEEDED", "This session has used up its connection numbers.");
    }
    return this.#lastId;
  }

  /** A channel by number; undefined for one that was closed here while the frame was on its way. */
  #find(id: number): GuestChannel | undefined {
    const channel = this.#channels.get(id);
    if (channel !== undefined) return channel;
    const known = id >= ACCEPTED_BIT ? id <= this.#lastAccepted : id > 0 && id <= this.#lastId;
    if (!known || this.#openings.has(id)) throw protocolError(`the connection ${id}`);
    return undefined;
  }

  #add(id: number): GuestChannel {
    const channel = new GuestChannel(id, {
      grant: (number, bytes) =>
        this.#send(new FrameWriter(Request.channelCredit).u32(number).u32(bytes)),
      data: (number, bytes) => this.#send(new FrameWriter(Request.data).u32(number).bytes(bytes)),
      eof: (number) => this.#send(new FrameWriter(Request.eof).u32(number)),
      reset: (number) => this.#send(new FrameWriter(Request.reset).u32(number)),
      forget: (number) => this.#channels.delete(number),
    });
    this.#channels.set(id, channel);
    return channel;
  }

  #onConnected(id: number): void {
    const opening = this.#openings.get(id);
    if (opening !== undefined) opening.resolve(this.#add(id));
    // One that was given up meanwhile: its RESET is on the way.
    else if (id === 0 || id > this.#lastId || this.#channels.has(id)) {
      throw protocolError(`the connection ${id}`);
    }
  }

  #onNetError(id: number, errno: number): void {
    const reason = errnoName(errno);
    const listening = this.#listeners.get(id);
    if (listening !== undefined && !listening.open) {
      this.#listeners.delete(id);
      listening.reject(listenError(listening.port, reason));
      return;
    }
    const opening = this.#openings.get(id);
    if (opening !== undefined) opening.reject(connectError(opening.port, reason));
    else if (id === 0 || id > this.#lastId || listening !== undefined || this.#channels.has(id)) {
      throw protocolError(`a failure of ${id}`);
    }
  }

  #onListening(id: number, port: number, addresses: number): void {
    const listening = this.#listeners.get(id);
    if (listening === undefined || listening.open) throw protocolError(`the listener ${id}`);
    if (listening.port !== 0 && port !== listening.port) throw protocolError(`the port ${port}`);
    listening.open = true;
    const close = async () => {
      if (!this.#listeners.delete(id)) return;
      this.#send(new FrameWriter(Request.unlisten).u32(id));
    };
    listening.resolve({ port, ipv6: addresses > 1, close, [Symbol.asyncDispose]: close });
  }

  #onAccepted(listenerId: number, id: number): void {
    if (id < ACCEPTED_BIT || id <= this.#lastAccepted) throw protocolError(`the connection ${id}`);
    if (this.#channels.size >= LIMITS.channels) throw protocolError("too many connections");
    this.#lastAccepted = id;
    const listening = this.#listeners.get(listenerId);
    if (listening?.open === true) {
      listening.onConnection(this.#add(id));
      return;
    }
    if (listening !== undefined || listenerId === 0 || listenerId > this.#lastId) {
      throw protocolError(`the listener ${listenerId}`);
    }
    // The listener was closed here while the connection was on its way.
    this.#send(new FrameWriter(Request.reset).u32(id));
  }

  #onReset(id: number): void {
    const channel = this.#find(id);
    if (channel === undefined) return;
    this.#channels.delete(id);
    const error: NodeJS.ErrnoException = new Error("The connection was reset in the space.");
    error.code = "ECONNRESET";
    channel.onLost(error);
  }
}

function connectError(port: number, reason: string): SpacesError {
  return new SpacesError(
    "DRIVER_FAILED",
    `Cannot connect to port ${port} in the space: ${reason}.`,
    {
      suggestion: `Check that something listens on port ${port} of the space's loopback.`,
      details: { port, errno: reason },
    },
  );
}

function listenError(port: number, reason: string): SpacesError {
  if (reason === "EADDRINUSE") {
    return new SpacesError("PORT_IN_USE", `Port ${port} of the space is in use.`, {
      details: { port },
    });
  }
  return new SpacesError(
    "DRIVER_FAILED",
    `Cannot listen on port ${port} in the space: ${reason}.`,
    {
      suggestion:
        reason === "EACCES"
          ? "Ports below 1024 need privileges: choose a higher one."
          : "Choose another port.",
      details: { port, errno: reason },
    },
  );
}
