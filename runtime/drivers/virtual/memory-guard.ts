/**
 * Watches how much the process grows while commands run, and says when it is too much. Used by the
 * driver, because a worker that is busy allocating cannot watch itself.
 */
import { GROWTH_POLL_MS, MAX_GROWTH_BYTES } from "./limits.js";

export class MemoryGuard {
  readonly #onExcess: () => void;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onExcess called while the process is larger than it may be, until it is not */
  constructor(onExcess: () => void) {
    this.#onExcess = onExcess;
  }

  /** To be called when a command starts. */
  enter(): void {
    this.#users += 1;
    if (this.#timer !== undefined) return;
    const allowed = process.memoryUsage.rss() + MAX_GROWTH_BYTES;
    this.#timer = setInterval(() => {
      if (process.memoryUsage.rss() > allowed) this.#onExcess();
    }, GROWTH_POLL_MS).unref();
  }

  /** To be called when it has ended. */
  leave(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
