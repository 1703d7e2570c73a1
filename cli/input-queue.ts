/** Brings input to a process in a space, in order: what comes during one write goes with the next. */

/** The most that one write carries, in bytes; as base64 it stays below the contract's 1 MiB. */
const WRITE_BYTES = 524_288;

type Write = (data: Buffer, close: boolean) => Promise<unknown>;

export class InputQueue {
  readonly #write: Write;
  readonly #onError: (error: unknown) => void;
  #waiting: Buffer[] = [];
  #size = 0;
  #ends = false;
  #broken = false;
  #working: Promise<void> | undefined;

  /**
   * @param write brings bytes to the process, and ends its input after the last
   * @param onError told once when a write fails; nothing is written from then on
   */
  constructor(write: Write, onError: (error: unknown) => void) {
    this.#write = write;
    this.#onError = onError;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0 || this.#broken) return;
    this.#waiting.push(bytes);
    this.#size += bytes.length;
    this.#working ??= this.#work();
  }

  /** Ends the input after what was pushed. */
  end(): void {
    this.#ends = true;
    this.#working ??= this.#work();
  }

  /** Resolves when more can be pushed without holding more than about one write. */
  async room(): Promise<void> {
    if (this.#size >= WRITE_BYTES) await this.#working;
  }

  /** Resolves when everything that was pushed has been written. */
  async written(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      while (this.#size > 0 || this.#ends) {
        const data = this.#take();
        const close = this.#ends && this.#size === 0;
        if (close) this.#ends = false;
        await this.#write(data, close);
      }
    } catch (error) {
      this.#broken = true;
      this.#waiting = [];
      this.#size = 0;
      this.#onError(error);
    } finally {
      this.#working = undefined;
    }
  }

  #take(): Buffer {
    const all = Buffer.concat(this.#waiting);
    const rest = all.subarray(WRITE_BYTES);
    this.#waiting = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return all.subarray(0, WRITE_BYTES);
  }
}
