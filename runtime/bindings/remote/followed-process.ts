/** The output of a process as it is followed: by the bytes of each output that have been seen. */
import type { ProcessEvent } from "../../contract/processes.js";
import { foreignAnswer, isRecord } from "./failures.js";
import type { Followed } from "./follow.js";

/** The input of `processes.follow` that says where to begin. */
interface Offsets {
  readonly stdoutOffset?: number;
  readonly stderrOffset?: number;
}

export class FollowedProcess implements Followed<ProcessEvent> {
  readonly endedEarly = "the output of a process ended before the process";
  readonly #url: string;
  readonly #seen: { stdout: number; stderr: number };

  /** @param url the server's, as messages show it */
  constructor({ stdoutOffset = 0, stderrOffset = 0 }: Offsets, url: string) {
    this.#url = url;
    this.#seen = { stdout: stdoutOffset, stderr: stderrOffset };
  }

  position(): Readonly<Record<string, number>> {
    return { stdoutOffset: this.#seen.stdout, stderrOffset: this.#seen.stderr };
  }

  take(sent: unknown): ProcessEvent | undefined {
    return unseen(checkEvent(sent, this.#url), this.#seen);
  }

  isLast({ type }: ProcessEvent): boolean {
    return type === "exit";
  }
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
