/** Turns the rows of jobs into what the contract shows, and reads pages of a schedule's history. */
import { SpacesError } from "../../contract/errors.js";
import type { Job, JobStatus } from "../../contract/schedules.js";
import type { Store } from "../../store/store.js";
import type { JobRow } from "../../store/tables.js";

const DEFAULT_PAGE = 100;

interface PageRequest {
  readonly status?: JobStatus | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** A job as the contract shows it. @param schedule the schedule's name */
export function jobOf(row: JobRow, schedule: string): Job {
  const { notify_status: status, notify_error: notifyError } = row;
  return {
    id: row.id,
    schedule,
    dueAt: timestamp(row.due_ms),
    trigger: row.trigger as Job["trigger"],
    status: row.status as JobStatus,
    attempts: row.attempts,
    ...(row.started_ms === null ? {} : { startedAt: timestamp(row.started_ms) }),
    ...(row.ended_ms === null ? {} : { endedAt: timestamp(row.ended_ms) }),
    ...(row.lag_ms === null ? {} : { lagMs: row.lag_ms }),
    ...(row.run === null ? {} : { run: row.run }),
    ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
    ...(row.error === null ? {} : { error: JSON.parse(row.error) as NonNullable<Job["error"]> }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(status === null
      ? {}
      : {
          notification: {
            status: status as NonNullable<Job["notification"]>["status"],
            ...(notifyError === null ? {} : { error: notifyError }),
          },
        }),
  };
}

/**
 * One page of the jobs of a schedule, the newest first.
 * @throws SpacesError `INVALID_INPUT` for a cursor that no page gave
 */
export async function pageOfJobs(
  store: Store,
  scheduleId: string,
  { status, limit = DEFAULT_PAGE, cursor }: PageRequest,
): Promise<{ readonly rows: JobRow[]; readonly nextCursor?: string }> {
  let query = store.selectFrom("jobs").selectAll().where("schedule_id", "=", scheduleId);
  if (status !== undefined) query = query.where("status", "=", status);
  if (cursor !== undefined) {
    const { dueMs, id } = readCursor(cursor);
    query = query.where((where) =>
      where(where.refTuple("due_ms", "id"), "<", where.tuple(dueMs, id)),
    );
  }
  const found = await query
    .orderBy("due_ms", "desc")
    .orderBy("id", "desc")
    .limit(limit + 1)
    .execute();
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return {
    rows,
    ...(found.length > limit && last !== undefined
      ? { nextCursor: `${last.due_ms}.${last.id}` }
      : {}),
  };
}

/** The newest job of each of these schedules that has begun or will not begin any more. */
export async function lastJobsOf(
  store: Store,
  scheduleIds: readonly string[],
): Promise<ReadonlyMap<string, JobRow>> {
  if (scheduleIds.length === 0) return new Map();
  const rows = await store
    .selectFrom("jobs")
    .selectAll()
    .where("id", "in", (query) =>
      query
        .selectFrom("schedules")
        .where("schedules.id", "in", scheduleIds)
        .select((select) =>
          select
            .selectFrom("jobs as last")
            .select("last.id")
            .whereRef("last.schedule_id", "=", "schedules.id")
            .where((where) =>
              where.or([where("last.status", "!=", "pending"), where("last.attempts", ">", 0)]),
            )
            .orderBy("last.due_ms", "desc")
            .orderBy("last.id", "desc")
            .limit(1)
            .as("id"),
        ),
    )
    .execute();
  return new Map(rows.map((row) => [row.schedule_id, row]));
}

function readCursor(cursor: string): { readonly dueMs: number; readonly id: string } {
  const [, dueMs, id] = /^(\d{1,15})\.(job_[0-9a-v]{20})$/.exec(cursor) ?? [];
  if (dueMs === undefined || id === undefined) {
    throw new SpacesError("INVALID_INPUT", "The cursor is none that a page of jobs gave.");
  }
  return { dueMs: Number(dueMs), id };
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
