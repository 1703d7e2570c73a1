/** Holds the output of a terminal for one loop over it. */

/** A reader that is this far behind holds the terminal's output up. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** The output that one loop has not read yet. */
export class PtyReader {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  #release: (() => void) | undefined;

  /** Resolves when there is room for more. */
  push(data: Uint8Array): Promise<void> {
    this.#pieces.push(data);
    this.#bytes += data.length;
    this.#wake?.();
    if (this.#bytes <= READ_AHEAD_BYTES || this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** The next piece; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const data = this.#pieces.shift();
    this.#bytes -= data?.length ?? 0;
    if (this.#bytes <= READ_AHEAD_BYTES) this.#release?.();
    return data;
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
    this.#release?.();
  }

  /** Nobody reads any more. */
  drop(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.end();
  }
}
