/**
 * One hold on a process's output for any number of followers. An agent takes only a few holds on a
 * process, so the agent connection gives the followers whose positions are near each other the same.
 */
import { Readable } from "node:stream";
import type { AttachedProcess } from "./driver.js";

/** Bytes of each output that are kept for those who come later; as many as an agent keeps. */
const KEPT_BYTES = 256 * 1024;
/** Bytes by which the slowest follower may be behind before no more is read. */
const BEHIND_BYTES = 256 * 1024;
/** Pieces are put together up to this size: of single bytes there would be very many. */
const PIECE_BYTES = 16 * 1024;

const STREAMS = ["stdout", "stderr"] as const;

export interface Position {
  readonly stdout: number;
  readonly stderr: number;
}

export class SharedAttachment {
  readonly #source: AttachedProcess;
  readonly #outputs: { readonly stdout: SharedOutput; readonly stderr: SharedOutput };
  readonly #onClose: () => void;
  #followers = 0;
  #closed = false;

  /**
   * @param source a hold on the process, disposed when the last follower has gone
   * @param from where its output begins
   * @param onClose told when the last follower has gone
   */
  constructor(source: AttachedProcess, from: Position, onClose: () => void) {
    this.#source = source;
    this.#onClose = onClose;
    this.#outputs = {
      stdout: new SharedOutput(source.stdout, from.stdout),
      stderr: new SharedOutput(source.stderr, from.stderr),
    };
  }

  /**
   * Follows from a position on.
   * @returns undefined where that position is not kept here any more, or not reached yet
   */
  follow(from: Position): AttachedProcess | undefined {
    if (this.#closed || !STREAMS.every((name) => this.#outputs[name].has(from[name]))) {
      return undefined;
    }
    this.#followers += 1;
    const outputs = {
      stdout: this.#outputs.stdout.follow(from.stdout),
      stderr: this.#outputs.stderr.follow(from.stderr),
    };
    let released: Promise<void> | undefined;
    return {
      ...outputs,
      stdin: this.#source.stdin,
      exit: this.#source.exit,
      lost: { stdout: 0, stderr: 0 },
      kill: () => this.#source.kill(),
      [Symbol.asyncDispose]: () => {
        released ??= this.#release(outputs);
        return released;
      },
    };
  }

  async #release(outputs: Record<(typeof STREAMS)[number], Readable>): Promise<void> {
    for (const name of STREAMS) outputs[name].destroy();
    this.#followers -= 1;
    if (this.#followers > 0) return;
    this.#closed = true;
    this.#onClose();
    await this.#source[Symbol.asyncDispose]();
  }
}

interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** One output: what was read last, and those who read it. They all read the same bytes in memory. */
class SharedOutput {
  readonly #source: Readable;
  readonly #followers = new Set<FollowedOutput>();
  readonly #pieces: Piece[] = [];
  #end: number;
  #begun = false;
  #outcome: "open" | "ended" | Error = "open";
  #wake: (() => void) | undefined;

  constructor(source: Readable, from: number) {
    this.#source = source;
    this.#end = from;
  }

  has(offset: number): boolean {
    return offset >= (this.#pieces[0]?.offset ?? this.#end) && offset <= this.#end;
  }

  follow(from: number): Readable {
    const follower = new FollowedOutput(this, from);
    this.#followers.add(follower);
    if (!this.#begun) {
      this.#begun = true;
      void this.#read();
    }
    return follower;
  }

  /** What is behind an offset, or how it ended there; undefined while nothing is. */
  at(offset: number): Buffer | "ended" | Error | undefined {
    if (offset >= this.#end) return this.#outcome === "open" ? undefined : this.#outcome;
    const piece = this.#pieces.findLast((known) => known.offset <= offset);
    return piece?.bytes.subarray(offset - piece.offset);
  }

  /** Told when a follower has read on. */
  advanced(): void {
    this.#wake?.();
  }

  leave(follower: FollowedOutput): void {
    this.#followers.delete(follower);
    this.#wake?.();
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of this.#source as AsyncIterable<Buffer>) {
        this.#keep(bytes);
        this.#forget();
        this.#tell();
        while (this.#end - this.#slowest() > BEHIND_BYTES) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
      this.#outcome = "ended";
    } catch (error) {
      this.#outcome = error as Error;
    }
    this.#tell();
  }

  #keep(bytes: Buffer): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.bytes.length + bytes.length <= PIECE_BYTES) {
      this.#pieces.pop();
      this.#pieces.push({ offset: last.offset, bytes: Buffer.concat([last.bytes, bytes]) });
    } else {
      this.#pieces.push({ offset: this.#end, bytes });
    }
    this.#end += bytes.length;
  }

  #tell(): void {
    for (const follower of this.#followers) follower.advance();
  }

  #slowest(): number {
    let slowest = this.#end;
    for (const { offset } of this.#followers) slowest = Math.min(slowest, offset);
    return slowest;
  }

  #forget(): void {
    const from = Math.min(this.#slowest(), this.#end - KEPT_BYTES);
    const first = this.#pieces.findIndex(({ offset, bytes }) => offset + bytes.length > from);
    this.#pieces.splice(0, first);
  }
}

/** One follower's view of an output. */
class FollowedOutput extends Readable {
  /** Of the next byte that it takes. */
  offset: number;
  readonly #shared: SharedOutput;
  #wants = false;

  constructor(shared: SharedOutput, offset: number) {
    super({ highWaterMark: 64 * 1024 });
    this.#shared = shared;
    this.offset = offset;
    // An error that nobody listens to must not end the host; `exit` carries it too.
    this.on("error", () => undefined);
  }

  /** Gives what has come, where it is wanted. */
  advance(): void {
    if (!this.#wants) return;
    const next = this.#shared.at(this.offset);
    if (next === undefined) return;
    this.#wants = false;
    if (next === "ended") this.push(null);
    else if (next instanceof Error) this.destroy(next);
    else {
      this.offset += next.length;
      this.push(next);
      this.#shared.advanced();
    }
  }

  override _read(): void {
    this.#wants = true;
    this.advance();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#shared.leave(this);
    callback(error);
  }
}
