/** Follows runs: at once where this process runs them, else by looking at their journals. */
import { SpacesError } from "../contract/errors.js";
import type { RunEvent } from "../contract/runs.js";
import { activeRun } from "../runs/active.js";
import type { RunRecorder } from "../runs/recorder.js";
import { pause } from "./operations.js";
import type { RunRecords } from "./run-records.js";

/** Milliseconds between two looks at the journal of another process. */
const POLL_MS = 50;

export interface FollowRequest {
  /** Entries up to this one are left out. */
  readonly after: number;
  readonly calls: boolean;
  readonly now: boolean;
}

/** The entries of a run's record, and at last its end. @throws SpacesError `CANCELLED` */
export async function* followRun(
  records: RunRecords,
  id: string,
  { after, calls, now }: FollowRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<RunEvent, void> {
  const recorder = activeRun(records.directory.dataDir, id);
  using entries = recorder === undefined ? undefined : new EntryWatch(recorder);
  await using journal = await records.open(id);
  let last = 0;
  for (let sawEnd = false; ; ) {
    for await (const { seq, event } of journal?.more() ?? []) {
      last = seq;
      if (event === undefined || seq <= after) continue;
      if (event.type !== "call" || calls) yield event;
    }
    if (journal?.state.ended === true || now) break;
    if (recorder?.ended === true) {
      // Its last entries may have come since; that they do not come at all is the disk's fault.
      if (sawEnd) break;
      sawEnd = true;
    } else if (entries !== undefined) {
      await entries.next(signal);
    } else if (journal === undefined) {
      return;
    } else if (!(await journal.endIfDead())) {
      await pause(POLL_MS, signal);
    }
  }
  const run =
    journal?.state.ended === true ? journal.state.run : (recorder?.run ?? journal?.state.run);
  if (run !== undefined) yield { type: "end", seq: last, run };
}

/** Waits for the entries of a run that this process records. */
export class EntryWatch implements Disposable {
  readonly #listening: Disposable;
  #hasNew = false;
  #wake: (() => void) | undefined;

  constructor(recorder: RunRecorder) {
    this.#listening = recorder.onEntry(() => {
      this.#hasNew = true;
      this.#wake?.();
    });
  }

  /**
   * Waits until there is an entry that came since the last call, or since this was made.
   * @throws SpacesError `CANCELLED` when the signal fires
   */
  async next(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#hasNew) {
      await new Promise<void>((resolve, reject) => {
        const cancel = (): void => reject(new SpacesError("CANCELLED"));
        if (signal?.aborted === true) return cancel();
        signal?.addEventListener("abort", cancel, { once: true });
        this.#wake = () => {
          signal?.removeEventListener("abort", cancel);
          resolve();
        };
      });
    }
    this.#hasNew = false;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}
