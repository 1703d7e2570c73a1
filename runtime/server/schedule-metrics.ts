/** What Prometheus is told of schedules and their jobs: that they run, how late, and how they end. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { PENDING, RUNNING } from "../engine/schedules/open-jobs.js";
import type { JobEvents } from "../engine/schedules/running-jobs.js";
import type { Store } from "../store/store.js";

/** What is due for longer than this, and has not begun, is overdue. Milliseconds. */
const OVERDUE_AFTER_MS = 60_000;

/**
 * Registers the figures.
 * @returns what is to be told of each job
 */
export function countSchedules(registry: Registry, store: Store): JobEvents {
  const registers = [registry];
  const lag = new Histogram({
    name: "spaces_schedule_lag_seconds",
    help: "From when jobs were due to when their first attempt began, in this process.",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600],
    registers,
  });
  const ended = new Counter({
    name: "spaces_schedule_jobs_total",
    help: "Jobs that this process ended, by what became of them.",
    labelNames: ["status"],
    registers,
  });
  new Gauge({
    name: "spaces_schedules",
    help: "Schedules, active and paused.",
    labelNames: ["state"],
    registers,
    async collect() {
      const { active, all } = await store
        .selectFrom("schedules")
        .select(({ fn }) => [fn.count<number>("next_due_ms").as("active")])
        .select(({ fn }) => [fn.countAll<number>().as("all")])
        .executeTakeFirstOrThrow();
      this.set({ state: "active" }, active);
      this.set({ state: "paused" }, all - active);
    },
  });
  new Gauge({
    name: "spaces_schedule_jobs_running",
    help: "Jobs that run, in whichever process.",
    registers,
    async collect() {
      const { count } = await store
        .selectFrom("jobs")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .where("status", "=", RUNNING)
        .executeTakeFirstOrThrow();
      this.set(count);
    },
  });
  new Gauge({
    name: "spaces_schedule_overdue",
    help: "Schedules that are due and jobs that could begin, for longer than a minute.",
    registers,
    async collect() {
      const before = Date.now() - OVERDUE_AFTER_MS;
      const schedules = await store
        .selectFrom("schedules")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .where("next_due_ms", "<", before)
        .executeTakeFirstOrThrow();
      const jobs = await store
        .selectFrom("jobs")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .where("status", "=", PENDING)
        .where("not_before_ms", "<", before)
        .executeTakeFirstOrThrow();
      this.set(schedules.count + jobs.count);
    },
  });
  return {
    began({ lagMs }) {
      if (lagMs !== undefined) lag.observe(lagMs / 1000);
    },
    ended({ status }) {
      ended.inc({ status });
    },
  };
}
