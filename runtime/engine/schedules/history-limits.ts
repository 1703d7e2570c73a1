/** Keeps the histories of schedules bounded; the scheduler has it look at some of them at a time. */
import type { Store } from "../../store/store.js";

/** Jobs of one schedule that are kept, and for how long. */
const MOST_KEPT = 1_000;
const KEPT_MS = 90 * 86_400_000;
/**
 * What is younger is kept in any number: a clock that is put back makes times come again, and what
 * has run at them must be known then.
 */
const SURELY_KEPT_MS = 2 * 3_600_000;
const SCHEDULES_AT_ONCE = 100;

export class HistoryLimits {
  readonly #store: Store;
  #last = "";

  constructor(store: Store) {
    this.#store = store;
  }

  /** Looks at the next schedules; after the last one it begins again with the first. */
  async apply(now: number): Promise<void> {
    const schedules = await this.#store
      .selectFrom("schedules")
      .select("id")
      .where("id", ">", this.#last)
      .orderBy("id")
      .limit(SCHEDULES_AT_ONCE)
      .execute();
    for (const { id } of schedules) await this.#applyTo(id, now);
    this.#last = schedules.length < SCHEDULES_AT_ONCE ? "" : (schedules.at(-1)?.id ?? "");
  }

  async #applyTo(scheduleId: string, now: number): Promise<void> {
    const beyond = await this.#store
      .selectFrom("jobs")
      .select("due_ms")
      .where("schedule_id", "=", scheduleId)
      .orderBy("due_ms", "desc")
      .offset(MOST_KEPT - 1)
      .limit(1)
      .executeTakeFirst();
    const oldest = Math.max(now - KEPT_MS, Math.min(beyond?.due_ms ?? 0, now - SURELY_KEPT_MS));
    await this.#store
      .deleteFrom("jobs")
      .where("schedule_id", "=", scheduleId)
      .where("due_ms", "<", oldest)
      .where("ended_ms", "is not", null)
      .where((where) =>
        where.or([where("notify_status", "is", null), where("notify_status", "!=", "pending")]),
      )
      .execute();
  }
}
