/**
 * Goes on with the output of a run when the way to the server breaks: it asks again for the entries
 * behind the last that has been seen.
 */
import type { RunEvent } from "../../contract/runs.js";
import { foreignAnswer, isRecord, spacesErrorOf } from "./failures.js";
import { endedBy, type FollowOptions, resumable } from "./follow.js";
import { Resumption } from "./resumption.js";

/** Opens the stream behind this entry. */
type Open = (after: number, signal: AbortSignal) => Promise<AsyncIterable<unknown>>;

/**
 * Follows a run through broken connections.
 * @returns when the stream has been opened once; its iterator lets go at once when it is returned
 */
export async function followRunThrough(
  after: number,
  open: Open,
  options: FollowOptions,
): Promise<AsyncIteratorObject<RunEvent, void>> {
  const over = new AbortController();
  const { signal: given } = options;
  const signal = given === undefined ? over.signal : AbortSignal.any([given, over.signal]);
  const first = await open(after, signal);
  return endedBy(over, resumed(first, after, open, { ...options, signal }));
}

async function* resumed(
  first: AsyncIterable<unknown>,
  after: number,
  open: Open,
  { url, signal, giveUpAfterMs, onRetry }: FollowOptions & { readonly signal: AbortSignal },
): AsyncGenerator<RunEvent, void> {
  const resumption = new Resumption({ giveUpAfterMs, signal, onRetry });
  let seen = after;
  let stream: AsyncIterable<unknown> | undefined = first;
  for (;;) {
    try {
      stream ??= await open(seen, signal);
      for await (const value of stream) {
        resumption.succeeded();
        const event = checkEvent(value, url);
        if (event.type !== "end" && event.seq <= seen) continue;
        seen = event.seq;
        yield event;
        if (event.type === "end") return;
      }
      throw foreignAnswer(url, "the output of a run ended before the run", "transient");
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

function checkEvent(event: unknown, url: string): RunEvent {
  if (isRecord(event) && Number.isSafeInteger(event.seq)) {
    const { type, text, call, run } = event;
    const isOutput = type === "stdout" || type === "stderr";
    if (isOutput && typeof text === "string") return event as RunEvent;
    if (type === "call" && isRecord(call)) return event as RunEvent;
    if (type === "end" && isRecord(run)) return event as RunEvent;
  }
  throw foreignAnswer(url, "an event of another form in the output of a run");
}
