/** The beginning and the end of a text of any length, within a budget. Tools show output so. */

/** How much of a half may be given up so that a cut falls between two lines. */
const LINE_SEARCH = 0.2;

export class Excerpt {
  readonly #half: number;
  readonly #howToGetAll: string;
  #head = "";
  #tail = "";
  #length = 0;

  /**
   * @param budget characters that are shown at most, beside the marker
   * @param howToGetAll what the marker says behind the number of characters that are left out
   */
  constructor(budget: number, howToGetAll: string) {
    this.#half = Math.floor(budget / 2);
    this.#howToGetAll = howToGetAll;
  }

  /** Characters that were added. */
  get length(): number {
    return this.#length;
  }

  /** Whether anything is left out. */
  get isCut(): boolean {
    return this.#length > this.#half * 2;
  }

  add(text: string): void {
    this.#length += text.length;
    const room = this.#half - this.#head.length;
    if (room > 0) this.#head += text.slice(0, room);
    this.#tail += room > 0 ? text.slice(room) : text;
    // Cut seldom: each cut copies.
    if (this.#tail.length > this.#half * 4) this.#tail = this.#tail.slice(-this.#half);
  }

  toString(): string {
    if (!this.isCut) return this.#head + this.#tail;
    const head = endAtLine(this.#head);
    const tail = beginAtLine(this.#tail.slice(-this.#half));
    const left = this.#length - head.length - tail.length;
    return `${head}${head.endsWith("\n") ? "" : "\n"}[… ${left} characters left out: ${this.#howToGetAll} …]\n${tail}`;
  }
}

function endAtLine(text: string): string {
  const at = text.lastIndexOf("\n") + 1;
  if (at >= text.length * (1 - LINE_SEARCH)) return text.slice(0, at);
  // Half of a character would be no text.
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

function beginAtLine(text: string): string {
  const at = text.indexOf("\n") + 1;
  if (at > 0 && at <= text.length * LINE_SEARCH) return text.slice(at);
  return /^[\udc00-\udfff]/.test(text) ? text.slice(1) : text;
}
