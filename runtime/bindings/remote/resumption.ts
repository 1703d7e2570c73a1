/** Decides how long a broken stream is tried to be resumed; for followed output and attachments. */
import { RemoteFailure } from "./failures.js";
import { pauseMs, wait } from "./retry.js";

interface ResumptionOptions {
  /** Milliseconds without success after which the failure stands. */
  readonly giveUpAfterMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onRetry: (failure: RemoteFailure) => void;
}

export class Resumption {
  readonly #options: ResumptionOptions;
  #attempts = 0;
  #brokenAt: number | undefined;

  constructor(options: ResumptionOptions) {
    this.#options = options;
  }

  /** The stream works again. */
  succeeded(): void {
    this.#attempts = 0;
    this.#brokenAt = undefined;
  }

  /**
   * Pauses before the next attempt.
   * @throws the failure itself when it is no passing one, or has lasted too long; SpacesError
   *   `CANCELLED` when the signal fires
   */
  async pauseAfter(failure: unknown): Promise<void> {
    if (!(failure instanceof RemoteFailure) || failure.kind === "final") throw failure;
    const now = performance.now();
    this.#brokenAt ??= now;
    const left = this.#options.giveUpAfterMs - (now - this.#brokenAt);
    if (left <= 0) throw failure;
    this.#attempts += 1;
    this.#options.onRetry(failure);
    const pause = Math.max(pauseMs(this.#attempts), failure.retryAfterMs ?? 0);
    await wait(Math.min(pause, left), this.#options.signal);
  }
}
