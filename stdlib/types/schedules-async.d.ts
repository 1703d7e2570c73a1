/** The module `schedules/async`: the functions of `schedules`, each returning a promise. */
// Made from schedules.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "schedules/async" {
  import type {
    AddScheduleOptions,
    HistoryOptions,
    JobInfo,
    PreviewOptions,
    ScheduleInfo,
    ScheduleOptions,
  } from "schedules";

  /**
   * Adds a schedule.
   *
   * @example
   * await schedules.add("nightly", { cron: "0 3 * * *", tz: "Europe/Berlin", script: "backup" });
   *
   * @param name Lower-case letters, digits and hyphens.
   * @param options `cron` and `script` are needed.
   * @throws SpacesError `SCHEDULE_EXISTS`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function add(name: string, options: AddScheduleOptions): Promise<ScheduleInfo>;

  /**
   * Tells of a schedule.
   *
   * @example
   * console.log(await schedules.get("nightly").next_due_at);
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function get(name: string): Promise<ScheduleInfo>;

  /**
   * All of your schedules.
   *
   * @example
   * const failing = (await schedules.list()).filter((schedule) => schedule.failures_in_a_row > 0);
   */
  export function list(): Promise<ScheduleInfo[]>;

  /**
   * Changes what is given and keeps the rest.
   *
   * @example
   * await schedules.update("nightly", { cron: "30 3 * * *", retries: 3 });
   *
   * @param name Name of the schedule.
   * @param options What changes; null takes a setting away.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function update(name: string, options: Partial<ScheduleOptions>): Promise<ScheduleInfo>;

  /**
   * Lets no further job become due; one that runs goes on.
   *
   * @example
   * await schedules.pause("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function pause(name: string): Promise<ScheduleInfo>;

  /**
   * Lets jobs become due from now on.
   *
   * @example
   * await schedules.resume("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function resume(name: string): Promise<ScheduleInfo>;

  /**
   * Has a job run now, also of a schedule that is paused, and does not wait for its end.
   *
   * @example
   * const job = await schedules.run("nightly");
   *
   * @param name Name of the schedule.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function run(name: string): Promise<JobInfo>;

  /**
   * The jobs of a schedule, the newest first.
   *
   * @example
   * const failed = await schedules.history("nightly", { status: "failed", limit: 10 });
   *
   * @param name Name of the schedule.
   * @param options `status`, `limit`.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function history(name: string, options?: HistoryOptions): Promise<JobInfo[]>;

  /**
   * Removes a schedule and its history. Also exported as `delete`.
   *
   * @example
   * await schedules.remove("nightly");
   *
   * @param name Name of the schedule.
   * @returns true
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  export function remove(name: string): Promise<true>;

  /**
   * When a schedule of this cron expression would be due next.
   *
   * @example
   * console.log(await schedules.preview("0 3 * * *", { tz: "Europe/Berlin", count: 3 }));
   *
   * @param cron Five fields, six with seconds in front, or a name such as `@daily`.
   * @param options `tz`, `count`.
   * @returns ISO 8601 times
   * @throws SpacesError `INVALID_INPUT`
   */
  export function preview(cron: string, options?: PreviewOptions): Promise<string[]>;

  export { remove as delete };

  /** All of the module; a misspelt function is an error that names the right one. */
  const schedules: Omit<typeof import("schedules/async"), "default">;
  export default schedules;
}
