/** Appends lines to the journal of a run, whatever becomes of the disk meanwhile. */
import { closeSync, writeSync } from "node:fs";
import type { RunsDirectory } from "./directory.js";
import type { JournalLine } from "./lines.js";

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

  /** Appends a line. @returns whether it was written */
  append(line: JournalLine): boolean {
    if (this.#fd === undefined) return false;
    const bytes = Buffer.from(`${this.#torn ? "\n" : ""}${JSON.stringify(line)}\n`);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
      this.#torn = false;
      return true;
    } catch (error) {
      // Of a full disk: a part may have been written, and there may be room again later.
      this.#torn ||= done > 0;
      this.missing += 1;
      if (this.missing === 1) this.#onTrouble(error as Error);
      return false;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
