/** Appends lines to the journal of a run, whatever becomes of the disk meanwhile. */
import { closeSync, fstatSync, writeSync } from "node:fs";
import type { RunsDirectory } from "./directory.js";
import type { JournalLine } from "./lines.js";

/** Where in the journal a line is, without its newline; in bytes. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

export class JournalWriter {
  readonly #onTrouble: (error: Error) => void;
  #fd: number | undefined;
  /** Whether the last line was cut off: the next one begins on a line of its own. */
  #torn = false;
  /** Lines that could not be written. */
  missing = 0;

  /**
   * Makes the journal of a run. One that cannot be made is no journal: nothing is written then.
   * @param onTrouble told of the first failure
   */
  constructor(directory: RunsDirectory, id: string, onTrouble: (error: Error) => void) {
    this.#onTrouble = onTrouble;
    try {
      this.#fd = directory.createJournal(id);
    } catch (error) {
      onTrouble(error as Error);
    }
  }

  /** Whether there is a journal. */
  get exists(): boolean {
    return this.#fd !== undefined;
  }

  /** Appends a line. @returns where it is; undefined where it could not be written */
  append(line: JournalLine): Place | undefined {
    if (this.#fd === undefined) return undefined;
    const json = JSON.stringify(line);
    const bytes = Buffer.from(`${this.#torn ? "\n" : ""}${json}\n`);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
      this.#torn = false;
      const length = Buffer.byteLength(json);
      return { offset: fstatSync(this.#fd).size - length - 1, length };
    } catch (error) {
      // Of a full disk: a part may have been written, and there may be room again later.
      this.#torn ||= done > 0;
      this.missing += 1;
      if (this.missing === 1) this.#onTrouble(error as Error);
      return undefined;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
