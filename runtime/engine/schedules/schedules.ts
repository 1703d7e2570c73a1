/**
 * Schedules as things that are listed: added, shown, changed, paused, removed. The router hands them
 * their calls. What makes their jobs run is in `scheduler.ts`.
 */
import { isDeepStrictEqual } from "node:util";
import type { Updateable } from "kysely";
import { SpacesError } from "../../contract/errors.js";
import { newId } from "../../contract/new-id.js";
import type { Job, JobStatus, Schedule, ScheduleSpec } from "../../contract/schedules.js";
import { isDuplicate } from "../../store/errors.js";
import type { Store } from "../../store/store.js";
import type { ScheduleRow, Tables } from "../../store/tables.js";
import {
  type CallContext,
  type CallOptions,
  type EngineParts,
  requirePermission,
} from "../context.js";
import { within } from "../identity/principals.js";
import { inOrder } from "../identity/role-set.js";
import { requireUser } from "../identity/user-rows.js";
import { type AppliedSchedule, applySchedules } from "./apply-schedules.js";
import type { ScriptStarts } from "./attempt.js";
import { type Clock, systemClock } from "./clock.js";
import { DueTimes } from "./due-times.js";
import { jobOf, lastJobsOf, pageOfJobs } from "./job-rows.js";
import type { Notifier } from "./notifier.js";
import { requireRoom } from "./room.js";
import { NEEDED } from "./runnable-actor.js";
import { type ParsedSchedule, parseSchedules } from "./schedule-file.js";
import { findSchedule, scheduleOf, scopeOf } from "./schedule-rows.js";
import { type StoredSpec, sealed, specOf } from "./sealed-spec.js";
import { ProblemFinder, requireTargets, targetsOf } from "./targets.js";
import { tick } from "./tick.js";
import { MOST_WAITING, waitingOf } from "./waiting.js";

interface SchedulesParts {
  readonly parts: EngineParts;
  readonly scripts: ScriptStarts;
  /** Tells of jobs that did not go well. */
  readonly notifier?: Notifier | undefined;
}

type SpecChange = { readonly [K in keyof StoredSpec]?: StoredSpec[K] | undefined };

