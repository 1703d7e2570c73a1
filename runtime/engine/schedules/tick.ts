/**
 * Runs the jobs of one owner that are due, and waits for their end: for those who have system cron
 * look after their schedules, and no server.
 */
import type { Job } from "../../contract/schedules.js";
import type { Store } from "../../store/store.js";
import { AbandonedJobs } from "./abandoned.js";
import { realign } from "./clock-jumps.js";
import { jobOf } from "./job-rows.js";
import { Planner } from "./planner.js";
import { RunningJobs, type RunningJobsOptions } from "./running-jobs.js";

/** Cron comes by every few minutes: what it finds by then was not missed. Milliseconds. */
const GRACE_MS = 600_000;
const JOBS_AT_ONCE = 16;
const IDS_AT_ONCE = 500;

type TickOptions = Pick<RunningJobsOptions, "parts" | "scripts" | "clock" | "onTrouble"> & {
  readonly owner: string;
};

/**
 * @param signal interrupts the jobs
 * @returns the jobs that have ended, or that wait for another attempt, the oldest first
 */
export async function tick(
  options: TickOptions,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<Job[]> {
  const { parts, clock, owner } = options;
  const { store } = parts;
  const touched = new Set<string>();
  const note = ({ id }: { readonly id: string }): void => void touched.add(id);
  using jobs = new RunningJobs({
    ...options,
    graceMs: GRACE_MS,
    jobsAtOnce: JOBS_AT_ONCE,
    events: { began: note, ended: note },
  });
  const planner = new Planner({ store, clock, owner, graceMs: GRACE_MS, random: Math.random });
  const interrupt = (): void => jobs.interrupt("Whoever waited for it went away.");
  signal?.addEventListener("abort", interrupt, { once: true });
  try {
    await realign(store, clock.now(), owner);
    for (const job of await new AbandonedJobs(store, clock).end(owner)) note(job);
    for (let isMore = true; isMore; ) {
      const planned = await planner.planBatch();
      for (const job of planned.ended) note(job);
      isMore = planned.isMore;
    }
    await jobs.begin();
    await jobs.idle();
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
  return await jobsOf(store, owner, [...touched]);
}

async function jobsOf(store: Store, owner: string, ids: readonly string[]): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const rows = await store
      .selectFrom("jobs")
      .innerJoin("schedules", "schedules.id", "jobs.schedule_id")
      .selectAll("jobs")
      .select("schedules.name")
      .where("jobs.id", "in", ids.slice(from, from + IDS_AT_ONCE))
      .where("schedules.owner", "=", owner)
      .execute();
    jobs.push(...rows.map(({ name, ...row }) => jobOf(row, name)));
  }
  return jobs.sort((one, other) => one.dueAt.localeCompare(other.dueAt));
}
