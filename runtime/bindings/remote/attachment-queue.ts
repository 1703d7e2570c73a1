/** Events of an attachment between the connection that brings them and who reads them. */
import type { AttachmentEvent } from "../attachment.js";

/** Bytes that wait for the reader before the connection is paused, and at which it goes on. */
const FULL_BYTES = 1024 * 1024;
const ROOM_BYTES = 256 * 1024;

export class AttachmentQueue {
  readonly #onRoom: () => void;
  readonly #waiting: AttachmentEvent[] = [];
  #bytes = 0;
  #full = false;
  #over: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param onRoom told when a full queue has room again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return this.#full;
  }

  push(event: AttachmentEvent): void {
    this.#waiting.push(event);
    this.#bytes += sizeOf(event);
    if (this.#bytes >= FULL_BYTES) this.#full = true;
    this.#wake?.();
  }

  /** No event comes any more. */
  end(): void {
    this.#finish(undefined);
  }

  /** The reader meets this error behind what has come. */
  fail(error: unknown): void {
    this.#finish(error);
  }

  async *events(): AsyncGenerator<AttachmentEvent, void> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) {
        this.#bytes -= sizeOf(event);
        if (this.#full && this.#bytes <= ROOM_BYTES) {
          this.#full = false;
          this.#onRoom();
        }
        yield event;
      } else if (this.#over !== undefined) {
        if (this.#over.error !== undefined) throw this.#over.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #finish(error: unknown): void {
    this.#over ??= { error };
    this.#wake?.();
  }
}

/** Small events count too: a flood of them must not fill the memory. */
function sizeOf(event: AttachmentEvent): number {
  return 64 + ("data" in event ? event.data.length : 0);
}
