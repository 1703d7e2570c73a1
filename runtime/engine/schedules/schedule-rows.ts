/** Finds schedules in the store on behalf of an actor, and turns rows into what the contract shows. */
import { SpacesError } from "../../contract/errors.js";
import type { Permission } from "../../contract/permissions.js";
import type { Schedule } from "../../contract/schedules.js";
import type { Store } from "../../store/store.js";
import type { JobRow, ScheduleRow } from "../../store/tables.js";
import { permissionsFrom } from "../identity/role-set.js";
import { jobOf } from "./job-rows.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";

/** What its maker was limited to; undefined where nothing did. */
export function scopeOf({ scope }: Pick<ScheduleRow, "scope">): Set<Permission> | undefined {
  return scope === null ? undefined : new Set(permissionsFrom(scope));
}

/** @throws SpacesError `SCHEDULE_NOT_FOUND`, also for a schedule of another owner */
export async function findSchedule(
  store: Store,
  owner: string,
  name: string,
): Promise<ScheduleRow> {
  const row = await store
    .selectFrom("schedules")
    .selectAll()
    .where("owner", "=", owner)
    .where("name", "=", name)
    .executeTakeFirst();
  if (row === undefined) {
    throw new SpacesError("SCHEDULE_NOT_FOUND", `There is no schedule "${name}".`);
  }
  return row;
}

/** A schedule as the contract shows it. */
export function scheduleOf(
  row: ScheduleRow,
  { lastJob, problems }: { lastJob: JobRow | undefined; problems: Schedule["problems"] },
): Schedule {
  const { notify, ...spec } = specOf(row);
  return {
    ...spec,
    id: row.id,
    name: row.name,
    owner: row.owner,
    notify: notify === null ? null : shownNotify(notify, row.webhook_secret !== null),
    paused: row.next_due_ms === null,
    ...(row.next_due_ms === null ? {} : { nextDueAt: new Date(row.next_due_ms).toISOString() }),
    ...(lastJob === undefined ? {} : { lastJob: jobOf(lastJob, row.name) }),
    failuresInARow: row.failures,
    problems,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function shownNotify(
  { webhook, command }: NonNullable<StoredSpec["notify"]>,
  signed: boolean,
): NonNullable<Schedule["notify"]> {
  return {
    ...(webhook === undefined ? {} : { webhook: { url: webhook.url, signed } }),
    ...(command === undefined ? {} : { command }),
  };
}
