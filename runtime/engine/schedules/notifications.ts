/**
 * Tells of jobs that did not go well: by a webhook, by a command in a space of the owner's, or both.
 * The scheduler has it deliver what is due. Each notification is delivered once where nothing fails,
 * and at least once where a process ends in the middle of it.
 */
import { SpacesError } from "../../contract/errors.js";
import type { Resolve } from "../../interpreter/address-guard.js";
import type { JobRow, ScheduleRow } from "../../store/tables.js";
import { type EngineParts, requirePermission } from "../context.js";
import { hideHostPaths } from "../host-paths.js";
import { presentActor } from "../identity/present-actor.js";
import type { Processes } from "../processes.js";
import { type Clock, systemClock } from "./clock.js";
import { jobOf } from "./job-rows.js";
import type { DeliverOptions, Notifier } from "./notifier.js";
import { eventOf, reportOf } from "./report.js";
import { scopeOf } from "./schedule-rows.js";
import { type StoredSpec, specOf, webhookSecretOf } from "./sealed-spec.js";

/** Before the second attempt, the third and the fourth, which is the last. */
const RETRY_AFTER_MS = [60_000, 300_000, 1_800_000] as const;
/** How long a command may run. */
const COMMAND_MS = 60_000;
/** How long a claim holds; longer than a webhook and a command together can take. */
const CLAIM_MS = 120_000;
/** Most that are taken at once, and most that are delivered side by side. */
const BATCH = 100;
const WIDTH = 8;
/** Of these, most that one owner can have, so that receivers of one that hang leave room for others. */
const WIDTH_OF_ONE_OWNER = 6;

type Channel = "webhook" | "command";

interface NotificationsOptions {
  readonly clock?: Clock | undefined;
  /** The system's resolver when absent. */
  readonly resolve?: Resolve | undefined;
}

/** A notification that is due, and whose it is. */
type Due = JobRow & { readonly owner: string };

/** One notification as it was claimed. */
interface Claim {
  readonly job: JobRow;
  readonly schedule: ScheduleRow;
  /** Counts from 1. */
  readonly attempt: number;
  /** What was told by an earlier attempt. */
  readonly told: readonly Channel[];
}

export class Notifications implements Notifier {
  readonly #parts: EngineParts;
  readonly #processes: Processes;
  readonly #clock: Clock;
  readonly #resolve: Resolve | undefined;
  readonly #underWay: Due[] = [];

  constructor(parts: EngineParts, processes: Processes, options: NotificationsOptions = {}) {
    this.#parts = parts;
    this.#processes = processes;
    this.#clock = options.clock ?? systemClock;
    this.#resolve = options.resolve;
  }

  /**
   * Delivers what is due now, several side by side: a receiver that hangs holds up no other. Of
   * several processes, one claims each.
   * @param options the signal ends what is under way; it is due again at once then
   */
  async deliverDue({ owner, signal }: DeliverOptions = {}): Promise<void> {
    if (this.#underWay.length >= WIDTH) return;
    const due = await this.#due(owner);
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (let job = this.#next(due); job !== undefined; job = this.#next(due)) {
        if (signal?.aborted === true) return;
        this.#underWay.push(job);
        try {
          await this.#take(job, signal);
        } catch (error) {
          failures.push(error);
        } finally {
          this.#underWay.splice(this.#underWay.indexOf(job), 1);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(WIDTH, due.length) }, worker));
    if (failures.length > 0) throw failures[0];
  }

  /** What is due, in an order in which every owner has its turn. */
  async #due(owner: string | undefined): Promise<Due[]> {
    const now = this.#clock.now();
    return await this.#parts.store
      .with("due", (db) => {
        const query = db
          .selectFrom("jobs")
          .innerJoin("schedules", "schedules.id", "jobs.schedule_id")
          .where("notify_status", "=", "pending")
          .where("notify_due_ms", "<=", now)
          .select(["jobs.id", "schedules.owner"])
          .select((select) =>
            select.fn
              .agg<number>("row_number")
              .over((over) => over.partitionBy("schedules.owner").orderBy("notify_due_ms"))
              .as("turn"),
          );
        return owner === undefined ? query : query.where("schedules.owner", "=", owner);
      })
      .selectFrom("due")
      .innerJoin("jobs", "jobs.id", "due.id")
      .selectAll("jobs")
      .select("due.owner")
      .orderBy("due.turn")
      .orderBy("notify_due_ms")
      .limit(BATCH)
      .execute();
  }

  /** Takes out the next one for which there is room, and whose owner has room left. */
  #next(due: Due[]): Due | undefined {
    if (this.#underWay.length >= WIDTH) return undefined;
    const index = due.findIndex(
      (job) =>
        this.#underWay.filter(({ owner }) => owner === job.owner).length < WIDTH_OF_ONE_OWNER,
    );
    return index === -1 ? undefined : due.splice(index, 1)[0];
  }

  async #take(job: JobRow, signal: AbortSignal | undefined): Promise<void> {
    const claim = await this.#claim(job);
    if (claim === undefined) return;
    const { notify } = specOf(claim.schedule);
    const left = (["webhook", "command"] as const).filter(
      (channel) => notify?.[channel] !== undefined && !claim.told.includes(channel),
    );
    const results = await Promise.allSettled(
      left.map((channel) => this.#tell(channel, claim, signal)),
    );
    const told = left.filter((_, index) => results[index]?.status === "fulfilled");
    const errors = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as unknown] : [],
    );
    if (errors.length > 0 && signal?.aborted === true) {
      await this.#release(claim, told);
      return;
    }
    const isNobodys = left.length === 0 && claim.told.length === 0;
    if (isNobodys) await this.#update(claim, [], { notify_status: null, notify_due_ms: null });
    else await this.#settle(claim, told, errors);
    const foreign = errors.find((error) => !SpacesError.isInstance(error));
    if (foreign !== undefined) throw foreign;
  }

