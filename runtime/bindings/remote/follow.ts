/**
 * Goes on with a process's output when the way to the server breaks: it asks again for what comes
 * behind the bytes that have been seen, so that none is lost and none comes twice.
 */
import type { ProcessEvent } from "../../contract/processes.js";
import { foreignAnswer, isRecord, RemoteFailure, spacesErrorOf } from "./failures.js";
import { Resumption } from "./resumption.js";

export interface Offsets {
  readonly stdoutOffset: number;
  readonly stderrOffset: number;
}

export interface FollowOptions {
  readonly url: string;
  readonly signal: AbortSignal | undefined;
  readonly giveUpAfterMs: number;
  readonly onRetry: (failure: RemoteFailure) => void;
}

/** Opens the stream behind these offsets. */
type Open = (offsets: Offsets, signal: AbortSignal) => Promise<AsyncIterable<unknown>>;

/**
 * Follows a process through broken connections.
 * @returns when the stream has been opened once; its iterator lets go at once when it is returned,
 *   also while nothing comes
 */
export async function followThrough(
  from: Offsets,
  open: Open,
  options: FollowOptions,
): Promise<AsyncIteratorObject<ProcessEvent, void>> {
  const over = new AbortController();
  const { signal: given } = options;
  const signal = given === undefined ? over.signal : AbortSignal.any([given, over.signal]);
  const first = await open(from, signal);
  return endedBy(over, resumed(first, from, open, { ...options, signal }));
}

/** The events, of which the iterator lets go at once when it is returned. @param over aborted then */
export function endedBy<Event>(
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

async function* resumed(
  first: AsyncIterable<unknown>,
  from: Offsets,
  open: Open,
  { url, signal, giveUpAfterMs, onRetry }: FollowOptions & { readonly signal: AbortSignal },
): AsyncGenerator<ProcessEvent, void> {
  const seen = { stdout: from.stdoutOffset, stderr: from.stderrOffset };
  const resumption = new Resumption({ giveUpAfterMs, signal, onRetry });
  let stream: AsyncIterable<unknown> | undefined = first;
  for (;;) {
    try {
      stream ??= await open({ stdoutOffset: seen.stdout, stderrOffset: seen.stderr }, signal);
      for await (const event of stream) {
        resumption.succeeded();
        const fresh = unseen(checkEvent(event, url), seen);
        if (fresh === undefined) continue;
        yield fresh;
        if (fresh.type === "exit") return;
      }
      throw foreignAnswer(url, "the output of a process ended before the process", "transient");
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

/** Leaves out what has been seen, and counts the rest as seen. */
function unseen(
  event: ProcessEvent,
  seen: { stdout: number; stderr: number },
): ProcessEvent | undefined {
  if (event.type === "lost") {
    seen[event.stream] += event.bytes;
    return event;
  }
  if (event.type === "exit") return event;
  const known = seen[event.type] - event.offset;
  const length = Buffer.byteLength(event.data, "base64");
  if (known > 0) {
    if (known >= length) return undefined;
    seen[event.type] += length - known;
    const rest = Buffer.from(event.data, "base64").subarray(known);
    return { ...event, data: rest.toString("base64"), offset: event.offset + known };
  }
  seen[event.type] = event.offset + length;
  return event;
}

function checkEvent(event: unknown, url: string): ProcessEvent {
  if (isRecord(event)) {
    const { type, data, offset, stream, bytes, exitCode } = event;
    const isOutput = type === "stdout" || type === "stderr";
    if (isOutput && typeof data === "string" && isCount(offset)) return event as ProcessEvent;
    if (type === "lost" && (stream === "stdout" || stream === "stderr") && isCount(bytes)) {
      return event as ProcessEvent;
    }
    if (type === "exit" && Number.isSafeInteger(exitCode)) return event as ProcessEvent;
  }
  throw foreignAnswer(url, "an event of another form in the output of a process");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
