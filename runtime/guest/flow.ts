/**
 * Flow control by credits, for the streams of processes and channels: a reader grants bytes as they
 * are consumed, a writer waits for grants. Used by `guest-process.ts` and `guest-channel.ts`.
 */
import { protocolError } from "./frames.js";
import { LIMITS } from "./protocol.js";

/** What the guest may still send on one stream. What is granted and what is buffered stay in bounds. */
export class ReadCredit {
  #left: number = LIMITS.windowBytes;

  /** Counts bytes that came. Throws `DRIVER_FAILED` when they were not granted. */
  take(bytes: number): void {
    if (bytes === 0) throw protocolError("an empty piece of output");
    if (bytes > this.#left) throw protocolError("more output than was granted");
    this.#left -= bytes;
  }

  /** How much to grant now, with `buffered` bytes not consumed yet; 0 while it is not worth a frame. */
  grant(buffered: number): number {
    const room = LIMITS.windowBytes - this.#left - buffered;
    if (room < LIMITS.windowBytes / 4) return 0;
    this.#left += room;
    return room;
  }
}

/** Sends bytes as far as the guest has granted them; the rest waits. One write at a time. */
export class CreditedWriter {
  readonly #send: (bytes: Buffer) => void;
  #credit: number;
  #waiting: Buffer | undefined;
  #done: (() => void) | undefined;
  #discarding = false;

  constructor(send: (bytes: Buffer) => void, credit: number = LIMITS.windowBytes) {
    this.#send = send;
    this.#credit = credit;
  }

  write(bytes: Buffer, done: () => void): void {
    this.#waiting = bytes;
    this.#done = done;
    this.#advance();
  }

  /** Adds a grant. Throws `DRIVER_FAILED` when it exceeds what was ever sent. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > LIMITS.windowBytes) throw protocolError("more credit than was used");
    this.#advance();
  }

  /** Sets what may be sent, when the guest has counted anew. */
  reset(credit: number): void {
    if (credit > LIMITS.windowBytes) throw protocolError("too large a window");
    this.#credit = credit;
    this.#advance();
  }

  /** Nobody reads any more: what is and will be written counts as done. */
  discard(): void {
    this.#discarding = true;
    this.#advance();
  }

  #advance(): void {
    let rest = this.#waiting;
    if (rest === undefined) return;
    while (!this.#discarding && rest.length > 0 && this.#credit > 0) {
      const piece = rest.subarray(0, Math.min(this.#credit, LIMITS.chunkBytes));
      rest = rest.subarray(piece.length);
      this.#credit -= piece.length;
      this.#send(piece);
    }
    this.#waiting = rest;
    if (!this.#discarding && rest.length > 0) return;
    const done = this.#done;
    this.#waiting = undefined;
    this.#done = undefined;
    done?.();
  }
}
