/**
 * Goes on with a stream when the way to the server breaks: it asks again for what comes behind what
 * has been seen, so that nothing is lost and nothing comes twice. `followed-process.ts` and
 * `followed-run.ts` say what that is.
 */
import { foreignAnswer, RemoteFailure, spacesErrorOf } from "./failures.js";
import { Resumption } from "./resumption.js";

/** What is followed, and how far it has been seen. */
export interface Followed<Event> {
  /** What a stream that ends early failed at, such as `the output of a run ended before the run`. */
  readonly endedEarly: string;
  /** The part of the call's input that asks for what comes behind all that has been seen. */
  position(): Readonly<Record<string, number>>;
  /**
   * Takes what the server sent, and counts it as seen.
   * @returns the event, without what was seen before; undefined where nothing is left of it
   * @throws RemoteFailure for what is no event of this stream
   */
  take(sent: unknown): Event | undefined;
  /** Whether nothing comes behind this event. */
  isLast(event: Event): boolean;
}

export interface FollowOptions {
  readonly url: string;
  readonly signal: AbortSignal | undefined;
  readonly giveUpAfterMs: number;
  readonly onRetry: (failure: RemoteFailure) => void;
}

/** Opens the stream behind a position. */
type Open = (
  position: Readonly<Record<string, number>>,
  signal: AbortSignal,
) => Promise<AsyncIterable<unknown>>;

/**
 * Follows a stream through broken connections.
 * @returns when the stream has been opened once; its iterator lets go at once when it is returned,
 *   also while nothing comes
 */
export async function followThrough<Event>(
  followed: Followed<Event>,
  open: Open,
  options: FollowOptions,
): Promise<AsyncIteratorObject<Event, void>> {
  const over = new AbortController();
  const { signal: given } = options;
  const signal = given === undefined ? over.signal : AbortSignal.any([given, over.signal]);
  const first = await open(followed.position(), signal);
  return endedBy(over, resumed(first, followed, open, { ...options, signal }));
}

/** The events, of which the iterator lets go at once when it is returned. @param over aborted then */
function endedBy<Event>(
  over: AbortController,
  events: AsyncGenerator<Event, void>,
): AsyncIteratorObject<Event, void> {
  const iterator: AsyncIteratorObject<Event, void> = {
    async next() {
      try {
        return await events.next();
      } catch (error) {
        if (over.signal.aborted) return { done: true, value: undefined };
        throw error;
      }
    },
    async return() {
      over.abort();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      over.abort();
    },
  };
  return iterator;
}

async function* resumed<Event>(
  first: AsyncIterable<unknown>,
  followed: Followed<Event>,
  open: Open,
  { url, signal, giveUpAfterMs, onRetry }: FollowOptions & { readonly signal: AbortSignal },
): AsyncGenerator<Event, void> {
  const resumption = new Resumption({ giveUpAfterMs, signal, onRetry });
  let stream: AsyncIterable<unknown> | undefined = first;
  for (;;) {
    try {
      stream ??= await open(followed.position(), signal);
      for await (const sent of stream) {
        resumption.succeeded();
        const event = followed.take(sent);
        if (event === undefined) continue;
        yield event;
        if (followed.isLast(event)) return;
      }
      throw foreignAnswer(url, followed.endedEarly, "transient");
    } catch (failure) {
      stream = undefined;
      try {
        await resumption.pauseAfter(resumable(failure, signal));
      } catch (error) {
        throw spacesErrorOf(error);
      }
    }
  }
}

/** What a server that shuts down ends its streams with is no reason to stop. */
export function resumable(failure: unknown, signal: AbortSignal | undefined): unknown {
  if (!(failure instanceof RemoteFailure) || failure.kind !== "final") return failure;
  const { code } = failure.error;
  const cutOff = code === "SHUTTING_DOWN" || code === "CANCELLED";
  return cutOff && signal?.aborted !== true
    ? new RemoteFailure(failure.error, "transient")
    : failure;
}
