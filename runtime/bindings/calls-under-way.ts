/** Keeps count of the calls of a binding, so that it can close without leaving anything behind. */

/**
 * The calls that are under way. Closing cancels them and waits for their clean-up: a command that
 * is being killed must be dead before the engine is gone.
 */
export class CallsUnderWay implements AsyncDisposable {
  readonly #running = new Map<AbortController, Promise<unknown>>();

  /**
   * Makes a call that ends when either its own signal fires or the binding closes. A call that gives
   * a stream is under way until the stream has ended.
   */
  async track<R>(
    signal: AbortSignal | undefined,
    call: (either: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const either = new AbortController();
    const forward = (): void => either.abort(signal?.reason);
    if (signal?.aborted === true) forward();
    signal?.addEventListener("abort", forward);
    const release = (): void => {
      this.#running.delete(either);
      signal?.removeEventListener("abort", forward);
    };
    const running = call(either.signal);
    this.#running.set(either, running);
    try {
      const result = await running;
      if (isStream(result)) return untilEnd(result, release) as R;
      release();
      return result;
    } catch (error) {
      release();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#running];
    for (const [either] of running) either.abort();
    await Promise.allSettled(running.map(([, call]) => call));
  }
}

function isStream(result: unknown): result is AsyncIterable<unknown> {
  return typeof result === "object" && result !== null && Symbol.asyncIterator in result;
}

async function* untilEnd(stream: AsyncIterable<unknown>, end: () => void) {
  try {
    yield* stream;
  } finally {
    end();
  }
}
