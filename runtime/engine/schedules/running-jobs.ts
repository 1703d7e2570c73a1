/**
 * The jobs that this process runs: claims those that may begin, a bounded number at once and with a
 * turn for every owner, and gives signs that they live. Schedulers and ticks each have one.
 */
import type { JobStatus } from "../../contract/schedules.js";
import type { ScheduleRow } from "../../store/tables.js";
import type { EngineParts } from "../context.js";
import { heldHere } from "./abandoned.js";
import { Attempt, type ScriptStarts, type Stop } from "./attempt.js";
import type { Clock } from "./clock.js";
import {
  type Candidate,
  claim,
  type EndedJob,
  jobsToBegin,
  renew,
  settleOverlaps,
} from "./open-jobs.js";
import { giveUpWaiting } from "./waited-too-long.js";

const RENEW_EVERY_MS = 2_000;
/** Jobs that are looked up at once; the ones that cannot begin now are looked up again. */
const LOOKED_UP = 128;
/** Others may be faster again and again; then this waits for the next look. */
const MOST_LOOKS = 20;
/** The part of the room that one owner can take up, so that the others find some. */
const PART_OF_ONE_OWNER = 0.75;

/** What is counted; the server's metrics do. */
export interface JobEvents {
  /** `lagMs`: how late the first attempt of a job began; undefined for a further one. */
  began(job: { readonly id: string; readonly lagMs: number | undefined }): void;
  ended(job: EndedJob): void;
}

export interface RunningJobsOptions {
  readonly parts: Pick<EngineParts, "store" | "dataDir">;
  readonly scripts: ScriptStarts;
  readonly clock: Clock;
  /** Whose jobs; everybody's when absent. */
  readonly owner?: string | undefined;
  /** For how long a job counts as on time. Milliseconds. */
  readonly graceMs: number;
  readonly jobsAtOnce: number;
  readonly events: JobEvents;
  /** Told of what went wrong without a caller who could be told. */
  readonly onTrouble: (error: unknown, what: string) => void;
}

export class RunningJobs implements Disposable {
  readonly #options: RunningJobsOptions;
  readonly #running = new Map<
    string,
    { readonly attempt: Attempt; readonly done: Promise<void> }
  >();
  #candidates: Candidate[] = [];
  #filling: Promise<void> | undefined;
  #isWanted = false;
  #isClosed = false;
  #interruption: Stop | undefined;
  #beat: Disposable | undefined;
  #beating: Promise<void> | undefined;

  constructor(options: RunningJobsOptions) {
    this.#options = options;
    this.#beatLater();
  }

  get count(): number {
    return this.#running.size;
  }

  /** Applies the overlap policies to what is due by now, then begins what may begin. */
  async begin(): Promise<void> {
    const { parts, clock, events } = this.#options;
    const { ended, toCancel } = await settleOverlaps(parts.store, clock.now());
    for (const job of ended) events.ended(job);
    if (toCancel.some((id) => this.#running.has(id))) await this.beat();
    this.#candidates = [];
    await this.fill();
  }

  /** Begins what may begin while there is room. */
  async fill(): Promise<void> {
    this.#isWanted = true;
    this.#filling ??= this.#fillWhileWanted().finally(() => {
      this.#filling = undefined;
    });
    await this.#filling;
  }

  /** Waits until no job runs here, and none may begin. */
  async idle(): Promise<void> {
    while (this.#running.size > 0 || this.#filling !== undefined) {
      await this.#filling;
      const running = [...this.#running.values()];
      if (running.length > 0) await Promise.race(running.map(({ done }) => done));
    }
  }

  /** Begins nothing any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Begins nothing any more, and ends the jobs that run, as interrupted. */
  interrupt(reason: string): void {
    this.#isClosed = true;
    this.#interruption = { status: "interrupted", reason };
    for (const { attempt } of this.#running.values()) attempt.stop(this.#interruption);
  }

  /** Gives signs of life, and ends what is to be cancelled, what is lost, and what may not go on. */
  async beat(): Promise<void> {
    this.#beating ??= this.#renewAndCheck().finally(() => {
      this.#beating = undefined;
    });
    await this.#beating;
  }

