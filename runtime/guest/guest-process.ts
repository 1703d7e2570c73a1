/**
 * A process in a space, as a session's caller sees it. Made by `GuestSession.spawn` and `attach`; the
 * session feeds it the guest's frames.
 */
import { Readable, Writable } from "node:stream";
import { SpacesError } from "../contract/errors.js";
import { CreditedWriter, ReadCredit } from "./flow.js";
import { protocolError } from "./frames.js";
import { ExitKind, signalName } from "./protocol.js";

export interface GuestExit {
  /** The program's code; 128 + n when signal n killed it. */
  readonly exitCode: number;
  readonly signal?: string;
}

/** What a process needs of its session. */
export interface ProcessCommands {
  grant(id: string, stream: number, bytes: number): void;
  writeStdin(id: string, bytes: Buffer): void;
  closeStdin(id: string): void;
  signal(id: string, name: string): Promise<void>;
  kill(id: string): Promise<void>;
  resize(id: string, columns: number, rows: number): Promise<void>;
  detach(id: string): Promise<void>;
}

/** One output. A reader that destroys it is no obstacle: the process writes on into nothing. */
class Output extends Readable {
  readonly #grant: (bytes: number) => void;
  readonly #credit = new ReadCredit();
  /** Offset of the next byte to come; undefined until the guest has said where it begins. */
  next: number | undefined;
  over = false;

  constructor(grant: (bytes: number) => void, next: number | undefined) {
    super({ highWaterMark: 256 * 1024 });
    this.#grant = grant;
    this.next = next;
    // An error that nobody listens to must not end the host; `exit` carries it too.
    this.on("error", () => undefined);
  }

  receive(offset: number, bytes: Buffer): void {
    if (this.over) throw protocolError("output after its end");
    if (offset !== this.next) throw protocolError(`output at ${offset} in place of ${this.next}`);
    this.#credit.take(bytes.length);
    this.next = offset + bytes.length;
    if (!this.destroyed) this.push(bytes);
    this.#top();
  }

  finish(offset: number): void {
    if (this.over) throw protocolError("a second end of output");
    if (offset !== this.next) throw protocolError(`an end at ${offset} in place of ${this.next}`);
    this.stop();
  }

  stop(): void {
    if (!this.over && !this.destroyed) this.push(null);
    this.over = true;
  }

  // Grants follow what is consumed, not what the stream machinery asks for: it asks once, and then
  // waits for bytes that may lack a grant.
  override read(size?: number): Buffer | null {
    const chunk: Buffer | null = super.read(size);
    this.#top();
    return chunk;
  }

  override _read(): void {
    this.#top();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // What was held for the reader is dropped: the process gets that room back.
    this.#top();
    callback(error);
  }

  #top(): void {
    if (this.over || this.next === undefined) return;
    const bytes = this.#credit.grant(this.destroyed ? 0 : this.readableLength);
    if (bytes > 0) this.#grant(bytes);
  }
}

interface ProcessOptions {
  readonly id: string;
  /** Whether the process lives on when this session ends. */
  readonly detached: boolean;
  readonly commands: ProcessCommands;
  readonly stdin: boolean;
  /** Where its output begins; undefined while an attachment has not been answered. */
  readonly begin: number | undefined;
}

/** A process in a space; satisfies the drivers' `GuestProcess`. */
export class GuestAgentProcess {
  /** 32 hexadecimal digits; by it another session finds the process again. */
  readonly id: string;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Standard input. What is written after the process closed it goes nowhere, without an error. */
  readonly stdin: Writable;
  /**
   * Resolves when the process itself has ended, whatever background children do. Rejects with
   * `DRIVER_FAILED` when its outcome is unknown, with `CANCELLED` after `detach`.
   */
  readonly exit: Promise<GuestExit>;
  /** The pid as the space numbers it. The guest's claim: never act on it outside of the space. */
  pid = 0;
  /** Bytes that were asked for by offset and are no longer kept. */
  lost: { readonly stdout: number; readonly stderr: number } = { stdout: 0, stderr: 0 };
  readonly #commands: ProcessCommands;
  readonly #outputs: readonly [Output, Output];
  readonly #writer: CreditedWriter;
  #detached: boolean;
  #settled = false;
  /** The agent has said, or this side has decided, that nothing more is to be asked. */
  #gone = false;
  #killing: Promise<void> | undefined;
  #resolveExit: (exit: GuestExit) => void = () => undefined;
  #rejectExit: (error: SpacesError) => void = () => undefined;

