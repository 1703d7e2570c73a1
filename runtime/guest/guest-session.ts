/**
 * A host's session with the agent of one space, over any duplex stream. Drivers open it; everything
 * that comes from the guest is taken as hostile, and what breaks the protocol ends the session.
 */
import type { Duplex } from "node:stream";
import { SpacesError } from "../contract/errors.js";
import { Channels, type GuestListener } from "./channels.js";
import {
  FrameParser,
  FrameReader,
  FrameWriter,
  type HelloAnswer,
  protocolError,
} from "./frames.js";
import type { GuestChannel } from "./guest-channel.js";
import type { GuestAgentProcess } from "./guest-process.js";
import { type GuestSessionOptions, introduce } from "./handshake.js";
import { ANSWER_MS, PendingQuestions } from "./pending.js";
import { type AttachOptions, type CallOptions, Processes } from "./processes.js";
import { Answer, errnoName, LIMITS, Request } from "./protocol.js";
import { asSpacesError, cancelled, lostError, Refusal } from "./session-errors.js";
import type { GuestProcessInfo, GuestSpawnRequest } from "./spawn-request.js";

const GOODBYE_MS = 1_000;
const END_MS = 10_000;

/** See the file's head. Many calls may be under way at once. */
export class GuestSession implements AsyncDisposable {
  /** Version and abilities of the agent, as it claims. */
  readonly agent: HelloAnswer;
  /** Resolves when the session has ended, by `close` or by a failure; never rejects. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #questions = new PendingQuestions((error) => this.#end(error));
  readonly #processes = new Processes(
    {
      write: (bytes) => this.#write(bytes),
      requireOpen: () => this.#requireOpen(),
      isOpen: () => this.open,
    },
    this.#questions,
  );
  readonly #channels = new Channels((frame) => this.#send(frame));
  readonly #parser = new FrameParser((type, payload) => this.#onFrame(type, payload));
  #failure: SpacesError | undefined;
  #markClosed: () => void = () => undefined;

  private constructor(stream: Duplex, agent: HelloAnswer) {
    this.#stream = stream;
    this.agent = agent;
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
  }

  /**
   * Opens a session over a stream to the agent: a unix socket, or the agent's stdin and stdout. The
   * session owns the stream from here on.
   * @throws SpacesError `DRIVER_FAILED` when the agent does not answer as one, `CANCELLED`.
   */
  static async open(stream: Duplex, options: GuestSessionOptions): Promise<GuestSession> {
    try {
      const { answer, rest } = await introduce(stream, options);
      const session = new GuestSession(stream, answer);
      session.#listen(rest);
      session.#showLife(options.leaseSeconds ?? 0);
      return session;
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  /** Whether calls can still be made. */
  get open(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Starts a program. `signal` kills it and what it started when it fires, also later.
   * @throws SpacesError `COMMAND_NOT_FOUND`, `INVALID_INPUT` (bad workdir, user or strings),
   *   `LIMIT_EXCEEDED` (processes, memory), `CONFLICT` (id in use), `CANCELLED`, `DRIVER_FAILED`.
   */
  spawn(request: GuestSpawnRequest, options: CallOptions = {}): Promise<GuestAgentProcess> {
    return this.#processes.spawn(request, options);
  }

  /**
   * Attaches to a process by its id, also one that has ended: its output from an offset on, its exit.
   * `lost` says how many bytes were asked for that are no longer kept.
   * @throws SpacesError `PROCESS_NOT_FOUND` when there is no such process, `CONFLICT` when this session
   *   has it already, `LIMIT_EXCEEDED` when too many have.
   */
  attach(id: string, options: AttachOptions = {}): Promise<GuestAgentProcess> {
    return this.#processes.attach(id, options);
  }

  /** All processes that the agent has, running or kept. */
  list(): Promise<readonly GuestProcessInfo[]> {
    return this.#processes.list();
  }

  /**
   * Sends a signal such as `SIGTERM` to a process group, in a terminal to its foreground group. Does
   * nothing when the process has ended. `INVALID_INPUT` for an unknown signal name.
   */
  signal(id: string, name: string): Promise<void> {
    return this.#processes.signal(id, name);
  }

  /**
   * Kills a process and everything it started. Resolves when nothing is left of it; `DRIVER_FAILED`
   * when something lives on after `timeoutMs` (5 s).
   */
  kill(id: string, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#processes.kill(id, options);
  }

  /** Drops what is kept of a process that has ended; `CONFLICT` while it runs. */
  release(id: string): Promise<void> {
    return this.#processes.release(id);
  }

  /** Sets the size of a process's terminal, in characters. `UNSUPPORTED` without a terminal. */
  resize(id: string, columns: number, rows: number): Promise<void> {
    return this.#processes.resize(id, columns, rows);
  }

  /**
   * Connects to a port of the space's own loopback (127.0.0.1, then ::1).
   * @throws SpacesError `DRIVER_FAILED` with `details.errno` (such as `ECONNREFUSED`),
   *   `INVALID_INPUT` for a bad port, `LIMIT_EXCEEDED`, `CANCELLED`.
   */
  async connect(
    port: number,
    options: CallOptions & { readonly timeoutMs?: number | undefined } = {},
  ): Promise<GuestChannel> {
    this.#requireOpen();
    requirePort(port, 1);
    if (options.signal?.aborted === true) throw cancelled(`Connecting to port ${port}`);
    return this.#channels.connect(port, options.timeoutMs ?? ANSWER_MS, options.signal);
  }

  /**
   * Listens on a port of the space's own loopback (0: any) and hands each connection to
   * `onConnection`. Ends with the session.
   * @throws SpacesError `PORT_IN_USE`, `INVALID_INPUT` for a bad port, `DRIVER_FAILED`.
   */
  async listen(port: number, onConnection: (connection: Duplex) => void): Promise<GuestListener> {
    this.#requireOpen();
    requirePort(port, 0);
    return this.#channels.listen(port, onConnection);
  }

  /** Asks for a sign of life. `DRIVER_FAILED` (and the end of the session) when none comes. */
  async ping(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#requireOpen();
    await this.#ask(Answer.pong, options.timeoutMs ?? ANSWER_MS, (request) =>
      new FrameWriter(Request.ping).u32(request),
    );
  }

  /**
   * Ends the agent and with it everything in the space: SIGTERM to all, SIGKILL after `graceMs`.
   * Resolves when the agent's end of the stream has closed.
   */
  async shutdown(graceMs = 0): Promise<void> {
    this.#requireOpen();
    await this.#ask(Answer.ok, ANSWER_MS, (request) =>
      new FrameWriter(Request.shutdown).u32(request).u32(graceMs),
    );
    const limit = setTimeout(
      () => this.#end(protocolError("it did not end when told to")),
      graceMs + END_MS,
    );
    await this.closed;
    clearTimeout(limit);
  }

  /** Ends the session. What is not detached is killed by the agent. Safe to call twice. */
  async close(): Promise<void> {
    if (this.open) {
      // Some carriers do not show the agent that their other end has closed.
      const bye = new FrameWriter(Request.bye).finish();
      await new Promise<void>((resolve) => {
        // A guest that does not read is not waited for.
        const timer = setTimeout(resolve, GOODBYE_MS);
        const said = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#stream.write(bye, said);
        void this.closed.then(said);
      });
    }
    this.#end(
      new SpacesError("DRIVER_FAILED", "The session with the space's agent was closed.", {
        suggestion: "Open a new session; detached processes are found again by their id.",
      }),
    );
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- the stream ----

  #listen(rest: Buffer): void {
    const stream = this.#stream;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error) => this.#end(lostError(error)));
    stream.on("end", () => this.#end(lostError(undefined)));
    stream.on("close", () => {
      this.#end(lostError(undefined));
      this.#markClosed();
    });
    if (rest.length > 0) this.#receive(rest);
    stream.resume();
  }

  #showLife(leaseSeconds: number): void {
    if (leaseSeconds === 0) return;
    // An unanswered sign of life ends the session; there is nothing more to do about it here.
    const beat = () => void this.ping().catch(() => undefined);
    const timer = setInterval(beat, (leaseSeconds * 1000) / 3);
    timer.unref();
    void this.closed.then(() => clearInterval(timer));
  }

