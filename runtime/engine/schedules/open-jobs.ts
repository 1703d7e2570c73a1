/**
 * The jobs that are not over, in the store: which may begin, who has claimed them, how they end. Each
 * statement stands for itself, so that of several processes at once one claims a job.
 */
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { JobStatus } from "../../contract/schedules.js";
import { PROCESS_IDENTITY } from "../../process-identity.js";
import type { Store } from "../../store/store.js";
import type { JobRow, ScheduleRow, Tables } from "../../store/tables.js";

/** A job that may begin. */
export interface Candidate {
  readonly id: string;
  readonly attempts: number;
  readonly not_before_ms: number;
  readonly made_up: number;
  readonly trigger: string;
  readonly scheduleId: string;
  readonly owner: string;
}

/** A job that this process runs, with its schedule as it was at that moment. */
export interface ClaimedJob {
  readonly job: JobRow;
  readonly schedule: ScheduleRow;
}

/** A job that came to its end without this process running it. */
export interface EndedJob {
  readonly id: string;
  readonly status: JobStatus;
}

/** Literals: SQLite takes an index of the open jobs only for what is known when it prepares. */
export const PENDING = sql.lit("pending");
export const RUNNING = sql.lit("running");

const A_NEWER_ONE = "A newer job was due.";
const ANOTHER_RAN = "Another job of the schedule was still running.";

/**
 * Jobs that may begin now, in an order in which every owner has its turn.
 * @param owner whose jobs; everybody's when absent
 */
export async function jobsToBegin(
  store: Store,
  { now, owner, limit }: { now: number; owner: string | undefined; limit: number },
): Promise<Candidate[]> {
  return await store
    .with("waiting", (db) => {
      let query = db
        .selectFrom("jobs")
        .innerJoin("schedules", "schedules.id", "jobs.schedule_id")
        .where("jobs.status", "=", PENDING)
        .where("jobs.not_before_ms", "<=", now)
        .where((where) => where.or([where("overlap", "=", "allow"), where.not(hasActive(where))]));
      if (owner !== undefined) query = query.where("schedules.owner", "=", owner);
      return query
        .select(["jobs.id", "jobs.attempts", "jobs.not_before_ms", "jobs.made_up", "jobs.trigger"])
        .select(["jobs.due_ms", "schedules.owner", "schedules.id as scheduleId"])
        .select((select) =>
          select.fn
            .agg<number>("row_number")
            .over((over) =>
              over
                .partitionBy("schedules.owner")
                // Who lets a new job take the place of an old one wants the new one first.
                .orderBy(sql`iif(schedules.overlap = 'cancel', jobs.made_up, 0)`)
                .orderBy("jobs.not_before_ms")
                .orderBy("jobs.due_ms")
                .orderBy("jobs.id"),
            )
            .as("turn"),
        );
    })
    .selectFrom("waiting")
    .select(["id", "attempts", "not_before_ms", "made_up", "trigger", "owner", "scheduleId"])
    .orderBy("turn")
    .orderBy("not_before_ms")
    .limit(limit)
    .execute();
}

/**
 * Claims a job for this process.
 * @param schedule the job's
 * @returns the job, or undefined where another process was faster, or where another job of a schedule
 *   that has one at a time has begun
 */
export async function claim(
  store: Store,
  { id, attempts }: Candidate,
  schedule: ScheduleRow,
  now: number,
): Promise<ClaimedJob | undefined> {
  let query = store
    .updateTable("jobs")
    .set((set) => ({
      status: "running",
      attempts: set("attempts", "+", 1),
      holder: PROCESS_IDENTITY,
      renewed_ms: now,
      cancel_asked: 0,
      ...{ run: null, exit_code: null, error: null, reason: null },
      started_ms: set.fn.coalesce("started_ms", set.val(now)),
      lag_ms: set.fn.coalesce(
        "lag_ms",
        sql<number>`max(0, ${now} - iif(made_up, due_ms, not_before_ms))`,
      ),
    }))
    .where("id", "=", id)
    .where("status", "=", PENDING)
    .where("attempts", "=", attempts);
  if (schedule.overlap !== "allow") query = query.where((where) => where.not(hasActive(where)));
  const job = await query.returningAll().executeTakeFirst();
  return job === undefined ? undefined : { job, schedule };
}

/**
 * Applies the overlap policies to the jobs that are due while another one of their schedule runs.
 * @returns those that will not run, and the running ones that are to be cancelled
 */
