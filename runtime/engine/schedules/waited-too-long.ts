/** Gives up jobs that have waited for so long that they count as missed: nothing was free to run them. */
import type { Store } from "../../store/store.js";
import type { ScheduleRow } from "../../store/tables.js";
import { notification } from "./job-ends.js";
import { type Candidate, PENDING } from "./open-jobs.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";

/**
 * Ends a job that has waited for its first attempt longer than its schedule lets it.
 * @param graceMs for how long a job counts as on time
 * @returns whether it was given up
 */
export async function giveUpWaiting(
  store: Store,
  candidate: Candidate,
  schedule: ScheduleRow,
  { now, graceMs }: { readonly now: number; readonly graceMs: number },
): Promise<boolean> {
  const spec = specOf(schedule);
  if (candidate.attempts > 0) return false;
  if (now - candidate.not_before_ms <= longestWait(candidate, spec, graceMs)) return false;
  const { numUpdatedRows } = await store
    .updateTable("jobs")
    .set({
      ...{ status: "missed", ended_ms: now, reason: "It waited for too long to be run." },
      ...notification(spec, "missed", now),
    })
    .where("id", "=", candidate.id)
    .where("status", "=", PENDING)
    .where("attempts", "=", 0)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

function longestWait(
  { trigger, made_up }: Candidate,
  { missed, missedWindowMs, overlap }: StoredSpec,
  graceMs: number,
): number {
  // Who lets jobs wait for each other, or asked for one by hand, does not want it right now or never.
  const isNowOrNever = missed === "skip" && overlap !== "queue";
  return isNowOrNever && trigger === "due" && made_up === 0 ? graceMs : missedWindowMs;
}
