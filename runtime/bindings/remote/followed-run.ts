/** The output of a run as it is followed: by the number of the last entry that has been seen. */
import type { RunEvent } from "../../contract/runs.js";
import { foreignAnswer, isRecord } from "./failures.js";
import type { Followed } from "./follow.js";

export class FollowedRun implements Followed<RunEvent> {
  readonly endedEarly = "the output of a run ended before the run";
  readonly #url: string;
  #seen: number;

  /**
   * @param input that of `runs.follow`, which says where to begin
   * @param url the server's, as messages show it
   */
  constructor({ after = 0 }: { readonly after?: number }, url: string) {
    this.#url = url;
    this.#seen = after;
  }

  position(): Readonly<Record<string, number>> {
    return { after: this.#seen };
  }

  take(sent: unknown): RunEvent | undefined {
    const event = checkEvent(sent, this.#url);
    if (event.type !== "end" && event.seq <= this.#seen) return undefined;
    this.#seen = event.seq;
    return event;
  }

  isLast({ type }: RunEvent): boolean {
    return type === "end";
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
