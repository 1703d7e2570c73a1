/** Finds the jobs whose process has died, and ends them as what they are: interrupted. */
import { livenessOf, PROCESS_IDENTITY } from "../../process-identity.js";
import type { Store } from "../../store/store.js";
import type { JobRow } from "../../store/tables.js";
import type { Clock } from "./clock.js";
import { endAttempt } from "./job-ends.js";
import { type EndedJob, RUNNING } from "./open-jobs.js";

/** After this long without a sign, a process of another host counts as dead. Milliseconds. */
const LEASE_MS = 20_000;

/** The jobs that run in this process, whichever of its schedulers claimed them. */
export const heldHere = new Set<string>();

/** The last sign of a job's process, and when it was first seen here: clocks of hosts differ. */
interface Sign {
  readonly renewedMs: number | null;
  readonly seenAt: number;
}

export class AbandonedJobs {
  readonly #store: Store;
  readonly #clock: Clock;
  #signs: ReadonlyMap<string, Sign> = new Map();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Ends what is abandoned; what has attempts left waits for the next one.
   * @param owner whose jobs; everybody's when absent
   */
  async end(owner: string | undefined): Promise<EndedJob[]> {
    let query = this.#store.selectFrom("jobs").selectAll().where("status", "=", RUNNING);
    if (owner !== undefined) {
      query = query.where("schedule_id", "in", (schedules) =>
        schedules.selectFrom("schedules").select("id").where("owner", "=", owner),
      );
    }
    const jobs = (await query.execute()).filter(({ id }) => !heldHere.has(id));
    this.#signs = new Map(jobs.map((job) => [job.id, this.#signOf(job)]));
    const alive = new Map<string, boolean | undefined>();
    const ended: EndedJob[] = [];
    for (const job of jobs) {
      const holder = job.holder ?? "";
      if (!alive.has(holder)) alive.set(holder, isAlive(holder));
      if (alive.get(holder) ?? this.#isLeaseValid(job)) continue;
      ended.push(...(await this.#interrupt(job)));
    }
    return ended;
  }

  #signOf({ id, renewed_ms: renewedMs }: JobRow): Sign {
    const last = this.#signs.get(id);
    return last?.renewedMs === renewedMs ? last : { renewedMs, seenAt: this.#clock.elapsed() };
  }

  #isLeaseValid({ id }: JobRow): boolean {
    const seenAt = this.#signs.get(id)?.seenAt;
    return seenAt === undefined || this.#clock.elapsed() - seenAt <= LEASE_MS;
  }

  async #interrupt(job: JobRow): Promise<EndedJob[]> {
    const schedule = await this.#store
      .selectFrom("schedules")
      .selectAll()
      .where("id", "=", job.schedule_id)
      .executeTakeFirst();
    if (schedule === undefined) return [];
    const reason = "The process that ran it ended before it was done.";
    const outcome = { status: "interrupted", reason } as const;
    const status = await endAttempt(this.#store, { job, schedule }, outcome, this.#clock.now());
    return status === undefined || status === "pending" ? [] : [{ id: job.id, status }];
  }
}

/** Undefined for a process of another host, of which only its lease tells. */
function isAlive(holder: string): boolean | undefined {
  // What this process held and holds no more was claimed, and then not begun.
  if (holder === PROCESS_IDENTITY) return false;
  const liveness = livenessOf(holder);
  return liveness === "unknown" ? undefined : liveness === "alive";
}
