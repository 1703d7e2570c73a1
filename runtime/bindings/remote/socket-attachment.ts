/**
 * An attachment to a process over one WebSocket: bytes both ways as binary frames, everything else as
 * JSON in text frames. It goes on behind the bytes that have come when the connection breaks. The
 * remote binding opens it.
 */
import type { Agent } from "node:http";
import type { ServerAddress } from "../../config/server-address.js";
import { signalSchema } from "../../contract/processes.js";
import type { TerminalSize } from "../../drivers/driver.js";
import type { Attachment, AttachmentEvent, AttachOptions, AttachTarget } from "../attachment.js";
import { AttachmentQueue } from "./attachment-queue.js";
import { AttachmentSocket, type ControlMessage } from "./attachment-socket.js";
import { type RemoteFailure, spacesErrorOf } from "./failures.js";
import { resumable } from "./follow.js";
import { checkPathValue } from "./path-values.js";
import { Resumption } from "./resumption.js";

/** Bytes of input in one frame. */
const FRAME_BYTES = 256 * 1024;

export interface SocketAttachmentOptions {
  readonly address: ServerAddress;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectTimeoutMs: number;
  readonly resumeMs: number;
  readonly onRetry: (failure: RemoteFailure) => void;
  readonly onReleased: (attachment: Attachment) => void;
}

/**
 * Attaches to a process of a server.
 * @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`, `SERVER_UNREACHABLE`
 */
export async function attachSocket(
  target: AttachTarget,
  options: AttachOptions,
  connection: SocketAttachmentOptions,
): Promise<Attachment> {
  checkPathValue("space", target.space);
  checkPathValue("process", target.process);
  const attachment = new SocketAttachment(target, options, connection);
  await attachment.open();
  return attachment;
}

class SocketAttachment implements Attachment {
  readonly #target: AttachTarget;
  readonly #connection: SocketAttachmentOptions;
  readonly #signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #seen: { stdout: number; stderr: number };
  readonly #queue: AttachmentQueue;
  readonly #resumption: Resumption;
  /** The connection, or the next one while there is none. */
  #socket: Promise<AttachmentSocket>;
  #open: AttachmentSocket | undefined;
  #ended = false;
  readonly events: AsyncIterable<AttachmentEvent>;

  constructor(target: AttachTarget, options: AttachOptions, connection: SocketAttachmentOptions) {
    this.#target = target;
    this.#connection = connection;
    const { stdoutOffset = 0, stderrOffset = 0, signal } = options;
    this.#seen = { stdout: stdoutOffset, stderr: stderrOffset };
    this.#signal =
      signal === undefined ? this.#over.signal : AbortSignal.any([signal, this.#over.signal]);
    this.#queue = new AttachmentQueue(() => void this.#resumeReading());
    this.#resumption = new Resumption({
      giveUpAfterMs: connection.resumeMs,
      signal: this.#signal,
      onRetry: connection.onRetry,
    });
    this.events = this.#queue.events();
    this.#signal.addEventListener("abort", () => this.#onAbort(), { once: true });
    this.#socket = this.#connect();
    this.#socket.catch(() => undefined);
  }

  async open(): Promise<void> {
    try {
      await this.#socket;
    } catch (failure) {
      throw spacesErrorOf(failure);
    }
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += FRAME_BYTES) {
      await this.#send(data.subarray(at, at + FRAME_BYTES));
    }
  }

  closeInput(): Promise<void> {
    return this.#send({ type: "close-input" });
  }

  resize({ columns, rows }: TerminalSize): Promise<void> {
    return this.#send({ type: "resize", columns, rows });
  }

  signal(name: string): Promise<void> {
    return this.#send({ type: "signal", signal: signalSchema.parse(name) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#queue.end();
    this.#connection.onReleased(this);
    await this.#open?.close();
    this.#over.abort();
    // One that was being opened is let go by the signal.
    await this.#socket.catch(() => undefined);
  }

  /** Sends over this connection, or over the next when it has broken before all had left. */
  async #send(frame: Uint8Array | ControlMessage): Promise<void> {
    for (;;) {
      let socket: AttachmentSocket;
      try {
        socket = await this.#socket;
      } catch (failure) {
        throw spacesErrorOf(failure);
      }
      // A process that has ended takes nothing more, and how it ended is told by the events.
      if (this.#ended || (await socket.send(frame))) return;
      await socket.closed;
    }
  }

  async #connect(): Promise<AttachmentSocket> {
    for (;;) {
      try {
        const socket = await AttachmentSocket.open({
          ...this.#connection,
          target: this.#target,
          offsets: this.#seen,
          signal: this.#signal,
          onEvent: (event) => this.#onEvent(event),
        });
        this.#resumption.succeeded();
        if (this.#queue.isFull) socket.pause();
        this.#open = socket;
        void socket.closed.then((failure) => this.#onClosed(failure));
        return socket;
      } catch (failure) {
        await this.#resumption.pauseAfter(failure);
      }
    }
  }

  #onEvent(event: AttachmentEvent): void {
    if (this.#ended) return;
    if (event.type === "exit") {
      this.#ended = true;
    } else if (event.type === "lost") {
      this.#seen[event.stream] += event.bytes;
    } else {
      this.#seen[event.type] = event.offset + event.data.length;
    }
    this.#queue.push(event);
    if (this.#ended) this.#queue.end();
    if (this.#queue.isFull) void this.#pauseReading();
  }

  /** Goes on over a new connection, where that can help. */
  #onClosed(failure: unknown): void {
    this.#open = undefined;
    if (this.#ended) return;
    const next = this.#resumption
      .pauseAfter(resumable(failure, this.#signal))
      .then(() => this.#connect());
    this.#socket = next;
    next.catch((error: unknown) => {
      this.#ended = true;
      this.#queue.fail(spacesErrorOf(error));
    });
  }

  #onAbort(): void {
    void this.#socket.then(
      (socket) => socket.terminate(),
      () => undefined,
    );
  }

  async #pauseReading(): Promise<void> {
    const socket = await this.#socket.catch(() => undefined);
    if (this.#queue.isFull) socket?.pause();
  }

  async #resumeReading(): Promise<void> {
    const socket = await this.#socket.catch(() => undefined);
    if (!this.#queue.isFull) socket?.resume();
  }
}
