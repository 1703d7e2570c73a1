/** What a notification tells of a job: the body of webhooks, and the standard input of commands. */
import type { Job, ScheduleSpec } from "../../contract/schedules.js";

/** Letters of an error's message that are told; scripts can throw long ones. */
const MOST_LETTERS = 2_000;

interface Told {
  readonly schedule: Pick<ScheduleSpec, "name" | "cron" | "timezone" | "script" | "space"> & {
    readonly id: string;
  };
  readonly job: Job;
  readonly failuresInARow: number;
}

/** What happened, such as `job.failed`. */
export function eventOf({ status }: Job): string {
  return `job.${status}`;
}

/**
 * The report of a job as JSON. It names what ran and how it ended; arguments, input and output stay
 * behind, for they may hold secrets.
 */
export function reportOf({ schedule, job, failuresInARow }: Told): string {
  const { id, dueAt, trigger, status, attempts, startedAt, endedAt, lagMs } = job;
  const { error, run, exitCode, reason } = job;
  return JSON.stringify({
    event: eventOf(job),
    schedule: {
      id: schedule.id,
      name: schedule.name,
      cron: schedule.cron,
      timezone: schedule.timezone,
      script: schedule.script,
      space: schedule.space,
    },
    job: { id, dueAt, trigger, status, attempts, startedAt, endedAt, lagMs, run, exitCode, reason },
    ...(error === undefined
      ? {}
      : { error: { code: error.code, message: error.message.slice(0, MOST_LETTERS) } }),
    failuresInARow,
  });
}
