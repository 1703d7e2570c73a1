/** Follows the output of a process in a space; for everything that prints it. */
import type { AttachmentEvent } from "../runtime/bindings/attachment.js";
import type { Client } from "../runtime/contract/contract.js";
import type { ProcessEvent } from "../runtime/contract/processes.js";
import type { Output } from "./output.js";
import type { Target } from "./process-ids.js";

export type ExitEvent = Extract<ProcessEvent, { type: "exit" }>;

interface FollowOptions {
  /** Bytes of each output to leave out. */
  readonly offset?: number | undefined;
  readonly signal: AbortSignal;
  /** The next event is not asked for before this has resolved. */
  readonly onEvent: (event: ProcessEvent) => Promise<void>;
}

/**
 * Follows a process until it has ended.
 * @returns how it ended; undefined when the signal fired first
 * @throws SpacesError what `processes.follow` throws
 */
export async function follow(
  client: Client,
  target: Target,
  { offset = 0, signal, onEvent }: FollowOptions,
): Promise<ExitEvent | undefined> {
  if (signal.aborted) return undefined;
  const from = { stdoutOffset: offset, stderrOffset: offset };
  const events = await client.processes.follow({ ...target, ...from }, { signal });
  return await readToExit(events, signal, onEvent);
}

/**
 * Reads the events of a process until it has ended.
 * @returns how it ended; undefined when the signal fired first
 */
export async function readToExit<E extends ProcessEvent | AttachmentEvent>(
  events: AsyncIterable<E>,
  signal: AbortSignal,
  onEvent: (event: E) => Promise<void>,
): Promise<Extract<E, { type: "exit" }> | undefined> {
  const iterator = events[Symbol.asyncIterator]();
  for (;;) {
    const result = await nextOf(iterator, signal);
    if (result === undefined || result.done === true) return undefined;
    await onEvent(result.value);
    if (result.value.type === "exit") return result.value as Extract<E, { type: "exit" }>;
  }
}

/** The next event, or undefined as soon as the signal fires: a quiet process sends none to wake us. */
function nextOf<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal,
): Promise<IteratorResult<T> | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    iterator
      .next()
      .finally(() => signal.removeEventListener("abort", stop))
      .then(resolve, (error: unknown) => (signal.aborted ? stop() : reject(error)));
  });
}

/** Prints output where it belongs, as bytes, and tells of output that is no longer kept. */
export async function printEvent(
  output: Output,
  event: ProcessEvent | AttachmentEvent,
): Promise<void> {
  if (event.type === "stdout" || event.type === "stderr") {
    const { data } = event;
    await output.bytes(event.type, typeof data === "string" ? Buffer.from(data, "base64") : data);
  } else if (event.type === "lost") {
    output.note(`${event.bytes} bytes of ${event.stream} are no longer kept.`);
  }
}