  constructor({ id, detached, commands, stdin, begin }: ProcessOptions) {
    this.id = id;
    this.#commands = commands;
    this.#detached = detached;
    this.#outputs = [
      new Output((bytes) => commands.grant(id, 0, bytes), begin),
      new Output((bytes) => commands.grant(id, 1, bytes), begin),
    ];
    [this.stdout, this.stderr] = this.#outputs;
    this.#writer = new CreditedWriter(
      (bytes) => commands.writeStdin(id, bytes),
      begin === undefined ? 0 : undefined,
    );
    this.stdin = this.#makeStdin(stdin);
    this.exit = new Promise((resolve, reject) => {
      this.#resolveExit = resolve;
      this.#rejectExit = reject;
    });
    // A rejection that the caller looks at later does not count as unhandled.
    this.exit.catch(() => undefined);
  }

  get detached(): boolean {
    return this.#detached;
  }

  /** Offsets of the next bytes that the readers of this object have not consumed; for `attach`. */
  get offsets(): { readonly stdout: number; readonly stderr: number } {
    const at = (output: Output) => (output.next ?? 0) - output.readableLength;
    return { stdout: at(this.#outputs[0]), stderr: at(this.#outputs[1]) };
  }

  /**
   * Sends a signal such as `SIGINT` to the process group, in a terminal to its foreground group.
   * Throws `INVALID_INPUT` for an unknown name; does nothing when the process has ended.
   */
  async signal(name: string): Promise<void> {
    if (this.#settled) return;
    await this.#commands.signal(this.id, name);
  }

  /**
   * Kills the process and everything it started, wherever that went. Resolves when nothing is left;
   * throws `DRIVER_FAILED` when something could not be killed in time.
   */
  kill(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    this.#killing ??= this.#commands.kill(this.id).catch((error: unknown) => {
      this.#killing = undefined;
      throw error;
    });
    return this.#killing;
  }

  /** Sets the size of its terminal, in characters. `UNSUPPORTED` without a terminal. */
  resize(columns: number, rows: number): Promise<void> {
    return this.#commands.resize(this.id, columns, rows);
  }

  /** Lets go of the process: it lives on when the session ends. Both outputs end here. */
  async detach(): Promise<void> {
    if (!this.#gone) await this.#commands.detach(this.id);
    this.#detached = true;
    this.end(
      new SpacesError("CANCELLED", `Let go of process ${this.id}; it goes on running.`, {
        suggestion: "Attach to it again by its id.",
      }),
    );
  }

  /** Whether all of exit and both ends have come. */
  get complete(): boolean {
    return this.#settled && this.#outputs.every((output) => output.over);
  }

  // The rest is for the session.

  onOutput(stream: number, offset: number, bytes: Buffer): void {
    this.#output(stream).receive(offset, bytes);
  }

  onStreamEnd(stream: number, offset: number): void {
    this.#output(stream).finish(offset);
  }

  onExit(kind: number, value: number): void {
    if (this.#settled) throw protocolError(`a second exit of process ${this.id}`);
    const bad = kind === ExitKind.code ? value > 255 : kind === ExitKind.signal && value > 127;
    if (bad || value < 0) throw protocolError(`the exit status ${value}`);
    if (kind === ExitKind.code) this.#resolveExit({ exitCode: value });
    else if (kind === ExitKind.signal) {
      this.#resolveExit({ exitCode: 128 + value, signal: signalName(value) });
    } else if (kind === ExitKind.lost) {
      this.#rejectExit(
        new SpacesError(
          "DRIVER_FAILED",
          `How process ${this.id} ended is unknown: something in the space killed its supervisor.`,
        ),
      );
    } else throw protocolError(`the kind of exit ${kind}`);
    this.#settled = true;
    this.#writer.discard();
  }

  onStdinCredit(bytes: number): void {
    this.#writer.grant(bytes);
  }

  onStdinClosed(): void {
    this.#writer.discard();
  }

  onAttached(begin: readonly [number, number], asked: readonly [number, number], window: number) {
    this.#outputs[0].next = begin[0];
    this.#outputs[1].next = begin[1];
    this.lost = {
      stdout: Math.max(0, begin[0] - asked[0]),
      stderr: Math.max(0, begin[1] - asked[1]),
    };
    this.#writer.reset(window);
  }

  /** Nothing of the process or its children is left. */
  onGone(): void {
    this.#gone = true;
  }

  /** Ends everything that is still open; `exit` rejects with the error. */
  end(error: SpacesError): void {
    this.#rejectExit(error);
    this.#settled = true;
    this.#writer.discard();
    for (const output of this.#outputs) {
      if (output.over) continue;
      if (error.code === "CANCELLED") output.stop();
      else output.destroy(error);
      output.over = true;
    }
  }

  #output(stream: number): Output {
    const output = this.#outputs[stream];
    if (output === undefined) throw protocolError(`stream ${stream}`);
    return output;
  }

  #makeStdin(open: boolean): Writable {
    const writer = this.#writer;
    if (!open) writer.discard();
    return new Writable({
      highWaterMark: 64 * 1024,
      write: (chunk: Buffer, _encoding, callback) => writer.write(chunk, callback),
      final: (callback) => {
        if (open && !this.#settled) this.#commands.closeStdin(this.id);
        callback();
      },
    });
  }
}
