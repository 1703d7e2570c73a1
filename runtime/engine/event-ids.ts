/**
 * Ids of the events of followed output: how many bytes of each output the follower has after the
 * event, so that a stream can be resumed behind any of them. The router gives them.
 */
import { SpacesError } from "../contract/errors.js";
import type { ProcessEvent } from "../contract/processes.js";

/** Bytes of each output. */
export interface Offsets {
  readonly stdout: number;
  readonly stderr: number;
}

export function eventId({ stdout, stderr }: Offsets): string {
  return `${stdout}:${stderr}`;
}

/**
 * Where to follow from: behind the last event that came, else from where the caller says.
 * @throws SpacesError `INVALID_INPUT` for an id that no event has
 */
export function followFrom(
  input: { readonly stdoutOffset: number; readonly stderrOffset: number },
  lastEventId: string | undefined,
): Offsets {
  if (lastEventId === undefined || lastEventId === "") {
    return { stdout: input.stdoutOffset, stderr: input.stderrOffset };
  }
  const [, stdout, stderr] = /^(\d{1,15}):(\d{1,15})$/.exec(lastEventId) ?? [];
  if (stdout === undefined || stderr === undefined) {
    throw new SpacesError("INVALID_INPUT", "The last event id is not one of this stream.");
  }
  return { stdout: Number(stdout), stderr: Number(stderr) };
}

/** The offsets of who had `before` and has now got an event. */
export function offsetsAfter(event: ProcessEvent, before: Offsets): Offsets {
  if (event.type === "exit") return before;
  if (event.type === "lost") {
    return { ...before, [event.stream]: before[event.stream] + event.bytes };
  }
  return { ...before, [event.type]: event.offset + Buffer.byteLength(event.data, "base64") };
}

/**
 * Behind which entry to follow a run: the last that came, else what the caller says.
 * @throws SpacesError `INVALID_INPUT` for an id that no entry has
 */
export function entryAfter(after: number, lastEventId: string | undefined): number {
  if (lastEventId === undefined || lastEventId === "") return after;
  if (/^\d{1,15}$/.test(lastEventId)) return Number(lastEventId);
  throw new SpacesError("INVALID_INPUT", "The last event id is not one of this stream.");
}
