/**
 * How jobs end in the store: with what their schedule counts, and with the notification that is due
 * then. Whoever runs a job calls it, and whoever finds that what ran one is gone.
 */
import type { SerializedError } from "../../contract/errors.js";
import type { JobStatus } from "../../contract/schedules.js";
import type { Store } from "../../store/store.js";
import type { JobRow, ScheduleRow } from "../../store/tables.js";
import { RUNNING } from "./open-jobs.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";

/** A delay does not double beyond a day. */
const LONGEST_DELAY_MS = 86_400_000;

/** How an attempt ended. */
export interface Outcome {
  readonly status: "succeeded" | "failed" | "cancelled" | "interrupted" | "skipped";
  readonly run?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly error?: SerializedError | undefined;
  readonly reason?: string | undefined;
}

/** The status of a job whose end its author wants to hear of. */
const TOLD: readonly JobStatus[] = ["failed", "interrupted", "missed"];

/** The columns by which a notification is due, where there is to be one. */
export function notification(
  { notify }: Pick<StoredSpec, "notify">,
  status: JobStatus,
  now: number,
): Pick<JobRow, "notify_status" | "notify_due_ms"> {
  const isTold = notify !== null && TOLD.includes(status);
  return isTold
    ? { notify_status: "pending", notify_due_ms: now }
    : { notify_status: null, notify_due_ms: null };
}

/**
 * Writes how an attempt ended: the job ends with it, or waits for another attempt.
 * @param job as it was claimed; without effect where that claim is gone
 * @param schedule as it was when the job was claimed
 * @returns the job's status, or undefined where it was not its holder's any more
 */
export async function endAttempt(
  store: Store,
  { job, schedule }: { readonly job: JobRow; readonly schedule: ScheduleRow },
  outcome: Outcome,
  now: number,
): Promise<JobStatus | undefined> {
  const spec = specOf(schedule);
  const { status, run, exitCode, error, reason } = outcome;
  const hasFailed = status === "failed" || status === "interrupted";
  const isTriedAgain = hasFailed && job.attempts <= spec.retries;
  const notBegun = status === "skipped" ? { attempts: job.attempts - 1 } : {};
  const values = {
    holder: null,
    renewed_ms: null,
    ...(run === undefined ? {} : { run }),
    exit_code: exitCode ?? null,
    error: error === undefined ? null : JSON.stringify(error),
    reason: reason ?? null,
    ...notBegun,
    ...(notBegun.attempts === 0 ? { started_ms: null, lag_ms: null } : {}),
    ...(isTriedAgain
      ? { status: "pending", not_before_ms: now + delayOf(spec, job.attempts) }
      : { status, ended_ms: now, ...notification(spec, status, now) }),
  };
  return await store.transaction().execute(async (transaction) => {
    const ended = await transaction
      .updateTable("jobs")
      .set(values)
      .where("id", "=", job.id)
      .where("status", "=", RUNNING)
      .where("holder", "=", job.holder)
      .where("attempts", "=", job.attempts)
      .returning("status")
      .executeTakeFirst();
    if (ended === undefined) return undefined;
    if (!isTriedAgain && (hasFailed || status === "succeeded")) {
      await transaction
        .updateTable("schedules")
        .set((set) => ({ failures: hasFailed ? set("failures", "+", 1) : 0 }))
        .where("id", "=", schedule.id)
        // Most succeed after one that did: nothing has to be written for them.
        .$if(!hasFailed, (query) => query.where("failures", "!=", 0))
        .execute();
    }
    return ended.status as JobStatus;
  });
}

/** Milliseconds before the attempt after this one. */
function delayOf({ retryDelayMs }: Pick<StoredSpec, "retryDelayMs">, attempts: number): number {
  return Math.min(retryDelayMs * 2 ** (attempts - 1), LONGEST_DELAY_MS);
}