export async function settleOverlaps(
  store: Store,
  now: number,
): Promise<{ readonly ended: EndedJob[]; readonly toCancel: string[] }> {
  const skipped = await store
    .updateTable("jobs")
    .set({ status: "skipped", ended_ms: now, reason: ANOTHER_RAN })
    .where((where) => isDueFirst(where, now))
    .where((where) => hasOverlap(where, "skip"))
    .where(hasActive)
    .returning("id")
    .execute();
  const superseded = await store
    .updateTable("jobs")
    .set({ status: "skipped", ended_ms: now, reason: A_NEWER_ONE })
    .where((where) => isDueFirst(where, now))
    .where((where) => hasOverlap(where, "cancel"))
    .where((where) => hasNewerDue(where, now, ">"))
    .returning("id")
    .execute();
  const cancelled = await store
    .updateTable("jobs")
    .set({ status: "cancelled", ended_ms: now, reason: A_NEWER_ONE })
    .where("status", "=", PENDING)
    .where("attempts", ">", 0)
    .where((where) => hasOverlap(where, "cancel"))
    .where((where) => hasNewerDue(where, now, ">="))
    .returning("id")
    .execute();
  const asked = await store
    .updateTable("jobs")
    .set({ cancel_asked: 1, reason: A_NEWER_ONE })
    .where("status", "=", RUNNING)
    .where("cancel_asked", "=", 0)
    .where((where) => hasOverlap(where, "cancel"))
    .where((where) => hasNewerDue(where, now, ">="))
    .returning("id")
    .execute();
  return {
    ended: [
      ...[...skipped, ...superseded].map(({ id }) => ({ id, status: "skipped" as const })),
      ...cancelled.map(({ id }) => ({ id, status: "cancelled" as const })),
    ],
    toCancel: asked.map(({ id }) => id),
  };
}

/**
 * Renews the claims of this process.
 * @returns what is still its own, and whether it is to be cancelled
 */
export async function renew(
  store: Store,
  ids: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, Pick<JobRow, "attempts" | "cancel_asked" | "reason">>> {
  if (ids.length === 0) return new Map();
  const rows = await store
    .updateTable("jobs")
    .set({ renewed_ms: now })
    .where("id", "in", ids)
    .where("status", "=", RUNNING)
    .where("holder", "=", PROCESS_IDENTITY)
    .returning(["id", "attempts", "cancel_asked", "reason"])
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

type JobsExpression = ExpressionBuilder<Tables, "jobs">;

/** Another job of the same schedule runs, or waits between two attempts. */
function hasActive(where: JobsExpression): Expression<SqlBool> {
  return where.exists(
    where
      .selectFrom("jobs as other")
      .select("other.id")
      .whereRef("other.schedule_id", "=", "jobs.schedule_id")
      .whereRef("other.id", "!=", "jobs.id")
      .where((other) =>
        other.or([
          other("other.status", "=", RUNNING),
          other.and([other("other.status", "=", PENDING), other("other.attempts", ">", 0)]),
        ]),
      ),
  );
}

/** It waits for its first attempt, at a time of its own: not for what was missed before. */
function isDueFirst(where: JobsExpression, now: number): Expression<SqlBool> {
  return where.and([
    where("jobs.status", "=", PENDING),
    where("jobs.attempts", "=", 0),
    where("jobs.made_up", "=", 0),
    where("jobs.not_before_ms", "<=", now),
  ]);
}

function hasNewerDue(where: JobsExpression, now: number, than: ">" | ">="): Expression<SqlBool> {
  return where.exists(
    where
      .selectFrom("jobs as newer")
      .select("newer.id")
      .whereRef("newer.schedule_id", "=", "jobs.schedule_id")
      .whereRef("newer.id", "!=", "jobs.id")
      .whereRef("newer.due_ms", than, "jobs.due_ms")
      .where("newer.status", "=", PENDING)
      .where("newer.attempts", "=", 0)
      .where("newer.made_up", "=", 0)
      .where("newer.not_before_ms", "<=", now),
  );
}

function hasOverlap(where: JobsExpression, overlap: string): Expression<SqlBool> {
  return where.exists(
    where
      .selectFrom("schedules")
      .select("schedules.id")
      .whereRef("schedules.id", "=", "jobs.schedule_id")
      .where("schedules.overlap", "=", overlap),
  );
}
