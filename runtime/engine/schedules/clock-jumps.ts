/**
 * Puts right what a clock that was ahead has left behind: next times that are further away than they
 * ought to be. Without it a schedule would stand still until its clock has come there again.
 */
import { setImmediate as turn } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { Store } from "../../store/store.js";
import type { ScheduleRow } from "../../store/tables.js";
import { DueTimes } from "./due-times.js";
import { PENDING } from "./open-jobs.js";
import { specOf } from "./sealed-spec.js";

const BATCH = 100;
/** The longest time for which a job is put off, by its jitter or before another attempt. */
const LONGEST_WAIT_MS = 86_400_000;

/**
 * Brings schedules and waiting jobs in line with the clock as it is. What has run already is not run
 * again: its due time is known.
 * @param owner whose; everybody's when absent
 */
export async function realign(store: Store, now: number, owner: string | undefined): Promise<void> {
  await realignJobs(store, now, owner);
  let last = "";
  for (;;) {
    let query = store
      .selectFrom("schedules")
      .selectAll()
      .where("next_due_ms", ">", now)
      .where("id", ">", last);
    if (owner !== undefined) query = query.where("owner", "=", owner);
    const rows = await query.orderBy("id").limit(BATCH).execute();
    for (const row of rows) await realignSchedule(store, row, now);
    const end = rows.at(-1);
    if (end === undefined) return;
    last = end.id;
    await turn();
  }
}

async function realignSchedule(store: Store, row: ScheduleRow, now: number): Promise<void> {
  const next = nextDue(row, now);
  if (next === undefined || row.next_due_ms === null || next >= row.next_due_ms) return;
  await store
    .updateTable("schedules")
    .set({ next_due_ms: next })
    .where("id", "=", row.id)
    .where("next_due_ms", "=", row.next_due_ms)
    .where("updated_at", "=", row.updated_at)
    .execute();
}

function nextDue(row: ScheduleRow, now: number): number | undefined {
  const { cron, timezone } = specOf(row);
  try {
    return DueTimes.of(cron, timezone).after(now);
  } catch (error) {
    // What cannot be read any more is told of when it is due.
    if (SpacesError.isInstance(error)) return undefined;
    throw error;
  }
}

async function realignJobs(store: Store, now: number, owner: string | undefined): Promise<void> {
  const ofOwner = store
    .selectFrom("schedules")
    .select("id")
    .$if(owner !== undefined, (query) => query.where("owner", "=", owner ?? ""));
  // Their times come again, and make them anew.
  await store
    .deleteFrom("jobs")
    .where("status", "=", PENDING)
    .where("trigger", "=", "due")
    .where("attempts", "=", 0)
    .where("due_ms", ">", now)
    .where("schedule_id", "in", ofOwner)
    .execute();
  await store
    .updateTable("jobs")
    .set({ not_before_ms: now })
    .where("status", "=", PENDING)
    .where((where) =>
      where.or([
        where("not_before_ms", ">", now + LONGEST_WAIT_MS),
        where.and([where("trigger", "=", "manual"), where("attempts", "=", 0)]),
      ]),
    )
    .where("not_before_ms", ">", now)
    .where("schedule_id", "in", ofOwner)
    .execute();
}
