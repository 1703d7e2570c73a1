/** Keeps a script's output up to a limit; used by `session.ts`. */

export class OutputKeeper {
  readonly #limit: number;
  #parts: string[] = [];
  #bytes = 0;
  truncated = false;

  /** @param limit bytes of UTF-8 to keep */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(text: string): void {
    if (this.truncated) {
      return;
    }
    const bytes = Buffer.byteLength(text);
    if (this.#bytes + bytes <= this.#limit) {
      this.#bytes += bytes;
      this.#parts.push(text);
      return;
    }
    this.truncated = true;
    this.#parts.push(
      cut(text, this.#limit - this.#bytes),
      `\n[output truncated after ${this.#limit} bytes]\n`,
    );
  }

  get text(): string {
    const text = this.#parts.join("");
    this.#parts = [text];
    return text;
  }
}

/** The longest start of a text that fits into so many bytes of UTF-8. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  let end = bytes;
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) {
    end -= 1;
  }
  return encoded.toString("utf8", 0, end);
}
