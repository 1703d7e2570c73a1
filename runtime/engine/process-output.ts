/** The output of a process that is attached to, as events with secrets taken out. */
import { SpacesError } from "../contract/errors.js";
import type { AttachedProcess } from "../drivers/driver.js";
import { StreamRedactor } from "../redaction.js";
import type { Offsets } from "./event-ids.js";

/** What a process gives, as bytes. */
export type OutputEvent =
  | { readonly type: "stdout" | "stderr"; readonly data: Buffer; readonly offset: number }
  /** Output that was asked for and is no longer kept. */
  | { readonly type: "lost"; readonly stream: "stdout" | "stderr"; readonly bytes: number }
  | { readonly type: "exit"; readonly exitCode: number; readonly signal?: string };

/**
 * What a process gives from given offsets on, as it comes, and at last its exit.
 * @param cancelled fails the stream with `CANCELLED`
 * @param released ends it quietly: nobody wants more
 */
export async function* eventsOf(
  guest: AttachedProcess,
  from: Offsets,
  secrets: readonly string[],
  cancelled: AbortSignal | undefined,
  released?: AbortSignal,
): AsyncGenerator<OutputEvent, void> {
  for (const stream of ["stdout", "stderr"] as const) {
    if (guest.lost[stream] > 0) yield { type: "lost", stream, bytes: guest.lost[stream] };
  }
  try {
    yield* outputOf(guest, from, secrets, cancelled);
    const { exitCode, signal } = await guest.exit;
    yield { type: "exit", exitCode, ...(signal === undefined ? {} : { signal }) };
  } catch (error) {
    if (released?.aborted !== true) throw error;
  }
}

/** Both outputs of a process, as they come. Reads one piece of each at a time. */
async function* outputOf(
  guest: AttachedProcess,
  from: Offsets,
  secrets: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Extract<OutputEvent, { data: Buffer }>, void> {
  const outputs = (["stdout", "stderr"] as const).map((type) => ({
    type,
    chunks: guest[type][Symbol.asyncIterator]() as AsyncIterator<Buffer>,
    offset: from[type] + guest.lost[type],
    redactor: new StreamRedactor(secrets),
  }));
  const cancel = (): void => {
    for (const { type } of outputs) guest[type].destroy(new SpacesError("CANCELLED"));
  };
  if (signal?.aborted === true) cancel();
  signal?.addEventListener("abort", cancel);
  const next = (output: (typeof outputs)[number]) => {
    const read = output.chunks.next().then((result) => ({ output, result }));
    // It may fail while the caller is busy with an earlier piece; the next turn tells of it.
    read.catch(() => undefined);
    return read;
  };
  const waiting = new Map(outputs.map((output) => [output, next(output)]));
  try {
    while (waiting.size > 0) {
      const { output, result } = await Promise.race(waiting.values());
      const { type, offset, redactor } = output;
      const ended = result.done === true;
      const shown = ended ? redactor.flush() : redactor.push(result.value);
      if (ended) waiting.delete(output);
      else waiting.set(output, next(output));
      output.offset += shown.length;
      if (shown.length > 0) yield { type, offset, data: shown };
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
