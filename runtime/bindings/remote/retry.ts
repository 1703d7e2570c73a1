/** Repeats what failed on the way to a server, with pauses of full jitter; the whole remote binding uses it. */
import { setTimeout as pause } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import { RemoteFailure } from "./failures.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** A server that asks for a longer pause is not waited for: the caller decides then. */
const LONGEST_ASKED_MS = 30_000;

/**
 * How long to pause before a further attempt.
 * @param attempt how many have failed, from 1 on
 * @param random from 0 to 1
 * @returns milliseconds; all of them equally likely up to a bound that doubles
 */
export function pauseMs(attempt: number, random: number = Math.random()): number {
  return random * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
}

interface RetryOptions {
  /** Attempts at most, the first included. */
  readonly attempts: number;
  /** Whether it may be repeated after the server may have seen it. */
  readonly repeatable: boolean;
  readonly signal: AbortSignal | undefined;
  /** Told before each pause. */
  readonly onRetry?: ((failure: RemoteFailure) => void) | undefined;
}

/** Makes an attempt, and further ones where the failure and the options allow them. */
export async function withRetries<R>(attempt: () => Promise<R>, options: RetryOptions): Promise<R> {
  for (let made = 1; ; made++) {
    try {
      return await attempt();
    } catch (failure) {
      if (!(failure instanceof RemoteFailure) || made >= options.attempts) throw failure;
      const again =
        failure.kind === "unsent" || (failure.kind === "transient" && options.repeatable);
      if (!again || (failure.retryAfterMs ?? 0) > LONGEST_ASKED_MS) throw failure;
      options.onRetry?.(failure);
      await wait(Math.max(pauseMs(made), failure.retryAfterMs ?? 0), options.signal);
    }
  }
}

/** Waits. @throws SpacesError `CANCELLED` when the signal fires */
export async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new SpacesError("CANCELLED", undefined, { cause });
  }
}
