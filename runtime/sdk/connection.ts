/** What all objects of the SDK call through: a binding that is opened when it is first needed. */
import type { Attachment, AttachOptions, AttachTarget } from "../bindings/attachment.js";
import type { Binding, BindingOptions } from "../bindings/binding.js";
import { openBinding } from "../bindings/select.js";
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import { sdkError, toSdkError } from "./errors.js";

export interface CallOptions {
  /** Ends the call with `CANCELLED`; a signal of `AbortSignal.timeout` with `CALL_TIMEOUT`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the call may take; the client's when absent. */
  readonly timeoutMs?: number | undefined;
}

/** The options that the contract's client takes. */
export interface ClientCallOptions {
  readonly signal?: AbortSignal;
}

type Call<R> = (client: Client, options: ClientCallOptions) => Promise<R>;

export class Connection implements AsyncDisposable {
  readonly #options: BindingOptions;
  readonly #timeoutMs: number | undefined;
  #binding: Promise<Binding> | undefined;
  #closed = false;

  /** @param timeoutMs milliseconds that a call may take which does not say its own */
  constructor(options: BindingOptions, timeoutMs: number | undefined) {
    this.#options = options;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Makes a call of the contract.
   * @throws SpacesError what the call throws; `CANCELLED` when its signal fired, `CALL_TIMEOUT` when
   *   its time was up
   */
  call<R>(make: Call<R>, { signal, timeoutMs = this.#timeoutMs }: CallOptions = {}): Promise<R> {
    return this.#make(make, limited(signal, timeoutMs));
  }

  /**
   * Makes a call that has a time limit of its own in its input, or none: the client's limit does not
   * apply to it.
   */
  callUnbounded<R>(make: Call<R>, signal: AbortSignal | undefined): Promise<R> {
    return this.#make(make, signal);
  }

  /** Makes a call that gives a stream of events, whose errors are those of the SDK too. */
  async *stream<T>(
    make: Call<AsyncIterable<T>>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<T, void> {
    const events = await this.#make(make, signal);
    try {
      yield* events;
    } catch (error) {
      throw translated(error, signal);
    }
  }

  /** Attaches to a process. @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING` */
  async attach(target: AttachTarget, options: AttachOptions): Promise<Attachment> {
    try {
      return await (await this.#open(options.signal)).attach(target, options);
    } catch (error) {
      throw translated(error, options.signal);
    }
  }

  /** Closes the binding; calls under way are cancelled. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await (await this.#binding?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  async #make<R>(make: Call<R>, signal: AbortSignal | undefined): Promise<R> {
    try {
      const { client } = await this.#open(signal);
      return await make(client, signal === undefined ? {} : { signal });
    } catch (error) {
      throw translated(error, signal);
    }
  }

  async #open(signal: AbortSignal | undefined): Promise<Binding> {
    if (signal?.aborted === true) throw sdkError("CANCELLED");
    if (this.#closed) {
      throw sdkError("CANCELLED", "The client is closed.", { suggestion: "Make a new client." });
    }
    this.#binding ??= openBinding(this.#options).catch((error: unknown) => {
      // The next call tries again: what was missing may be there by then.
      this.#binding = undefined;
      throw error;
    });
    return await this.#binding;
  }
}

/** A signal that fires with the given one and when the time is up. */
export function limited(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  if (!(timeoutMs > 0 && timeoutMs <= LONGEST_MS)) {
    throw sdkError("INVALID_INPUT", `timeoutMs: must be more than 0 and at most ${LONGEST_MS}`);
  }
  const limit = AbortSignal.timeout(Math.ceil(timeoutMs));
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}

/** A week, as everywhere; Node's timers carry 24 days. */
const LONGEST_MS = 604_800_000;

/** Whether a signal fired because a time was up. */
export function isTimeUp(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && (signal.reason as Error | undefined)?.name === "TimeoutError";
}

/** What a call threw, as the SDK throws it. */
function translated(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true && isEndBySignal(error)) {
    const code = isTimeUp(signal) ? "CALL_TIMEOUT" : "CANCELLED";
    return sdkError(code, undefined, { cause: signal.reason });
  }
  return SpacesError.isInstance(error) ? toSdkError(error) : error;
}

/** Whether an error says no more than that its call was ended by a signal. */
function isEndBySignal(error: unknown): boolean {
  if (!SpacesError.isInstance(error)) return (error as Error | undefined)?.name === "AbortError";
  return error.code === "CANCELLED" || (error.cause as Error | undefined)?.name === "AbortError";
}
