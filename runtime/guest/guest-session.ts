/**
 * A host's session with the agent of one space, over any duplex stream. Drivers open it; everything
 * that comes from the guest is taken as hostile, and what breaks the protocol ends the session.
 */
import { randomBytes } from "node:crypto";
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
import { GuestAgentProcess, type ProcessCommands } from "./guest-process.js";
import { type GuestSessionOptions, introduce } from "./handshake.js";
import { PendingQuestions } from "./pending.js";
import {
  Answer,
  AttachFlag,
  errnoName,
  LIMITS,
  PROCESS_ID_BYTES,
  Request,
  signalNumber,
} from "./protocol.js";
import { asSpacesError, cancelled, lostError, Refusal, refusalError } from "./session-errors.js";
import {
  decodeProcessInfo,
  encodeSpawn,
  type GuestProcessInfo,
  type GuestSpawnRequest,
  processIdBytes,
  spawnError,
} from "./spawn-request.js";

/** Where a SPAWN frame has its request number: behind the header. */
const SPAWN_REQUEST_AT = 5;
const ANSWER_MS = 30_000;
const KILL_MS = 5_000;

export interface AttachOptions {
  /** Offsets from which on the output is wanted; 0 when absent. */
  readonly stdout?: number | undefined;
  readonly stderr?: number | undefined;
  /** Goes on with the output of background children after the process itself has ended. */
  readonly follow?: boolean | undefined;
  /** Takes over standard input from whoever has it. */
  readonly stdin?: boolean | undefined;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

interface Attached {
  readonly pid: number;
}

/** See the file's head. Many calls may be under way at once. */
export class GuestSession implements AsyncDisposable {
  /** Version and abilities of the agent, as it claims. */
  readonly agent: HelloAnswer;
  /** Resolves when the session has ended, by `close` or by a failure; never rejects. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #processes = new Map<string, GuestAgentProcess>();
  /** Not detached, started here: the agent says when nothing is left of them. */
  readonly #owned = new Map<string, GuestAgentProcess>();
  readonly #attaching = new Map<string, readonly [number, number]>();
  readonly #attachRequests = new Map<number, string>();
  readonly #lists = new Map<number, GuestProcessInfo[]>();
  readonly #spawns = new Map<number, GuestSpawnRequest>();
  readonly #questions = new PendingQuestions((error) => this.#end(error));
  readonly #channels = new Channels((frame) => this.#send(frame));
  readonly #parser = new FrameParser((type, payload) => this.#onFrame(type, payload));
  readonly #commands: ProcessCommands;
  #failure: SpacesError | undefined;
  #markClosed: () => void = () => undefined;

