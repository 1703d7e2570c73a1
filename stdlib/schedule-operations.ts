/**
 * The one table of what scripts can do with schedules. `schedules` and `schedules/async` are made
 * from it. Each entry is a generator of host calls (`steps.ts`).
 */
import {
  anyText,
  anyValue,
  count,
  flag,
  milliseconds,
  millisecondsOrNone,
  noMore,
  options,
  orNull,
  type Place,
  text,
  textList,
  whole,
} from "./arguments.js";
import { type HostJob, type HostSchedule, jobForScript, scheduleForScript } from "./results.js";
import { call, type Steps } from "./steps.js";

type ScheduleSteps = Steps<ReturnType<typeof scheduleForScript>>;

const nameOf = (fn: string, name: unknown) => text({ fn, parameter: "schedule name" }, name);

/** Whom a failure is told: `{webhook: {url, secret?}, command: {command, space?}}`. */
function notification({ fn }: Place, value: unknown) {
  return options(fn, value, {
    webhook: (_place, webhook) => options(fn, webhook, { url: text, secret: text }),
    command: (_place, command) => options(fn, command, { command: text, space: text }),
  });
}

const SETTINGS = {
  description: anyText,
  cron: text,
  tz: text,
  script: text,
  version: orNull(count),
  space: orNull(text),
  args: textList,
  input: orNull(anyValue),
  overlap: text,
  missed: text,
  window: milliseconds,
  jitter: millisecondsOrNone,
  timeout: milliseconds,
  retries: whole,
  retry_delay: millisecondsOrNone,
  grant: orNull(textList),
  notify: orNull(notification),
};

/** The settings of a schedule in the form that the host takes them. */
function settingsForHost({
  tz,
  version,
  window,
  jitter,
  timeout,
  retry_delay,
  ...rest
}: ReturnType<typeof options<typeof SETTINGS>>) {
  return {
    ...rest,
    timezone: tz,
    scriptVersion: version,
    missedWindowMs: window,
    jitterMs: jitter,
    timeoutMs: timeout,
    retryDelayMs: retry_delay,
  };
}

/** `add(name, {cron, script, …})`: a new schedule. */
function* add(name?: unknown, opts?: unknown, ...rest: unknown[]): ScheduleSteps {
  const fn = "add";
  const { paused, ...settings } = options(fn, opts, { ...SETTINGS, paused: flag });
  noMore(fn, rest);
  const input = {
    ...settingsForHost(settings),
    paused,
    name: nameOf(fn, name),
    cron: text({ fn, parameter: 'option "cron"' }, settings.cron),
    script: text({ fn, parameter: 'option "script"' }, settings.script),
  };
  return scheduleForScript(yield* call<HostSchedule>("schedules.add", input));
}

/** `update(name, {…})`: changes what is given and keeps the rest. */
function* update(name?: unknown, opts?: unknown, ...rest: unknown[]): ScheduleSteps {
  const fn = "update";
  const settings = options(fn, opts, SETTINGS);
  noMore(fn, rest);
  const input = { ...settingsForHost(settings), schedule: nameOf(fn, name) };
  return scheduleForScript(yield* call<HostSchedule>("schedules.update", input));
}

function* onOne(fn: "get" | "pause" | "resume", params: readonly unknown[]): ScheduleSteps {
  const [name, ...rest] = params;
  noMore(fn, rest);
  const input = { schedule: nameOf(fn, name) };
  return scheduleForScript(yield* call<HostSchedule>(`schedules.${fn}`, input));
}

/** `get(name)`: one schedule. */
const get = (...params: unknown[]): ScheduleSteps => onOne("get", params);
/** `pause(name)`: no further job becomes due. */
const pause = (...params: unknown[]): ScheduleSteps => onOne("pause", params);
/** `resume(name)`: jobs become due from now on. */
const resume = (...params: unknown[]): ScheduleSteps => onOne("resume", params);

/** `list()`: all schedules of the caller's. */
function* list(...rest: unknown[]): Steps<ReturnType<typeof scheduleForScript>[]> {
  noMore("list", rest);
  const { items } = yield* call<{ items: readonly HostSchedule[] }>("schedules.list", {});
  return items.map(scheduleForScript);
}

/** `run(name)`: has a job run now; does not wait for its end. */
function* run(name?: unknown, ...rest: unknown[]): Steps<ReturnType<typeof jobForScript>> {
  const fn = "run";
  noMore(fn, rest);
  return jobForScript(yield* call<HostJob>("schedules.run", { schedule: nameOf(fn, name) }));
}

/** What the contract lets one page hold. */
const LARGEST_PAGE = 1000;
const USUAL_HISTORY = 100;

interface Page {
  readonly items: readonly HostJob[];
  readonly nextCursor?: string;
}

/** `history(name, {status, limit}?)`: its jobs, the newest first. */
function* history(
  name?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): Steps<ReturnType<typeof jobForScript>[]> {
  const fn = "history";
  const { limit = USUAL_HISTORY, status } = options(fn, opts, { status: text, limit: count });
  noMore(fn, rest);
  const schedule = nameOf(fn, name);
  const found: ReturnType<typeof jobForScript>[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = yield* call<Page>("schedules.history", {
      schedule,
      status,
      limit: Math.min(limit - found.length, LARGEST_PAGE),
      cursor,
    });
    for (const job of page.items) found.push(jobForScript(job));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < limit);
  return found;
}

/** `remove(name)`: removes a schedule and its history. */
function* remove(name?: unknown, ...rest: unknown[]): Steps<true> {
  const fn = "remove";
  noMore(fn, rest);
  yield* call("schedules.remove", { schedule: nameOf(fn, name) });
  return true;
}

/** `preview(cron, {tz, count}?)`: when it would be due next. */
function* preview(cron?: unknown, opts?: unknown, ...rest: unknown[]): Steps<string[]> {
  const fn = "preview";
  const { tz, count: times } = options(fn, opts, { tz: text, count });
  noMore(fn, rest);
  const answer = yield* call<{ times: string[] }>("schedules.preview", {
    cron: text({ fn, parameter: "cron expression" }, cron),
    timezone: tz,
    count: times,
  });
  return answer.times;
}

/** Everything in the `schedules` module. */
export const scheduleOperations = {
  add,
  get,
  list,
  update,
  pause,
  resume,
  run,
  history,
  remove,
  delete: remove,
  preview,
};
