/**
 * Makes jobs of the times at which schedules are due, and puts each schedule's next time forward.
 * Several processes may plan at once: what one has planned, the others find done.
 */
import { sql } from "kysely";
import { SpacesError } from "../../contract/errors.js";
import { newId } from "../../contract/new-id.js";
import type { Store } from "../../store/store.js";
import type { JobRow, ScheduleRow } from "../../store/tables.js";
import type { Clock } from "./clock.js";
import { DueTimes } from "./due-times.js";
import { notification } from "./job-ends.js";
import { type Decision, decide } from "./missed.js";
import type { EndedJob } from "./open-jobs.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";
import { MOST_WAITING, waitingOf } from "./waiting.js";

/** Schedules that are looked at together, and how long the event loop may wait for that. */
const BATCH = 100;
const BATCH_MS = 15;
const ROWS_AT_ONCE = 50;
/** A schedule whose expression cannot be read any more is looked at again after this. */
const UNREADABLE_MS = 3_600_000;

interface PlannerOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Whose schedules; everybody's when absent. */
  readonly owner: string | undefined;
  /** Id of the only schedule that is planned. */
  readonly schedule?: string | undefined;
  /** A due time that is found later than this was missed. Milliseconds. */
  readonly graceMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

type NewJob = Pick<
  JobRow,
  "due_ms" | "not_before_ms" | "status" | "made_up" | "ended_ms" | "reason"
> &
  Pick<JobRow, "notify_status" | "notify_due_ms">;

interface Plan {
  readonly row: ScheduleRow;
  readonly spec: StoredSpec;
  readonly decision: Decision;
}

export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /**
   * Plans a batch of the schedules that are due.
   * @returns the jobs that will not run, and whether there may be more schedules to plan
   */
  async planBatch(): Promise<{ readonly ended: EndedJob[]; readonly isMore: boolean }> {
    const { store, clock } = this.#options;
    const now = clock.now();
    const rows = await this.#due(now);
    const plans: Plan[] = [];
    const began = performance.now();
    for (const row of rows) {
      plans.push(this.#decide(row, now));
      if (performance.now() - began > BATCH_MS) break;
    }
    if (plans.length === 0) return { ended: [], isMore: false };
    const ended = await store.transaction().execute(async (transaction) => {
      const all: EndedJob[] = [];
      for (const plan of plans) all.push(...(await this.#write(transaction, plan, now)));
      return all;
    });
    return { ended, isMore: plans.length < rows.length || rows.length === BATCH };
  }

  async #due(now: number): Promise<ScheduleRow[]> {
    const { store, owner, schedule } = this.#options;
    let query = store.selectFrom("schedules").selectAll().where("next_due_ms", "<=", now);
    if (owner !== undefined) query = query.where("owner", "=", owner);
    if (schedule !== undefined) query = query.where("id", "=", schedule);
    return await query.orderBy("next_due_ms").limit(BATCH).execute();
  }

  #decide(row: ScheduleRow, nowMs: number): Plan {
    const spec = specOf(row);
    const dueMs = row.next_due_ms ?? nowMs;
    try {
      const times = DueTimes.of(spec.cron, spec.timezone);
      const { graceMs } = this.#options;
      return { row, spec, decision: decide({ times, policy: spec, dueMs, nowMs, graceMs }) };
    } catch (error) {
      if (!SpacesError.isInstance(error)) throw error;
      // Another version of Node may not know a time zone that this one knew. The others go on.
      const missed = [{ dueMs, reason: error.message }];
      const nextDueMs = nowMs + UNREADABLE_MS;
      return { row, spec, decision: { onTime: [], madeUp: [], missed, nextDueMs } };
    }
  }

  /** Writes a plan, unless the schedule was planned or changed since it was read. */
  async #write(store: Store, { row, spec, decision }: Plan, now: number): Promise<EndedJob[]> {
    const { numUpdatedRows } = await store
      .updateTable("schedules")
      .set({ next_due_ms: decision.nextDueMs ?? null })
      .where("id", "=", row.id)
      .where("next_due_ms", "=", row.next_due_ms)
      .where("updated_at", "=", row.updated_at)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return [];
    const jobs = await this.#jobsOf(store, row, spec, decision, now);
    const ended: EndedJob[] = [];
    for (let from = 0; from < jobs.length; from += ROWS_AT_ONCE) {
      const written = await store
        .insertInto("jobs")
        .values(
          jobs
            .slice(from, from + ROWS_AT_ONCE)
            .map((job) => ({ ...job, id: newId("job"), schedule_id: row.id, trigger: "due" })),
        )
        .onConflict((conflict) =>
          conflict
            .columns(["schedule_id", "due_ms"])
            .where(sql.ref("trigger"), "=", sql.lit("due"))
            // The clock was ahead when the job counted as missed: its time comes only now.
            .doUpdateSet({
              ...{ status: "pending", reason: null, ended_ms: null, notify_due_ms: null },
              ...{ notify_status: null, notify_told: null },
              not_before_ms: (set) => set.ref("excluded.not_before_ms"),
              made_up: (set) => set.ref("excluded.made_up"),
            })
            .where("jobs.status", "=", "missed")
            .where("excluded.status", "=", "pending"),
        )
        .returning(["id", "status"])
        .execute();
      ended.push(...(written.filter(({ status }) => status !== "pending") as EndedJob[]));
    }
    return ended;
  }

  async #jobsOf(
    store: Store,
    row: ScheduleRow,
    spec: StoredSpec,
    { missed, madeUp, onTime }: Decision,
    now: number,
  ): Promise<NewJob[]> {
    const jitter = (): number => Math.floor(this.#options.random() * spec.jitterMs);
    const toRun = [
      ...madeUp.map((dueMs) => ({ dueMs, notBefore: now + jitter(), made_up: 1 })),
      ...onTime.map((dueMs) => ({ dueMs, notBefore: dueMs + jitter(), made_up: 0 })),
    ];
    const room = toRun.length === 0 ? 0 : MOST_WAITING - (await waitingOf(store, row.id));
    const newestMissed = missed.at(-1);
    return [
      ...missed.map((job): NewJob => {
        const told = job === newestMissed ? spec : { notify: null };
        return {
          ...{ due_ms: job.dueMs, not_before_ms: job.dueMs, made_up: 0, status: "missed" },
          ...{ ended_ms: now, reason: job.reason, ...notification(told, "missed", now) },
        };
      }),
      ...toRun.map(({ dueMs, notBefore, made_up }, index): NewJob => {
        const hasRoom = index < room;
        return {
          ...{ due_ms: dueMs, not_before_ms: notBefore, made_up },
          ...{ notify_status: null, notify_due_ms: null },
          ...(hasRoom
            ? { status: "pending", ended_ms: null, reason: null }
            : { status: "skipped", ended_ms: now, reason: `${MOST_WAITING} jobs wait already.` }),
        };
      }),
    ];
  }
}
