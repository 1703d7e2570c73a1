/** Shows schedules and their jobs to people: tables of many, or all about one. */
import type { Job, Schedule } from "../runtime/contract/schedules.js";
import type { Output } from "./output.js";
import { showDuration } from "./quantities.js";
import { ago, details, inTimezone, table, took } from "./text.js";

/** A schedule that is due for so long, and has not been run, is run by nobody. */
export const LATE_MS = 60_000;

/** Whether jobs of a schedule are due and nothing runs them. */
export function isLate({ nextDueAt, jitterMs }: Schedule, now: number = Date.now()): boolean {
  return nextDueAt !== undefined && Date.parse(nextDueAt) + jitterMs + LATE_MS < now;
}

/** A word on how a schedule is. */
function stateOf(schedule: Schedule): string {
  const [problem] = schedule.problems;
  if (problem !== undefined) return problem.code;
  if (schedule.paused) return "paused";
  if (isLate(schedule)) return "late";
  return schedule.failuresInARow > 0 ? `failing (${schedule.failuresInARow})` : "ok";
}

/** A table with one line a schedule. */
export function scheduleTable(schedules: readonly Schedule[], output: Output): string {
  return table(
    ["NAME", "CRON", "NEXT", "LAST", "LAG", "STATE"],
    schedules.map((schedule) => [
      schedule.name,
      `${schedule.cron} ${schedule.timezone}`,
      schedule.nextDueAt === undefined ? "-" : ago(schedule.nextDueAt),
      lastOf(schedule.lastJob),
      lagOf(schedule.lastJob),
      stateOf(schedule),
    ]),
    (title) => output.style("stdout", "bold", title),
  );
}

function lastOf(job: Job | undefined): string {
  return job === undefined ? "never" : `${job.status} ${ago(job.endedAt ?? job.dueAt)}`;
}

function lagOf(job: Job | undefined): string {
  return job?.lagMs === undefined ? "-" : took(job.lagMs);
}

/** All about one schedule, a line each. */
export function describeSchedule(schedule: Schedule, output: Output): string {
  const { lastJob: last, notify, retries } = schedule;
  const version = schedule.scriptVersion === null ? "newest" : `${schedule.scriptVersion}`;
  const at = (timestamp: string | undefined): string | undefined =>
    timestamp && `${inTimezone(timestamp, schedule.timezone)} (${ago(timestamp)})`;
  const rows: [string, string | undefined][] = [
    ["name", schedule.name],
    ["id", schedule.id],
    ["state", stateOf(schedule)],
    ["description", schedule.description],
    ["cron", schedule.cron],
    ["time zone", schedule.timezone],
    ["next", at(schedule.nextDueAt)],
    ["script", `${schedule.script} (version: ${version})`],
    ["space", schedule.space ?? undefined],
    ...schedule.args.map((arg): [string, string] => ["argument", arg]),
    ["input", schedule.input === null ? undefined : JSON.stringify(schedule.input)],
    ["overlap", schedule.overlap],
    ["missed", `${schedule.missed} (window: ${showDuration(schedule.missedWindowMs)})`],
    ["jitter", schedule.jitterMs === 0 ? undefined : showDuration(schedule.jitterMs)],
    ["timeout", showDuration(schedule.timeoutMs)],
    ["retries", retries === 0 ? "0" : `${retries} (from ${showDuration(schedule.retryDelayMs)})`],
    ["grant", schedule.grant === null ? undefined : schedule.grant.join(", ") || "nothing"],
    [
      "webhook",
      notify?.webhook && `${notify.webhook.url}${notify.webhook.signed ? " (signed)" : ""}`,
    ],
    ["command", notify?.command && commandOf(notify.command)],
    ["owner", schedule.owner],
    ["last", last && `${last.status} ${ago(last.endedAt ?? last.dueAt)} (${last.id})`],
    ["lag", last?.lagMs === undefined ? undefined : took(last.lagMs)],
    ["run", last?.run],
    ["last error", last?.error && `${last.error.message} [${last.error.code}]`],
    ["notification", last?.notification && notificationOf(last.notification)],
    ["failures", schedule.failuresInARow === 0 ? undefined : `${schedule.failuresInARow} in a row`],
    ...schedule.problems.map(({ code, message }): [string, string] => [
      "problem",
      `${message} [${code}]`,
    ]),
    ["created", `${ago(schedule.createdAt)} (${schedule.createdAt})`],
    ["updated", `${ago(schedule.updatedAt)} (${schedule.updatedAt})`],
  ];
  return details(rows, (label) => output.style("stdout", "bold", label));
}

function commandOf({ command, space }: { command: string; space?: string | undefined }): string {
  return space === undefined ? command : `${command} (in ${space})`;
}

function notificationOf({ status, error }: NonNullable<Job["notification"]>): string {
  return error === undefined ? status : `${status}: ${error}`;
}

/** A table with one line a job. */
export function jobTable(jobs: readonly Job[], output: Output): string {
  return table(
    ["DUE", "STATUS", "TRIGGER", "ATTEMPTS", "LAG", "TOOK", "RUN", "WHY"],
    jobs.map((job) => [
      ago(job.dueAt),
      job.status,
      job.trigger,
      `${job.attempts}`,
      lagOf(job),
      durationOf(job),
      job.run ?? "-",
      whyOf(job),
    ]),
    (title) => output.style("stdout", "bold", title),
  );
}

function durationOf({ startedAt, endedAt }: Job): string {
  if (startedAt === undefined || endedAt === undefined) return "-";
  return took(Date.parse(endedAt) - Date.parse(startedAt));
}

/** Why a job ended as it did, where there is something to say. */
export function whyOf({ error, reason, exitCode = 0 }: Job): string {
  if (error !== undefined) return `${error.message} [${error.code}]`;
  return reason ?? (exitCode === 0 ? "" : `exit code ${exitCode}`);
}
