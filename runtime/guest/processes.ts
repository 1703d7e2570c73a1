/**
 * All processes of one session: the calls about them, and the guest's frames about them. Used by the
 * session, whose methods of the same names say what each call does.
 */
import { randomBytes } from "node:crypto";
import { SpacesError } from "../contract/errors.js";
import { type FrameReader, FrameWriter, protocolError } from "./frames.js";
import { GuestAgentProcess, type ProcessCommands } from "./guest-process.js";
import { ANSWER_MS, type PendingQuestions } from "./pending.js";
import {
  Answer,
  AttachFlag,
  errnoName,
  LIMITS,
  PROCESS_ID_BYTES,
  Request,
  signalNumber,
} from "./protocol.js";
import { asSpacesError, cancelled, Refusal, refusalError } from "./session-errors.js";
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

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What the processes need of their session. */
export interface Wire {
  isOpen(): boolean;
  /** Throws the session's failure once it has ended. */
  requireOpen(): void;
  write(bytes: Buffer): void;
}

export class Processes {
  readonly #wire: Wire;
  readonly #questions: PendingQuestions;
  readonly #processes = new Map<string, GuestAgentProcess>();
  /** Not detached, started here: the agent says when nothing is left of them. */
  readonly #owned = new Map<string, GuestAgentProcess>();
  readonly #attaching = new Map<
    number,
    { readonly process: GuestAgentProcess; readonly asked: readonly [number, number] }
  >();
  readonly #lists = new Map<number, GuestProcessInfo[]>();
  readonly #spawns = new Map<number, GuestSpawnRequest>();
  readonly #commands: ProcessCommands;

  constructor(wire: Wire, questions: PendingQuestions) {
    this.#wire = wire;
    this.#questions = questions;
    this.#commands = {
      grant: (id, index, bytes) =>
        this.#tell(new FrameWriter(Request.credit).bytes(processIdBytes(id)).u8(index).u32(bytes)),
      writeStdin: (id, bytes) =>
        this.#tell(new FrameWriter(Request.stdin).bytes(processIdBytes(id)).bytes(bytes)),
      closeStdin: (id) => this.#tell(new FrameWriter(Request.closeStdin).bytes(processIdBytes(id))),
      signal: (id, name) => this.signal(id, name),
      kill: (id) => this.kill(id),
      resize: (id, columns, rows) => this.resize(id, columns, rows),
      detach: (id) => this.detach(id),
    };
  }

  async spawn(request: GuestSpawnRequest, options: CallOptions = {}): Promise<GuestAgentProcess> {
    this.#wire.requireOpen();
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
      this.#wire.write(frame);
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

  async attach(id: string, options: AttachOptions = {}): Promise<GuestAgentProcess> {
    this.#wire.requireOpen();
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
    let number = 0;
    try {
      process.pid = await this.#questions.ask<number>(Answer.attached, ANSWER_MS, (request) => {
        number = request;
        this.#attaching.set(request, { process, asked });
        this.#send(
          new FrameWriter(Request.attach)
            .u32(request)
            .bytes(bytes)
            .u8(flags)
            .u64(asked[0])
            .u64(asked[1])
            .u32(LIMITS.windowBytes)
            .u32(LIMITS.windowBytes),
        );
      });
      return process;
    } catch (error) {
      const known = refusalError(error, id);
      this.#processes.delete(id);
      process.end(known);
      throw known;
    } finally {
      this.#attaching.delete(number);
    }
  }

  async list(): Promise<readonly GuestProcessInfo[]> {
    this.#wire.requireOpen();
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

  async signal(id: string, name: string): Promise<void> {
    const number = signalNumber(name);
    if (number === undefined) {
      throw new SpacesError("INVALID_INPUT", `"${name}" is no signal.`, {
        suggestion: "Use a name such as SIGTERM, SIGINT or SIGKILL.",
      });
    }
    await this.#askAbout(id, Answer.ok, Request.signal, (frame) => frame.u8(number), ["ESRCH"]);
  }

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

  async release(id: string): Promise<void> {
    await this.#askAbout(id, Answer.ok, Request.release, (frame) => frame, ["ESRCH"]);
    const process = this.#processes.get(id);
    if (process === undefined) return;
    this.#processes.delete(id);
    process.end(new SpacesError("CANCELLED", `Process ${id} was released.`));
  }

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

  async detach(id: string): Promise<void> {
    await this.#askAbout(id, Answer.ok, Request.detach, (frame) => frame.u8(1), ["ESRCH"]);
    this.#processes.delete(id);
    this.#owned.delete(id);
  }

  /** Takes a frame about a process; false when it is about something else. */
  handle(type: number, fields: FrameReader): boolean {
    return this.#onProcessFrame(type, fields) || this.#onAnswer(type, fields);
  }

  /** Ends everything with this error. */
  fail(error: SpacesError): void {
    for (const process of this.#processes.values()) process.end(error);
    this.#processes.clear();
    this.#owned.clear();
  }

  #send(frame: FrameWriter): void {
    this.#wire.write(frame.finish());
  }

  /** For what a stream says on its own: after the end there is nobody left to say it to. */
  #tell(frame: FrameWriter): void {
    if (this.#wire.isOpen()) this.#send(frame);
  }

  async #askAbout<T>(
    id: string,
    answer: number,
    type: number,
    fill: (frame: FrameWriter) => FrameWriter,
    harmless: readonly string[],
    timeoutMs = ANSWER_MS,
  ): Promise<T | undefined> {
    this.#wire.requireOpen();
    const bytes = processIdBytes(id);
    try {
      return await this.#questions.ask<T>(answer, timeoutMs, (request) =>
        this.#send(fill(new FrameWriter(type).u32(request).bytes(bytes))),
      );
    } catch (error) {
      if (error instanceof Refusal && harmless.includes(error.errno)) return undefined;
      throw refusalError(error, id);
    }
  }

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

  #onAnswer(type: number, fields: FrameReader): boolean {
    switch (type) {
      case Answer.spawned:
      case Answer.killed:
        this.#questions.settle(fields.u32(), type, fields.u32());
        return true;
      case Answer.spawnError:
        this.#onSpawnError(fields.u32(), fields.u8(), fields.u32());
        return true;
      case Answer.attached:
        this.#onAttached(fields.u32(), fields);
        return true;
      case Answer.process:
        this.#onListed(fields.u32(), fields);
        return true;
      case Answer.listEnd: {
        const request = fields.u32();
        this.#questions.settle(request, type, this.#lists.get(request) ?? []);
        return true;
      }
      default:
        return false;
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
    const attaching = this.#attaching.get(request);
    if (attaching === undefined) throw protocolError("an attachment to nothing");
    const pid = fields.u32();
    attaching.process.onAttached([fields.u64(), fields.u64()], attaching.asked, fields.u32());
    this.#questions.settle(request, Answer.attached, pid);
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