  #receive(chunk: Buffer): void {
    if (!this.open) return;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#end(asSpacesError(error));
    }
  }

  #send(frame: FrameWriter): void {
    this.#write(frame.finish());
  }

  #write(bytes: Buffer): void {
    this.#requireOpen();
    this.#stream.write(bytes);
    if (this.#stream.writableLength > LIMITS.unsentBytes) {
      this.#end(protocolError("it does not read what it is sent"));
    }
  }

  #end(error: SpacesError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stream.destroy();
    this.#questions.rejectAll(error);
    this.#processes.fail(error);
    this.#channels.fail(error);
    if (this.#stream.closed) this.#markClosed();
  }

  #requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #ask<T>(answer: number, timeoutMs: number, frame: (request: number) => FrameWriter): Promise<T> {
    return this.#questions.ask<T>(answer, timeoutMs, (request) => this.#send(frame(request)));
  }

  #onFrame(type: number, payload: Buffer): void {
    // A frame before it may have ended the session.
    if (!this.open) return;
    const fields = new FrameReader(payload);
    if (this.#channels.handle(type, fields) || this.#processes.handle(type, fields)) return;
    switch (type) {
      case Answer.pong:
      case Answer.ok:
        this.#questions.settle(fields.u32(), type, undefined);
        break;
      case Answer.error:
        this.#onError(fields.u32(), fields.u32());
        break;
      case Answer.protocolError: {
        const reason = fields.rest().toString("latin1", 0, 200);
        throw new SpacesError(
          "DRIVER_FAILED",
          `The space's agent ended the session: ${JSON.stringify(reason)}.`,
        );
      }
      default:
        throw protocolError(`the frame type ${type}`);
    }
  }

  #onError(request: number, errno: number): void {
    // A refused SPAWN has a frame of its own; a list and a ping are never refused.
    for (const never of [Answer.spawned, Answer.listEnd, Answer.pong]) {
      if (this.#questions.expects(request, never)) throw protocolError("an odd refusal");
    }
    this.#questions.refuse(request, new Refusal(errnoName(errno)));
  }
}

function requirePort(port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port <= 65535) return;
  throw new SpacesError("INVALID_INPUT", `${port} is no port.`, {
    suggestion: `Give a whole number from ${least} to 65535.`,
  });
}
