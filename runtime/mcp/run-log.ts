/** Reads what a run has printed so far, from its record. For the tool `run_log` and the resource. */
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { Run } from "../contract/runs.js";

interface LogPart {
  readonly run: Run;
  readonly text: string;
  /** Where what is left begins; undefined at the end. */
  readonly nextOffset: number | undefined;
}

/**
 * Reads a part of a run's log.
 * @param offset characters to leave out
 * @param most characters to give
 * @throws SpacesError `RUN_NOT_FOUND`
 */
export async function readLog(
  client: Client,
  id: string,
  {
    offset,
    most,
    signal,
  }: { readonly offset: number; readonly most: number; readonly signal: AbortSignal },
): Promise<LogPart> {
  let text = "";
  let passed = 0;
  let isMore = false;
  for await (const event of await client.runs.follow({ run: id, now: true }, { signal })) {
    if (event.type === "end") {
      return { run: event.run, text, nextOffset: isMore ? offset + text.length : undefined };
    }
    if (event.type === "call") continue;
    const begin = Math.max(0, offset - passed);
    passed += event.text.length;
    // The end of the stream tells how the run ended: it is read to there, and only counted.
    const piece = event.text.slice(begin);
    const room = most - text.length;
    text += piece.slice(0, room);
    isMore ||= piece.length > room;
  }
  throw new SpacesError("INTERNAL", `The log of the run ${id} has no end.`);
}
