/** Reads the journal of a run, from its beginning and on while it grows; the engine's runs do. */
import { constants, fstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { isMissing, type RunsDirectory } from "./directory.js";
import { LINE_BYTES } from "./limits.js";
import type { JournalLine, StartLine } from "./lines.js";
import { parseLine } from "./parse-line.js";
import { RunState } from "./run-state.js";

const CHUNK_BYTES = 65_536;
const NEWLINE = 0x0a;
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export interface NumberedLine {
  readonly seq: number;
  readonly line: JournalLine;
}

export class JournalReader implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #position = 0;
  #rest = Buffer.alloc(0);
  #seq = 0;
  /** Whether the line that is being read is longer than lines are: it is left out. */
  #isTooLong = false;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Opens the journal of a run, wherever it is; undefined where there is none. */
  static async open(directory: RunsDirectory, id: string): Promise<JournalReader | undefined> {
    // It may be moved between the two looks, once and in one direction.
    const places = [directory.journalOf(id), directory.keptJournalOf(id)];
    for (const place of places) {
      const file = await openFile(place);
      if (file !== undefined) return new JournalReader(file);
    }
    return undefined;
  }

  /** When something was last written, or a sign of life given; milliseconds since the epoch. */
  get changedMs(): number {
    return fstatSync(this.#file.fd).mtimeMs;
  }

  /** Whether the file ends in the middle of a line. */
  get isTorn(): boolean {
    return this.#rest.length > 0 || this.#isTooLong;
  }

  /** The lines that have come since the last call, without those that are none. */
  async *lines(): AsyncGenerator<NumberedLine, void> {
    for (;;) {
      const text = await this.#next();
      if (text === undefined) return;
      const seq = this.#seq;
      this.#seq += 1;
      const line = parseLine(text);
      if (line !== undefined) yield { seq, line };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** The next whole line; empty for one that is too long, undefined where there is none yet. */
  async #next(): Promise<string | undefined> {
    // What has been searched already holds no end of a line.
    for (let searched = 0; ; ) {
      const end = this.#rest.indexOf(NEWLINE, searched);
      if (end >= 0) {
        const text = this.#isTooLong ? "" : this.#rest.toString("utf8", 0, end);
        this.#isTooLong = false;
        this.#rest = this.#rest.subarray(end + 1);
        return text;
      }
      if (this.#rest.length > LINE_BYTES) {
        this.#isTooLong = true;
        this.#rest = Buffer.alloc(0);
      }
      searched = this.#rest.length;
      const { bytesRead } = await this.#file.read(this.#chunk, 0, CHUNK_BYTES, this.#position);
      if (bytesRead === 0) return undefined;
      this.#position += bytesRead;
      this.#rest = Buffer.concat([this.#rest, this.#chunk.subarray(0, bytesRead)]);
    }
  }
}

/**
 * The state that a journal's first line begins.
 * @param id the id by which the journal is known; one that says otherwise is none
 */
export function beginState({ seq, line }: NumberedLine, id: string): RunState | undefined {
  return seq === 0 && line.t === "start" && line.run.id === id
    ? new RunState(line as StartLine)
    : undefined;
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, READ);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A link is no journal either.
    if (isMissing(error) || code === "ELOOP" || code === "EISDIR") return undefined;
    throw error;
  }
}