  /** Takes a notification for this process; undefined where another one did, or nobody is told. */
  async #claim(job: JobRow): Promise<Claim | undefined> {
    const { store } = this.#parts;
    const attempt = job.notify_attempts + 1;
    const claimed = await store
      .updateTable("jobs")
      .set({
        notify_attempts: attempt,
        notify_due_ms: this.#clock.now() + CLAIM_MS,
      })
      .where("id", "=", job.id)
      .where("notify_status", "=", "pending")
      .where("notify_attempts", "=", job.notify_attempts)
      .where("notify_due_ms", "=", job.notify_due_ms)
      .returningAll()
      .executeTakeFirst();
    if (claimed === undefined) return undefined;
    const schedule = await store
      .selectFrom("schedules")
      .selectAll()
      .where("id", "=", job.schedule_id)
      .executeTakeFirst();
    if (schedule === undefined) return undefined;
    const told = claimed.notify_told === null ? [] : (JSON.parse(claimed.notify_told) as Channel[]);
    return { job: claimed, schedule, attempt, told };
  }

  async #tell(channel: Channel, claim: Claim, signal: AbortSignal | undefined): Promise<void> {
    const spec = specOf(claim.schedule);
    const body = this.#report(claim, spec);
    if (channel === "webhook") await this.#post(claim, spec, body, signal);
    else await this.#run(claim, spec, body, signal);
  }

  #report({ job: row, schedule }: Claim, spec: StoredSpec): string {
    const job = jobOf(row, schedule.name);
    const error = job.error && hideHostPaths(job.error, this.#parts.dataDir);
    return reportOf({
      schedule: { ...spec, id: schedule.id, name: schedule.name },
      job: { ...job, ...(error === undefined ? {} : { error }) },
      failuresInARow: schedule.failures,
    });
  }

  async #post(
    { job, schedule, attempt }: Claim,
    { notify }: StoredSpec,
    body: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const url = notify?.webhook?.url;
    if (url === undefined) return;
    const [{ sendWebhook }, secret] = await Promise.all([
      import("./webhook.js"),
      webhookSecretOf(this.#parts.secrets, schedule),
    ]);
    const event = eventOf(jobOf(job, schedule.name));
    await sendWebhook(
      { url, secret, event, delivery: `${job.id}.${attempt}`, body },
      {
        allowedHosts: this.#parts.webhookHosts,
        now: this.#clock.now(),
        resolve: this.#resolve,
        signal,
      },
    );
  }

  /** Runs the command as its owner may now: one who lost a right tells nobody by it. */
  async #run(
    { schedule }: Claim,
    { notify, space: ownSpace }: StoredSpec,
    input: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const found = await presentActor(this.#parts.store, schedule.owner, scopeOf(schedule));
    if ("refusal" in found) {
      throw new SpacesError("PERMISSION_DENIED", `The schedule's owner is ${found.refusal}.`);
    }
    requirePermission(found.actor, "RunCommands");
    const space = notify?.command?.space ?? ownSpace;
    if (notify?.command === undefined || space === null) return;
    const { exitCode, timedOut } = await this.#processes.run(
      { actor: found.actor, depth: 0, local: false },
      space,
      { command: notify.command.command, timeoutMs: COMMAND_MS, input },
      { signal },
    );
    if (exitCode === 0) return;
    const how = timedOut
      ? `did not end within ${COMMAND_MS / 1000} s`
      : `ended with code ${exitCode}`;
    throw new SpacesError("COMMAND_FAILED", `The command to notify with ${how}.`);
  }

  /** Writes down how an attempt went, unless the claim has run out meanwhile. */
  async #settle(claim: Claim, told: readonly Channel[], errors: readonly unknown[]): Promise<void> {
    const delay = RETRY_AFTER_MS[claim.attempt - 1];
    const again = errors.length > 0 && delay !== undefined;
    await this.#update(claim, told, {
      notify_status: errors.length === 0 ? "sent" : again ? "pending" : "failed",
      notify_due_ms: again ? this.#clock.now() + delay : null,
      notify_error: errors.length === 0 ? null : this.#textOf(errors),
    });
  }

  /** Gives a claim back: what was cut short is due again, and counts as no attempt. */
  async #release(claim: Claim, told: readonly Channel[]): Promise<void> {
    await this.#update(claim, told, {
      notify_attempts: claim.attempt - 1,
      notify_due_ms: this.#clock.now(),
    });
  }

  async #update(
    { job, attempt, told: before }: Claim,
    told: readonly Channel[],
    change: Partial<
      Pick<JobRow, "notify_status" | "notify_due_ms" | "notify_error" | "notify_attempts">
    >,
  ): Promise<void> {
    await this.#parts.store
      .updateTable("jobs")
      .set({ ...change, notify_told: JSON.stringify([...before, ...told]) })
      .where("id", "=", job.id)
      .where("notify_attempts", "=", attempt)
      .execute();
  }

  #textOf(errors: readonly unknown[]): string {
    const texts = errors.map((error) => {
      const known = SpacesError.isInstance(error) ? error : new SpacesError("INTERNAL");
      const { message, suggestion } = hideHostPaths(known.serialize(), this.#parts.dataDir);
      return known.code === "PERMISSION_DENIED" ? `${message} ${suggestion}` : message;
    });
    return texts.join(" ");
  }
}