  private constructor(stream: Duplex, agent: HelloAnswer) {
    this.#stream = stream;
    this.agent = agent;
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
    this.#commands = {
      grant: (id, index, bytes) =>
        this.#sendIfOpen(
          new FrameWriter(Request.credit).bytes(processIdBytes(id)).u8(index).u32(bytes),
        ),
      writeStdin: (id, bytes) =>
        this.#sendIfOpen(new FrameWriter(Request.stdin).bytes(processIdBytes(id)).bytes(bytes)),
      closeStdin: (id) =>
        this.#sendIfOpen(new FrameWriter(Request.closeStdin).bytes(processIdBytes(id))),
      signal: (id, name) => this.signal(id, name),
      kill: (id) => this.kill(id),
      resize: (id, columns, rows) => this.resize(id, columns, rows),
      detach: (id) => this.#detach(id),
    };
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
  async spawn(request: GuestSpawnRequest, options: CallOptions = {}): Promise<GuestAgentProcess> {
    this.#requireOpen();
    const { signal } = options;
    if (signal?.aborted === true) throw cancelled(`The start of "${request.argv[0]}"`);
    const id = request.id ?? randomBytes(PROCESS_ID_BYTES).toString("hex");
    if (this.#processes.has(id) || this.#owned.has(id)) {
      throw new SpacesError("CONFLICT", `Process ${id} exists already.`);
    }
    const frame = encodeSpawn(id, request).finish();
    const process = this.#addProcess(id, request.detached === true, 0, isPiped(request));
    if (request.detached !== true) this.#own(process);
    let number = 0;
    const answer = this.#questions.ask<number>(Answer.spawned, ANSWER_MS, (asked) => {
      number = asked;
      this.#spawns.set(asked, request);
      frame.writeUInt32LE(asked, SPAWN_REQUEST_AT);
      this.#write(frame);
    });
    try {
      process.pid = await answer;
    } catch (error) {
      this.#processes.delete(id);
      this.#owned.delete(id);
      process.end(asSpacesError(error));
      throw error;
    } finally {
      this.#spawns.delete(number);
    }
    if (signal !== undefined) await killOnAbort(process, signal, request.argv[0]);
    return process;
  }

  /**
   * Attaches to a process by its id, also one that has ended: its output from an offset on, its exit.
   * `lost` says how many bytes were asked for that are no longer kept.
   * @throws SpacesError `INVALID_INPUT` when there is no such process, `CONFLICT` when this session
   *   has it already, `LIMIT_EXCEEDED` when too many have.
   */
  async attach(id: string, options: AttachOptions = {}): Promise<GuestAgentProcess> {
    this.#requireOpen();
    const bytes = processIdBytes(id);
    if (this.#processes.has(id)) {
      throw new SpacesError("CONFLICT", `This session is attached to process ${id} already.`);
    }
    const asked = [options.stdout ?? 0, options.stderr ?? 0] as const;
    for (const offset of asked) requireOffset(offset);
    const flags =
      (options.stdin === true ? AttachFlag.stdin : 0) |
      (options.follow === true ? AttachFlag.follow : 0);
    const process = this.#addProcess(id, true, undefined, options.stdin === true);
    this.#attaching.set(id, asked);
    try {
      const attached = await this.#ask<Attached>(
        Answer.attached,
        ANSWER_MS,
        (request) =>
          new FrameWriter(Request.attach)
            .u32(request)
            .bytes(bytes)
            .u8(flags)
            .u64(asked[0])
            .u64(asked[1])
            .u32(LIMITS.windowBytes)
            .u32(LIMITS.windowBytes),
        id,
      );
      process.pid = attached.pid;
      return process;
    } catch (error) {
      const known = refusalError(error, id);
      this.#processes.delete(id);
      process.end(known);
      throw known;
    } finally {
      this.#attaching.delete(id);
    }
  }

  /** All processes that the agent has, running or kept. */
  async list(): Promise<readonly GuestProcessInfo[]> {
    this.#requireOpen();
    let number = 0;
    try {
      return await this.#questions.ask<GuestProcessInfo[]>(Answer.listEnd, ANSWER_MS, (request) => {
        number = request;
        this.#lists.set(request, []);
        this.#send(new FrameWriter(Request.list).u32(request));
      });
    } finally {
      this.#lists.delete(number);
    }
  }

  /**
   * Sends a signal such as `SIGTERM` to a process group, in a terminal to its foreground group. Does
   * nothing when the process has ended. `INVALID_INPUT` for an unknown signal name.
   */
  async signal(id: string, name: string): Promise<void> {
    const number = signalNumber(name);
    if (number === undefined) {
      throw new SpacesError("INVALID_INPUT", `"${name}" is no signal.`, {
        suggestion: "Use a name such as SIGTERM, SIGINT or SIGKILL.",
      });
    }
    await this.#askAbout(id, Answer.ok, Request.signal, (frame) => frame.u8(number), ["ESRCH"]);
  }

  /**
   * Kills a process and everything it started. Resolves when nothing is left of it; `DRIVER_FAILED`
   * when something lives on after `timeoutMs` (5 s).
   */
  async kill(id: string, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = Math.max(1, Math.min(60_000, options.timeoutMs ?? KILL_MS));
    const left = await this.#askAbout<number>(
      id,
      Answer.killed,
      Request.kill,
      (frame) => frame.u32(timeoutMs),
      ["ESRCH"],
      timeoutMs + ANSWER_MS,
    );
    if (left === undefined || left === 0) return;
    throw new SpacesError(
      "DRIVER_FAILED",
      `Process ${id} could not be killed in ${timeoutMs} ms.`,
      {
        suggestion: "Stop the space.",
      },
    );
  }

  /** Drops what is kept of a process that has ended; `CONFLICT` while it runs. */
  async release(id: string): Promise<void> {
    await this.#askAbout(id, Answer.ok, Request.release, (frame) => frame, ["ESRCH"]);
    const process = this.#processes.get(id);
    if (process === undefined) return;
    this.#processes.delete(id);
    process.end(new SpacesError("CANCELLED", `Process ${id} was released.`));
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
      graceMs + 2 * KILL_MS,
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
        this.#stream.write(bye, () => resolve());
        void this.closed.then(resolve);
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

  /** For what a stream says on its own: after the end there is nobody left to say it to. */
  #sendIfOpen(frame: FrameWriter): void {
    if (this.open) this.#send(frame);
  }

  #end(error: SpacesError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stream.destroy();
    this.#questions.rejectAll(error);
    for (const process of this.#processes.values()) process.end(error);
    this.#processes.clear();
    this.#owned.clear();
    this.#channels.fail(error);
    if (this.#stream.closed) this.#markClosed();
  }

  #requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  // ---- questions ----

  #ask<T>(
    answer: number,
    timeoutMs: number,
    frame: (request: number) => FrameWriter,
    attachId?: string,
  ): Promise<T> {
    return this.#questions.ask<T>(answer, timeoutMs, (request) => {
      if (attachId !== undefined) this.#attachRequests.set(request, attachId);
      this.#send(frame(request));
    });
  }

  async #askAbout<T>(
    id: string,
    answer: number,
    type: number,
    fill: (frame: FrameWriter) => FrameWriter,
    harmless: readonly string[],
    timeoutMs = ANSWER_MS,
  ): Promise<T | undefined> {
    this.#requireOpen();
    const bytes = processIdBytes(id);
    try {
      return await this.#ask<T>(answer, timeoutMs, (request) =>
        fill(new FrameWriter(type).u32(request).bytes(bytes)),
      );
    } catch (error) {
      if (error instanceof Refusal && harmless.includes(error.errno)) return undefined;
      throw refusalError(error, id);
    }
  }

  /** Sets the size of a process's terminal, in characters. `UNSUPPORTED` without a terminal. */
  async resize(id: string, columns: number, rows: number): Promise<void> {
    for (const value of [columns, rows]) {
      if (Number.isInteger(value) && value > 0 && value <= 0xffff) continue;
      throw new SpacesError(
        "INVALID_INPUT",
        `A terminal cannot be ${columns} by ${rows} characters.`,
      );
    }
    const fill = (frame: FrameWriter) => frame.u16(columns).u16(rows);
    await this.#askAbout(id, Answer.ok, Request.resize, fill, ["ESRCH"]);
  }

  async #detach(id: string): Promise<void> {
    await this.#askAbout(id, Answer.ok, Request.detach, (frame) => frame.u8(1), ["ESRCH"]);
    this.#processes.delete(id);
    this.#owned.delete(id);
  }

  // ---- frames ----

  #addProcess(
    id: string,
    detached: boolean,
    begin: number | undefined,
    stdin: boolean,
  ): GuestAgentProcess {
    const process = new GuestAgentProcess({ id, detached, commands: this.#commands, stdin, begin });
    this.#processes.set(id, process);
    return process;
  }

  #own(process: GuestAgentProcess): void {
    if (this.#owned.size >= LIMITS.listedProcesses) {
      throw protocolError("it does not say that processes have ended");
    }
    this.#owned.set(process.id, process);
  }

  #process(fields: FrameReader): GuestAgentProcess {
    const id = fields.bytes(PROCESS_ID_BYTES).toString("hex");
    const process = this.#processes.get(id);
    if (process === undefined) throw protocolError(`the process ${id}`);
    return process;
  }

  #onFrame(type: number, payload: Buffer): void {
    // A frame before it may have ended the session.
    if (!this.open) return;
    const fields = new FrameReader(payload);
    if (this.#channels.handle(type, fields) || this.#onProcessFrame(type, fields)) return;
    this.#onAnswer(type, fields);
  }

  #onProcessFrame(type: number, fields: FrameReader): boolean {
    switch (type) {
      case Answer.output:
        this.#process(fields).onOutput(fields.u8(), fields.u64(), fields.rest());
        return true;
      case Answer.streamEnd: {
        const process = this.#process(fields);
        process.onStreamEnd(fields.u8(), fields.u64());
        this.#forgetWhenComplete(process);
        return true;
      }
      case Answer.exit: {
        const process = this.#process(fields);
        process.onExit(fields.u8(), fields.i32());
        this.#forgetWhenComplete(process);
        return true;
      }
      case Answer.gone:
        this.#onGone(fields.bytes(PROCESS_ID_BYTES).toString("hex"));
        return true;
      // These may cross the end of the process.
      case Answer.stdinCredit:
        this.#processes
          .get(fields.bytes(PROCESS_ID_BYTES).toString("hex"))
          ?.onStdinCredit(fields.u32());
        return true;
      case Answer.stdinClosed:
        this.#processes.get(fields.bytes(PROCESS_ID_BYTES).toString("hex"))?.onStdinClosed();
        return true;
      default:
        return false;
    }
  }

  /** Nothing more comes of it but GONE, unless somebody attaches to it anew. */
  #forgetWhenComplete(process: GuestAgentProcess): void {
    if (process.complete) this.#processes.delete(process.id);
  }

  #onGone(id: string): void {
    const process = this.#owned.get(id);
    if (process === undefined || this.#processes.has(id)) {
      throw protocolError(`the end of process ${id}, which goes on`);
    }
    this.#owned.delete(id);
    process.onGone();
  }

  #onAnswer(type: number, fields: FrameReader): void {
    const request = type === Answer.protocolError ? 0 : fields.u32();
    switch (type) {
      case Answer.pong:
      case Answer.ok:
        this.#questions.settle(request, type, undefined);
        break;
      case Answer.spawned:
      case Answer.killed:
        this.#questions.settle(request, type, fields.u32());
        break;
      case Answer.spawnError:
        this.#onSpawnError(request, fields.u8(), fields.u32());
        break;
      case Answer.attached:
        this.#onAttached(request, fields);
        break;
      case Answer.error:
        this.#onError(request, fields.u32());
        break;
      case Answer.process:
        this.#onListed(request, fields);
        break;
      case Answer.listEnd:
        this.#questions.settle(request, type, this.#lists.get(request) ?? []);
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

  #onSpawnError(request: number, fault: number, errno: number): void {
    const spawn = this.#spawns.get(request);
    if (spawn === undefined) throw protocolError("a refusal of nothing");
    const error =
      errnoName(errno) === "EEXIST"
        ? new SpacesError("CONFLICT", `A process of the id ${spawn.id ?? ""} exists already.`)
        : spawnError(spawn, fault, errno);
    this.#questions.refuse(request, error, Answer.spawned);
  }

  #onAttached(request: number, fields: FrameReader): void {
    const id = this.#attachRequests.get(request);
    const process = id === undefined ? undefined : this.#processes.get(id);
    const asked = id === undefined ? undefined : this.#attaching.get(id);
    if (process === undefined || asked === undefined)
      throw protocolError("an attachment to nothing");
    this.#attachRequests.delete(request);
    const pid = fields.u32();
    process.onAttached([fields.u64(), fields.u64()], asked, fields.u32());
    this.#questions.settle(request, Answer.attached, { pid } satisfies Attached);
  }

  #onError(request: number, errno: number): void {
    // A refused SPAWN has a frame of its own; a list and a ping are never refused.
    for (const never of [Answer.spawned, Answer.listEnd, Answer.pong]) {
      if (this.#questions.expects(request, never)) throw protocolError("an odd refusal");
    }
    this.#attachRequests.delete(request);
    this.#questions.refuse(request, new Refusal(errnoName(errno)));
  }

  #onListed(request: number, fields: FrameReader): void {
    const list = this.#lists.get(request);
    if (list === undefined || list.length >= LIMITS.listedProcesses) {
      throw protocolError("an endless list");
    }
    list.push(decodeProcessInfo(fields));
  }
}

function isPiped(request: GuestSpawnRequest): boolean {
  return request.stdin === "pipe" || request.terminal !== undefined;
}

function requireOffset(offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return;
  throw new SpacesError("INVALID_INPUT", `${offset} is no offset of output.`);
}

function requirePort(port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port <= 65535) return;
  throw new SpacesError("INVALID_INPUT", `${port} is no port.`, {
    suggestion: `Give a whole number from ${least} to 65535.`,
  });
}

/** Kills the process when the signal fires. One that fired already leaves nothing behind. */
async function killOnAbort(
  process: GuestAgentProcess,
  signal: AbortSignal,
  program: string,
): Promise<void> {
  if (signal.aborted) {
    await process.kill();
    throw cancelled(`The start of "${program}"`);
  }
  // A failed kill shows in `exit`, which then does not come; the session's end rejects it.
  const onAbort = () => void process.kill().catch(() => undefined);
  signal.addEventListener("abort", onAbort);
  const stop = () => signal.removeEventListener("abort", onAbort);
  process.exit.then(stop, stop);
}
