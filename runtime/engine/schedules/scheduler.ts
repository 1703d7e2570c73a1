/**
 * Runs the jobs of a store when they are due, until it is drained. Servers have one each; of several
 * on one store, each job is run by one.
 */
import { setImmediate as turn } from "node:timers/promises";
import { AbandonedJobs } from "./abandoned.js";
import { type Clock, endsWithin, systemClock } from "./clock.js";
import { realign } from "./clock-jumps.js";
import { HistoryLimits } from "./history-limits.js";
import type { Notifier } from "./notifier.js";
import { PENDING } from "./open-jobs.js";
import { Planner } from "./planner.js";
import { RunningJobs, type RunningJobsOptions } from "./running-jobs.js";

/** A due time that is found later than this was missed. */
const GRACE_MS = 60_000;
/** Two looks are at most, and at least, so far apart. */
const LOOK_EVERY_MS = 1_000;
const LOOK_AGAIN_MS = 50;
const ABANDONED_EVERY_MS = 2_000;
const HISTORY_EVERY_MS = 60_000;
/** The wall clock has been put back when it shows this much less than before. */
const PUT_BACK_MS = 1_000;
/** Jobs that run at once in one process. */
const JOBS_AT_ONCE = 16;
/** For what was cancelled to end. */
const CANCEL_MS = 5_000;

export type SchedulerOptions = Pick<
  RunningJobsOptions,
  "parts" | "scripts" | "events" | "onTrouble"
> & {
  /** Tells the world of jobs that did not go well. */
  readonly notifier?: Notifier | undefined;
  readonly clock?: Clock | undefined;
  readonly jobsAtOnce?: number | undefined;
  /** From 0 to 1; for jitter. */
  readonly random?: (() => number) | undefined;
};

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #clock: Clock;
  readonly #planner: Planner;
  readonly #jobs: RunningJobs;
  readonly #abandoned: AbandonedJobs;
  readonly #history: HistoryLimits;
  readonly #lastDone = new Map<string, number>();
  #lastLook = Number.POSITIVE_INFINITY;
  #timer: Disposable | undefined;
  #looking: Promise<void> | undefined;
  #notifying: Promise<void> | undefined;
  #isWanted = false;
  #isStarted = false;
  #isDrained = false;

  constructor(options: SchedulerOptions) {
    const { parts, clock = systemClock, jobsAtOnce = JOBS_AT_ONCE, random = Math.random } = options;
    this.#options = options;
    this.#clock = clock;
    this.#planner = new Planner({
      ...{ store: parts.store, clock, owner: undefined, graceMs: GRACE_MS, random },
    });
    this.#jobs = new RunningJobs({ ...options, clock, jobsAtOnce, graceMs: GRACE_MS });
    this.#abandoned = new AbandonedJobs(parts.store, clock);
    this.#history = new HistoryLimits(parts.store);
  }

  /** From now on jobs run when they are due. */
  start(): void {
    this.#isStarted = true;
    this.wake();
  }

  /** Looks at once whether there is something to do, or to end. */
  wake(): void {
    if (!this.#isStarted || this.#isDrained) return;
    this.#isWanted = true;
    if (this.#looking !== undefined) return;
    this.#timer?.[Symbol.dispose]();
    this.#looking = this.#lookWithoutFail().then((again) => {
      this.#looking = undefined;
      if (this.#isDrained) return;
      const delay = this.#isWanted ? LOOK_AGAIN_MS : again;
      this.#timer = this.#clock.after(delay, () => this.wake());
    });
  }

  /**
   * Looks once: makes jobs of what is due, begins those that may begin, and ends what was abandoned.
   * @throws StoreError when the store cannot be used; the next look finds it all again
   */
  async look(): Promise<void> {
    const { parts, events } = this.#options;
    const now = this.#clock.now();
    if (now < this.#lastLook - PUT_BACK_MS) await realign(parts.store, now, undefined);
    this.#lastLook = now;
    await this.#every(ABANDONED_EVERY_MS, "abandoned", async () => {
      for (const job of await this.#abandoned.end(undefined)) events.ended(job);
    });
    for (let isMore = true; isMore && !this.#isDrained; ) {
      const planned = await this.#planner.planBatch();
      for (const job of planned.ended) events.ended(job);
      isMore = planned.isMore;
      if (!isMore) break;
      await this.#jobs.fill();
      // Everything else that the server does has its turn.
      await turn();
    }
    await this.#jobs.begin();
    this.#notify();
    await this.#every(HISTORY_EVERY_MS, "history", () => this.#history.apply(now));
  }

  /** Waits until no job runs here, and none may begin. */
  async idle(): Promise<void> {
    await this.#jobs.idle();
  }

  /**
   * Begins nothing any more, lets the jobs that run end until the deadline, and interrupts the others.
   * @param deadlineMs milliseconds
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDrained = true;
    this.#timer?.[Symbol.dispose]();
    this.#jobs.close();
    const ended = this.#ended();
    if (!(await endsWithin(this.#clock, ended, deadlineMs))) {
      this.#jobs.interrupt("The server was shut down while it ran.");
      await endsWithin(this.#clock, ended, CANCEL_MS);
    }
    this.#jobs[Symbol.dispose]();
    if (this.#notifying !== undefined) await endsWithin(this.#clock, this.#notifying, CANCEL_MS);
  }

  async #ended(): Promise<void> {
    await this.#looking;
    await this.#jobs.idle();
  }

  /** @returns the milliseconds until the next look */
  async #lookWithoutFail(): Promise<number> {
    this.#isWanted = false;
    try {
      await this.#jobs.beat();
      await this.look();
      return await this.#untilNext();
    } catch (error) {
      this.#options.onTrouble(error, "what is due could not be seen to");
      return LOOK_EVERY_MS;
    }
  }

  async #untilNext(): Promise<number> {
    const { store } = this.#options.parts;
    const now = this.#clock.now();
    const schedule = await store
      .selectFrom("schedules")
      .select("next_due_ms as at")
      .where("next_due_ms", "is not", null)
      .orderBy("next_due_ms")
      .limit(1)
      .executeTakeFirst();
    const job = await store
      .selectFrom("jobs")
      .select("not_before_ms as at")
      .where("status", "=", PENDING)
      .where("not_before_ms", ">", now)
      .orderBy("not_before_ms")
      .limit(1)
      .executeTakeFirst();
    const next = Math.min(schedule?.at ?? Number.POSITIVE_INFINITY, job?.at ?? Infinity) - now;
    return Math.max(LOOK_AGAIN_MS, Math.min(LOOK_EVERY_MS, next));
  }

  /** Has the notifier deliver, behind everything else and never twice at once. */
  #notify(): void {
    const { notifier, onTrouble } = this.#options;
    if (notifier === undefined) return;
    this.#notifying ??= notifier
      .deliverDue()
      .catch((error) => onTrouble(error, "notifications could not be delivered"))
      .finally(() => {
        this.#notifying = undefined;
      });
  }

  async #every(ms: number, what: string, act: () => Promise<void>): Promise<void> {
    const elapsed = this.#clock.elapsed();
    const last = this.#lastDone.get(what);
    if (last !== undefined && elapsed - last < ms) return;
    this.#lastDone.set(what, elapsed);
    await act();
  }
}
