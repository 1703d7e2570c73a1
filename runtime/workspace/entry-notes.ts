/**
 * Notes of what could not be put into an archive, or taken out of one. Bounded: an archive that is
 * made to be refused must not fill the memory with the reasons.
 */

const MOST_NOTES = 1000;
const LONGEST_NAME = 300;

export class EntryNotes {
  readonly #notes: string[] = [];
  #more = 0;

  /** @param why in words, without a full stop */
  add(name: string, why: string): void {
    if (this.#notes.length === MOST_NOTES) this.#more += 1;
    else this.#notes.push(`${shownName(name)}: ${why}`);
  }

  /** All notes; the last one counts those that were too many. */
  get all(): string[] {
    return this.#more === 0 ? [...this.#notes] : [...this.#notes, `… and ${this.#more} more`];
  }
}

/** A name as messages show it: short, and on one line. */
export function shownName(name: string): string {
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
  return /[\p{Cc}\p{Surrogate}]/u.test(short) ? JSON.stringify(short) : short;
}