  /** Ends the signs of life, and gives up on what could not be written. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#beat?.[Symbol.dispose]();
    for (const { attempt } of this.#running.values()) attempt.giveUp();
  }

  async #fillWhileWanted(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#fillOnce();
    }
  }

  async #fillOnce(): Promise<void> {
    const { parts, clock, owner, jobsAtOnce } = this.#options;
    for (let looks = 0; looks < MOST_LOOKS; ) {
      if (this.#isClosed || this.#running.size >= jobsAtOnce) return;
      if (this.#candidates.length === 0) {
        looks += 1;
        const asked = { now: clock.now(), owner, limit: LOOKED_UP };
        this.#candidates = await jobsToBegin(parts.store, asked);
      }
      const next = this.#nextCandidate();
      if (next === undefined) return;
      await this.#tryToBegin(next);
    }
  }

  /** The next one whose owner has room left. */
  #nextCandidate(): Candidate | undefined {
    const { jobsAtOnce } = this.#options;
    const most = Math.max(1, Math.floor(jobsAtOnce * PART_OF_ONE_OWNER));
    const byOwner = new Map<string, number>();
    for (const { attempt } of this.#running.values()) {
      const { owner } = attempt.claimed.schedule;
      byOwner.set(owner, (byOwner.get(owner) ?? 0) + 1);
    }
    const index = this.#candidates.findIndex(({ owner }) => (byOwner.get(owner) ?? 0) < most);
    return index === -1 ? undefined : this.#candidates.splice(index, 1)[0];
  }

  async #tryToBegin(candidate: Candidate): Promise<void> {
    const { parts, clock, graceMs, events } = this.#options;
    const { store } = parts;
    const schedule = await store
      .selectFrom("schedules")
      .selectAll()
      .where("id", "=", candidate.scheduleId)
      .executeTakeFirst();
    if (schedule === undefined) return;
    const now = clock.now();
    if (await giveUpWaiting(store, candidate, schedule, { now, graceMs })) {
      events.ended({ id: candidate.id, status: "missed" });
      return;
    }
    await this.#claim(candidate, schedule);
  }

  async #claim(candidate: Candidate, schedule: ScheduleRow): Promise<void> {
    const { parts, clock, events } = this.#options;
    const { id } = candidate;
    if (heldHere.has(id)) return;
    // Before the claim: whoever looks for abandoned jobs must never find it without its holder.
    heldHere.add(id);
    try {
      const claimed = await claim(parts.store, candidate, schedule, clock.now());
      if (claimed === undefined) {
        heldHere.delete(id);
        return;
      }
      const { attempts, lag_ms } = claimed.job;
      events.began({ id, lagMs: attempts === 1 ? (lag_ms ?? 0) : undefined });
      const attempt = new Attempt(claimed, this.#options);
      if (this.#interruption !== undefined) attempt.stop(this.#interruption);
      const done = attempt.run().then((status) => this.#ended(id, status));
      this.#running.set(id, { attempt, done });
    } catch (error) {
      heldHere.delete(id);
      throw error;
    }
  }

  #ended(id: string, status: JobStatus | undefined): void {
    const { events, onTrouble } = this.#options;
    this.#running.delete(id);
    heldHere.delete(id);
    if (status !== undefined && status !== "pending") events.ended({ id, status });
    this.fill().catch((error) => onTrouble(error, "no further jobs could be begun"));
  }

  #beatLater(): void {
    const { clock, onTrouble } = this.#options;
    this.#beat = clock.after(RENEW_EVERY_MS, () => {
      this.beat()
        // The lease outlives several signs that could not be given.
        .catch((error) => onTrouble(error, "the claims of jobs could not be renewed"))
        .finally(() => {
          if (!this.#isClosed || this.#running.size > 0) this.#beatLater();
        });
    });
  }

  async #renewAndCheck(): Promise<void> {
    const { parts, clock } = this.#options;
    const running = [...this.#running.entries()];
    if (running.length === 0) return;
    const ids = running.map(([id]) => id);
    const held = await renew(parts.store, ids, clock.now());
    for (const [id, { attempt }] of running) {
      const row = held.get(id);
      if (row === undefined || row.attempts !== attempt.claimed.job.attempts) {
        attempt.stop({ status: "lost", reason: "Its schedule was removed." });
      } else if (row.cancel_asked === 1) {
        attempt.stop({ status: "cancelled", reason: row.reason ?? "It was cancelled." });
      } else {
        await attempt.checkOwner();
      }
    }
  }
}