interface HistoryRequest {
  readonly status?: JobStatus | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export class Schedules {
  readonly #parts: EngineParts;
  readonly #scripts: ScriptStarts;
  readonly #clock: Clock;
  /** Tells of jobs that did not go well. */
  readonly notifier: Notifier | undefined;
  readonly #listeners = new Set<() => void>();

  constructor({ parts, scripts, notifier }: SchedulesParts, clock: Clock = systemClock) {
    this.#parts = parts;
    this.#scripts = scripts;
    this.#clock = clock;
    this.notifier = notifier;
  }

  /** Calls back when there may be a job to run at once, or one to end. Disposing ends that. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /**
   * Adds a schedule. What its maker is limited to limits its jobs too.
   * @throws SpacesError `SCHEDULE_EXISTS`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`; `INVALID_INPUT` for
   *   a cron expression that is never due or cannot be read; `PERMISSION_DENIED` for who may not run
   *   scripts; `LIMIT_EXCEEDED` for who has very many schedules
   */
  async add(context: CallContext, { name, paused, ...spec }: ScheduleSpec): Promise<Schedule> {
    const { store } = this.#parts;
    const { actor } = context;
    for (const permission of NEEDED) requirePermission(actor, permission);
    const times = DueTimes.of(spec.cron, spec.timezone);
    await requireTargets(store, context, spec);
    const id = newId("sch");
    const now = this.#clock.now();
    const createdAt = new Date(now).toISOString();
    const draft: ScheduleRow = {
      id,
      owner: actor.id,
      name,
      ...(await sealed(this.#parts.secrets, id, spec, undefined)),
      scope: actor.scope === undefined ? null : JSON.stringify(inOrder(actor.scope)),
      next_due_ms: paused ? null : (times.after(now) ?? null),
      failures: 0,
      created_at: createdAt,
      updated_at: createdAt,
    };
    try {
      await inTransaction(store, async (transaction) => {
        await requireUser(transaction, actor);
        await requireRoom(transaction, actor.id);
        await transaction.insertInto("schedules").values(draft).execute();
      });
    } catch (cause) {
      if (!isDuplicate(cause)) throw cause;
      throw new SpacesError("SCHEDULE_EXISTS", `There is a schedule "${name}" already.`, { cause });
    }
    this.#changedNow();
    return await this.#show(draft);
  }

  /**
   * Adds a schedule, or makes the one of this name what is given. What does not say whether it is
   * paused stays as it is.
   * @throws SpacesError as `add` and `update`
   */
  async put(
    context: CallContext,
    spec: ParsedSchedule["spec"],
  ): Promise<AppliedSchedule["result"]> {
    const { name, paused, ...rest } = spec;
    try {
      const { isChanged } = await this.#change(context, name, rest, paused);
      return isChanged ? "updated" : "unchanged";
    } catch (error) {
      if (!SpacesError.isInstance(error) || error.code !== "SCHEDULE_NOT_FOUND") throw error;
    }
    await this.add(context, { ...spec, paused: paused ?? false });
    return "created";
  }

  /**
   * Adds or changes schedules; all of them or none. Where the text does not say `paused`, what is
   * there stays as it is.
   * @param source YAML documents, one schedule each
   * @param filename the name that errors show
   * @throws SpacesError as `add` and `update`, with line and column
   */
  async apply(context: CallContext, source: string, filename: string): Promise<AppliedSchedule[]> {
    const parsed = parseSchedules(source, filename);
    const applied = await applySchedules(this.#parts.store, parsed, (store, spec) =>
      new Schedules({ parts: { ...this.#parts, store }, scripts: this.#scripts }, this.#clock).put(
        context,
        spec,
      ),
    );
    this.#changedNow();
    return applied;
  }

  /** The actor's own schedules, by name. */
  async list({ actor }: CallContext): Promise<Schedule[]> {
    const { store } = this.#parts;
    const rows = await store
      .selectFrom("schedules")
      .selectAll()
      .where("owner", "=", actor.id)
      .orderBy("name")
      .execute();
    return await this.#showAll(rows);
  }

  /** @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async get({ actor }: CallContext, name: string): Promise<Schedule> {
    return await this.#show(await findSchedule(this.#parts.store, actor.id, name));
  }

  /**
   * Changes what is given of a schedule. What its maker was limited to stays, and what who changes it
   * is limited to comes on top.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`, and as `add`
   */
  async update(context: CallContext, name: string, change: SpecChange): Promise<Schedule> {
    return await this.#show((await this.#change(context, name, change)).row);
  }

  /** Lets no further job become due; those that are, are run. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async pause(context: CallContext, name: string): Promise<Schedule> {
    return await this.#show((await this.#change(context, name, {}, true)).row);
  }

  /** Lets jobs become due from now on. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async resume(context: CallContext, name: string): Promise<Schedule> {
    return await this.#show((await this.#change(context, name, {}, false)).row);
  }

  /**
   * Has a job run as soon as a server, or a tick, finds it.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`; `LIMIT_EXCEEDED` where too many wait already;
   *   `PERMISSION_DENIED` for who may not run scripts
   */
  async run({ actor }: CallContext, name: string): Promise<Job> {
    for (const permission of NEEDED) requirePermission(actor, permission);
    const now = this.#clock.now();
    const row = await this.#parts.store.transaction().execute(async (transaction) => {
      const schedule = await findSchedule(transaction, actor.id, name);
      if ((await waitingOf(transaction, schedule.id)) >= MOST_WAITING) {
        throw new SpacesError("LIMIT_EXCEEDED", `${MOST_WAITING} jobs of "${name}" wait already.`, {
          suggestion: "Find out what they wait for with `spaces schedules history`.",
        });
      }
      return await transaction
        .insertInto("jobs")
        .values({
          ...{ id: newId("job"), schedule_id: schedule.id, trigger: "manual" },
          ...{ due_ms: now, not_before_ms: now, status: "pending" },
        })
        .returningAll()
        .executeTakeFirstOrThrow();
    });
    this.#changedNow();
    return jobOf(row, name);
  }

  /** One page of a schedule's jobs, the newest first. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async history(
    { actor }: CallContext,
    name: string,
    request: HistoryRequest,
  ): Promise<{ items: Job[]; nextCursor?: string }> {
    const { store } = this.#parts;
    const { id } = await findSchedule(store, actor.id, name);
    const { rows, ...page } = await pageOfJobs(store, id, request);
    return { items: rows.map((row) => jobOf(row, name)), ...page };
  }

  /**
   * Removes a schedule with its history. Jobs of it that run are cancelled.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  async remove({ actor }: CallContext, name: string): Promise<void> {
    const { store } = this.#parts;
    const { id } = await findSchedule(store, actor.id, name);
    await store.deleteFrom("schedules").where("id", "=", id).execute();
    this.#changedNow();
  }

  /** The next due times of a cron expression. @throws SpacesError `INVALID_INPUT` */
  preview(cron: string, timezone: string, count: number): string[] {
    const due = DueTimes.of(cron, timezone);
    const times: string[] = [];
    let time = due.after(this.#clock.now());
    while (time !== undefined && times.length < count) {
      times.push(new Date(time).toISOString());
      time = due.after(time);
    }
    return times;
  }

  /**
   * Runs the actor's jobs that are due, waits for their end, and tells of what did not go well.
   * @param options `schedule`: the name of the only one whose jobs are to run
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   * @returns the jobs that have ended, or that wait for another attempt, the oldest first
   */
  async tick(
    { actor }: CallContext,
    { schedule: only, signal }: CallOptions & { readonly schedule?: string | undefined },
  ): Promise<Job[]> {
    const parts = this.#parts;
    const schedule =
      only === undefined ? undefined : (await findSchedule(parts.store, actor.id, only)).id;
    const onTrouble = (error: unknown, what: string): void =>
      parts.onTrouble(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    const options = { parts, scripts: this.#scripts, clock: this.#clock, onTrouble };
    const whose = { owner: actor.id, schedule, notifier: this.notifier };
    return await tick({ ...options, ...whose }, { signal });
  }

  /** Changes a row unless another change comes in between; then that one is looked at first. */
  async #change(
    context: CallContext,
    name: string,
    change: SpecChange,
    pause?: boolean,
  ): Promise<{ readonly row: ScheduleRow; readonly isChanged: boolean }> {
    const { store } = this.#parts;
    for (;;) {
      const row = await findSchedule(store, context.actor.id, name);
      const values = await this.#changed(context, row, change, pause);
      if (values === undefined) return { row, isChanged: false };
      const now = Math.max(this.#clock.now(), Date.parse(row.updated_at) + 1);
      const changed = await store
        .updateTable("schedules")
        .set({ ...values, updated_at: new Date(now).toISOString() })
        .where("id", "=", row.id)
        .where("updated_at", "=", row.updated_at)
        .returningAll()
        .executeTakeFirst();
      if (changed === undefined) continue;
      this.#changedNow();
      return { row: changed, isChanged: true };
    }
  }

  /** What is to be written; undefined where nothing would change. */
  async #changed(
    { actor, ...context }: CallContext,
    row: ScheduleRow,
    change: SpecChange,
    pause: boolean | undefined,
  ): Promise<Updateable<Tables["schedules"]> | undefined> {
    const before = specOf(row);
    const wasPaused = row.next_due_ms === null;
    const paused = pause ?? wasPaused;
    const spec = { ...before, ...given(change) };
    const kept = await sealed(this.#parts.secrets, row.id, spec, row);
    const isSame =
      kept.webhook_secret === row.webhook_secret && isDeepStrictEqual(specOf(kept), before);
    if (isSame && paused === wasPaused) return undefined;
    const times = DueTimes.of(spec.cron, spec.timezone);
    const keepsTimes = !wasPaused && spec.cron === before.cron && spec.timezone === before.timezone;
    const nextDue = keepsTimes ? row.next_due_ms : (times.after(this.#clock.now()) ?? null);
    const when = { next_due_ms: paused ? null : nextDue };
    if (isSame) return when;
    for (const permission of NEEDED) requirePermission(actor, permission);
    if (!isDeepStrictEqual(targetsOf(spec), targetsOf(before))) {
      await requireTargets(this.#parts.store, { ...context, actor }, spec);
    }
    // Who is limited must not gain by changing what somebody else made without limits.
    const { scope } = actor;
    if (scope === undefined) return { ...kept, ...when };
    return { ...kept, ...when, scope: JSON.stringify(inOrder(within(scope, scopeOf(row)))) };
  }

  #changedNow(): void {
    for (const listener of this.#listeners) listener();
  }

  async #show(row: ScheduleRow): Promise<Schedule> {
    const [shown] = await this.#showAll([row]);
    if (shown === undefined) throw new SpacesError("INTERNAL", "A schedule could not be shown.");
    return shown;
  }

  async #showAll(rows: readonly ScheduleRow[]): Promise<Schedule[]> {
    const { store } = this.#parts;
    const [first] = rows;
    if (first === undefined) return [];
    const last = await lastJobsOf(
      store,
      rows.map(({ id }) => id),
    );
    const finder = new ProblemFinder(store, first.owner);
    const shown: Schedule[] = [];
    for (const row of rows) {
      const problems = await finder.problemsOf(row);
      shown.push(scheduleOf(row, { lastJob: last.get(row.id), problems }));
    }
    return shown;
  }
}

/** Runs within the transaction that there is, or within one of its own. */
async function inTransaction(store: Store, act: (store: Store) => Promise<void>): Promise<void> {
  if (store.isTransaction) await act(store);
  else await store.transaction().execute(act);
}

/** The entries that are not undefined. */
function given(change: SpecChange): Partial<StoredSpec> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
