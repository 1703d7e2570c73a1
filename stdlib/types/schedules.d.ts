/** The module `schedules`: has stored scripts run at times. */

declare module "schedules" {
  /** What a schedule can be given; times are in seconds. */
  export interface ScheduleOptions {
    /** Five fields, six with seconds in front, or a name such as `@daily`. */
    cron: string;
    /** Time zone of the cron expression, such as `Europe/Berlin`; `UTC` by default. */
    tz?: string;
    /** Name of a stored script; looked up when a job runs. */
    script: string;
    /** A version of the script; the newest at that time by default. */
    version?: number | null;
    /** Name or id of the space that the script's `space` module is bound to. */
    space?: string | null;
    args?: readonly string[];
    /** What `runtime.input` gives the script. */
    input?: unknown;
    /** When a job is due while the one before it runs; `skip` by default. */
    overlap?: "skip" | "queue" | "cancel" | "allow";
    /** When jobs were due while nothing ran them; `once` by default. */
    missed?: "skip" | "once" | "all";
    /** Missed jobs that were due longer ago are left out; 6 hours by default. */
    window?: number;
    /** Each job begins later by a random time up to this; 0 by default. */
    jitter?: number;
    /** Time for each attempt; an hour by default. */
    timeout?: number;
    /** Further attempts after one that failed; 0 by default. */
    retries?: number;
    /** Before the second attempt, doubling for each further one; 30 by default. */
    retry_delay?: number;
    /** What the script may do, of what the schedule's owner may; all of it by default. */
    grant?: readonly string[] | null;
    /** Who is told when a job fails. */
    notify?: {
      /** Sent a POST with JSON, signed with HMAC-SHA256 where a secret is given. */
      webhook?: { url: string; secret?: string };
      /** Run in a space, the schedule's own by default, with a report on standard input. */
      command?: { command: string; space?: string };
    } | null;
    description?: string;
  }

  export interface AddScheduleOptions extends ScheduleOptions {
    /** Add it without any job becoming due until it is resumed. */
    paused?: boolean;
  }

  export interface HistoryOptions {
    status?: JobInfo["status"];
    /** At most so many; 100 by default. */
    limit?: number;
  }

  export interface PreviewOptions {
    /** Time zone, such as `Europe/Berlin`; `UTC` by default. */
    tz?: string;
    /** How many times, up to 100; 5 by default. */
    count?: number;
  }

  /** A time that a schedule was due, and what became of it. */
  export interface JobInfo {
    readonly id: string;
    /** Name of the schedule. */
    readonly schedule: string;
    /** ISO 8601, as all times here. */
    readonly due_at: string;
    /** `manual`: somebody asked for it with `run()`. */
    readonly trigger: "due" | "manual";
    readonly status:
      | "pending"
      | "running"
      | "succeeded"
      | "failed"
      | "cancelled"
      | "interrupted"
      | "skipped"
      | "missed";
    /** Attempts that were begun. */
    readonly attempts: number;
    readonly started_at?: string;
    readonly ended_at?: string;
    /** Milliseconds from when it was due to when its first attempt began. */
    readonly lag_ms?: number;
    /** The run of its last attempt. */
    readonly run?: string;
    readonly exit_code?: number;
    readonly error?: { readonly code: string; readonly message: string };
    /** Why it was not run, or not to its end. */
    readonly reason?: string;
    /** What became of the notification, where there was to be one. */
    readonly notification?: {
      readonly status: "pending" | "sent" | "failed";
      readonly error?: string;
    };
  }

  /** A schedule, as `get()` and `list()` tell of it; settings as they are given. */
  export interface ScheduleInfo {
    readonly name: string;
    readonly id: string;
    readonly description: string;
    readonly cron: string;
    readonly tz: string;
    readonly script: string;
    readonly version: number | null;
    readonly space: string | null;
    readonly args: readonly string[];
    readonly input: unknown;
    readonly overlap: "skip" | "queue" | "cancel" | "allow";
    readonly missed: "skip" | "once" | "all";
    readonly window: number;
    readonly jitter: number;
    readonly timeout: number;
    readonly retries: number;
    readonly retry_delay: number;
    readonly grant: readonly string[] | null;
    /** The webhook's secret is never shown; `signed` tells whether there is one. */
    readonly notify: {
      readonly webhook?: { readonly url: string; readonly signed: boolean };
      readonly command?: { readonly command: string; readonly space?: string };
    } | null;
    readonly paused: boolean;
    readonly owner: string;
    /** When the next job is due; absent while the schedule is paused. */
    readonly next_due_at?: string;
    /** The newest job that has begun or will not begin any more. */
    readonly last_job?: JobInfo;
    /** Jobs that failed since one succeeded. */
    readonly failures_in_a_row: number;
    /** What keeps it from running well, such as a script that is gone. */
    readonly problems: readonly { readonly code: string; readonly message: string }[];
    readonly created_at: string;
    readonly updated_at: string;
  }

  /**
   * Adds a schedule.
   *
   * @example
   * schedules.add("nightly", { cron: "0 3 * * *", tz: "Europe/Berlin", script: "backup" });
   *
   * @param name Lower-case letters, digits and hyphens.
   * @param options `cron` and `script` are needed.
   * @throws SpacesError `SCHEDULE_EXISTS`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function add(name: string, options: AddScheduleOptions): ScheduleInfo;

  /**
   * Tells of a schedule.
   *
   * @example
   * console.log(schedules.get("nightly").next_due_at);
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function get(name: string): ScheduleInfo;

  /**
   * All of your schedules.
   *
   * @example
   * const failing = schedules.list().filter((schedule) => schedule.failures_in_a_row > 0);
   */
  export function list(): ScheduleInfo[];

  /**
   * Changes what is given and keeps the rest.
   *
   * @example
   * schedules.update("nightly", { cron: "30 3 * * *", retries: 3 });
   *
   * @param name Name of the schedule.
   * @param options What changes; null takes a setting away.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function update(name: string, options: Partial<ScheduleOptions>): ScheduleInfo;

  /**
   * Lets no further job become due; one that runs goes on.
   *
   * @example
   * schedules.pause("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function pause(name: string): ScheduleInfo;

  /**
   * Lets jobs become due from now on.
   *
   * @example
   * schedules.resume("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function resume(name: string): ScheduleInfo;

  /**
   * Has a job run now, also of a schedule that is paused, and does not wait for its end.
   *
   * @example
   * const job = schedules.run("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function run(name: string): JobInfo;

  /**
   * The jobs of a schedule, the newest first.
   *
   * @example
   * const failed = schedules.history("nightly", { status: "failed", limit: 10 });
   *
   * @param name Name of the schedule.
   * @param options `status`, `limit`.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function history(name: string, options?: HistoryOptions): JobInfo[];

  /**
   * Removes a schedule and its history. Also exported as `delete`.
   *
   * @example
   * schedules.remove("nightly");
   *
   * @param name Name of the schedule.
   * @returns true
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function remove(name: string): true;

  /**
   * When a schedule of this cron expression would be due next.
   *
   * @example
   * console.log(schedules.preview("0 3 * * *", { tz: "Europe/Berlin", count: 3 }));
   *
   * @param cron Five fields, six with seconds in front, or a name such as `@daily`.
   * @param options `tz`, `count`.
   * @returns ISO 8601 times
   * @throws SpacesError `INVALID_INPUT`
   */
  export function preview(cron: string, options?: PreviewOptions): string[];

  export { remove as delete };

  /** All functions of the module; a misspelt one is an error that names the right one. */
  const schedules: Omit<typeof import("schedules"), "default">;
  export default schedules;
}
