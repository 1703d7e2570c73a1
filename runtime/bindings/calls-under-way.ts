/** Keeps count of the calls of a binding, so that it can close without leaving anything behind. */

/**
 * The calls that are under way. Closing cancels them and waits for their clean-up: a command that
 * is being killed must be dead before the engine is gone.
 */
export class CallsUnderWay implements AsyncDisposable {
  readonly #running = new Map<AbortController, Promise<unknown>>();
  readonly #streams = new Set<AbortController>();

  /**
   * Makes a call that ends when either its own signal fires or the binding closes. A call that gives
   * a stream is under way until the stream has ended.
   */
  async track<R>(
    signal: AbortSignal | undefined,
    call: (either: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const { either, release } = this.#begin(signal);
    const running = call(either.signal);
    this.#running.set(either, running);
    try {
      const result = await running;
      if (isStream(result)) {
        this.#streams.add(either);
        return untilEnd(result, release) as R;
      }
      if (hasBody(result)) return { ...result, body: bytesUntilEnd(result.body, release) };
      release();
      return result;
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Keeps something that lasts, such as an attachment, under way until it is disposed. Its signal
   * fires when it is to end.
   */
  hold(signal: AbortSignal | undefined): { readonly signal: AbortSignal } & Disposable {
    const { either, release } = this.#begin(signal);
    this.#running.set(either, Promise.resolve());
    this.#streams.add(either);
    return { signal: either.signal, [Symbol.dispose]: release };
  }

  #begin(signal: AbortSignal | undefined): {
    readonly either: AbortController;
    readonly release: () => void;
  } {
    const either = new AbortController();
    const forward = (): void => either.abort(signal?.reason);
    if (signal?.aborted === true) forward();
    signal?.addEventListener("abort", forward);
    const release = (): void => {
      this.#running.delete(either);
      this.#streams.delete(either);
      signal?.removeEventListener("abort", forward);
    };
    return { either, release };
  }

  /**
   * Cancels every call that is under way.
   * @param reason what the calls' signals tell
   */
  cancel(reason?: unknown): void {
    for (const either of [...this.#running.keys()]) either.abort(reason);
  }

  /** Cancels the streams alone. */
  cancelStreams(reason?: unknown): void {
    for (const either of [...this.#streams]) either.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#running.values()];
    this.cancel();
    await Promise.allSettled(running);
  }
}

function isStream(result: unknown): result is AsyncIterable<unknown> {
  return typeof result === "object" && result !== null && Symbol.asyncIterator in result;
}

function hasBody(result: unknown): result is { body: ReadableStream<Uint8Array> } {
  if (typeof result !== "object" || result === null || !("body" in result)) return false;
  return result.body instanceof ReadableStream;
}

/** The bytes, and a call at their end. Reads no more than is asked for. */
function bytesUntilEnd(
  bytes: ReadableStream<Uint8Array>,
  end: () => void,
): ReadableStream<Uint8Array> {
  const reader = bytes.getReader();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // Also of a stream that nobody reads.
        reader.closed.then(end, (error) => {
          end();
          controller.error(error);
        });
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/**
 * The stream, and a call at its end. Not a generator: those do nothing at all when they are given up
 * before the first piece is asked for.
 */
function untilEnd(stream: AsyncIterable<unknown>, end: () => void): AsyncIterableIterator<unknown> {
  const iterator = stream[Symbol.asyncIterator]();
  const endWith = async (step: Promise<IteratorResult<unknown>>) => {
    try {
      const result = await step;
      if (result.done === true) end();
      return result;
    } catch (error) {
      end();
      throw error;
    }
  };
  return {
    next: () => endWith(iterator.next()),
    return: async (value) => {
      end();
      return (await iterator.return?.(value)) ?? { done: true, value };
    },
    throw: async (error) => {
      end();
      if (iterator.throw === undefined) throw error;
      return iterator.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
