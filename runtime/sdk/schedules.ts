/** Schedules, as programs reach them: `client.schedules`. */
import type { Client } from "../contract/contract.js";
import type { Permission } from "../contract/permissions.js";
import type { Job, JobStatus, Schedule } from "../contract/schedules.js";
import type { CallOptions, Connection } from "./connection.js";
import { itemsOf, type Page, pageOf } from "./pages.js";

/** The settings of a schedule; times in milliseconds. */
export interface ScheduleOptions {
  /** Five fields, six with seconds in front, or a name such as `@daily`. */
  readonly cron: string;
  /** Time zone of the cron expression, such as `Europe/Berlin`; `UTC` when absent. */
  readonly timezone?: string | undefined;
  /** Name of a stored script; looked up when a job runs. */
  readonly script: string;
  /** A version of the script; the newest at that time when absent or null. */
  readonly scriptVersion?: number | null | undefined;
  /** Id or name of the space that the script's `space` module is bound to. */
  readonly space?: string | null | undefined;
  readonly args?: readonly string[] | undefined;
  /** What `runtime.input` gives the script: a value that JSON can hold. */
  readonly input?: unknown;
  /** When a job is due while the one before it runs; `skip` when absent. */
  readonly overlap?: "skip" | "queue" | "cancel" | "allow" | undefined;
  /** When jobs were due while nothing ran them; `once` when absent. */
  readonly missed?: "skip" | "once" | "all" | undefined;
  /** Missed jobs that were due longer ago are left out; 6 hours when absent. */
  readonly missedWindowMs?: number | undefined;
  /** Each job begins later by a random time up to this. */
  readonly jitterMs?: number | undefined;
  /** Time for each attempt; an hour when absent. */
  readonly timeoutMs?: number | undefined;
  /** Further attempts after one that failed. */
  readonly retries?: number | undefined;
  /** Before the second attempt, doubling for each further one; 30 s when absent. */
  readonly retryDelayMs?: number | undefined;
  /** What the script may do, of what the owner may when it runs; all of it when absent or null. */
  readonly grant?: readonly Permission[] | null | undefined;
  /** Who is told when a job fails. */
  readonly notify?: ScheduleNotify | null | undefined;
  readonly description?: string | undefined;
}

export interface ScheduleNotify {
  /** Sent a POST with JSON, signed with HMAC-SHA256 where a secret is given. */
  readonly webhook?: { readonly url: string; readonly secret?: string | undefined } | undefined;
  /** Run in a space, the schedule's own when absent, with a report on standard input. */
  readonly command?: { readonly command: string; readonly space?: string | undefined } | undefined;
}

export interface AddScheduleOptions extends ScheduleOptions {
  /** Add it without any job becoming due until it is resumed. */
  readonly paused?: boolean | undefined;
}

export interface AppliedSchedule {
  readonly name: string;
  readonly result: "created" | "updated" | "unchanged";
}

export interface ListJobsOptions extends CallOptions {
  readonly status?: JobStatus | undefined;
  /** Jobs in a page, 1000 at most. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

type Given = Parameters<Client["schedules"]["add"]>[0];

/** Settings in the form that the contract's client takes. */
function settingsOf<T extends Partial<ScheduleOptions>>({ args, grant, input, ...rest }: T) {
  return {
    ...rest,
    ...(args === undefined ? {} : { args: [...args] }),
    ...(grant === undefined ? {} : { grant: grant === null ? null : [...grant] }),
    // What JSON cannot hold is refused by the contract.
    ...(input === undefined ? {} : { input: input as Given["input"] }),
  };
}

export class Schedules {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Adds a schedule.
   * @throws SpacesError `SCHEDULE_EXISTS`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  async add(
    name: string,
    schedule: AddScheduleOptions,
    options: CallOptions = {},
  ): Promise<Schedule> {
    const input = { ...settingsOf(schedule), name };
    return await this.#connection.call(
      (client, call) => client.schedules.add(input, call),
      options,
    );
  }

  /**
   * Adds or changes schedules; all of them or none. Where the text does not say `paused`, a schedule
   * that is there stays as it is.
   * @param source one or more YAML documents, one schedule each; durations such as `5m`
   * @param options `filename` is the name that errors show for the text
   * @throws SpacesError `INVALID_INPUT`, `SCRIPT_NOT_FOUND` or `SPACE_NOT_FOUND` with line and column
   */
  async apply(
    source: string,
    options: CallOptions & { readonly filename?: string | undefined } = {},
  ): Promise<AppliedSchedule[]> {
    const { signal, timeoutMs, ...rest } = options;
    const { items } = await this.#connection.call(
      (client, call) => client.schedules.apply({ source, ...rest }, call),
      { signal, timeoutMs },
    );
    return items;
  }

  /** One's own schedules. */
  async list(options: CallOptions = {}): Promise<Schedule[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.schedules.list({}, call),
      options,
    );
    return items;
  }

  /** @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async get(schedule: string, options: CallOptions = {}): Promise<Schedule> {
    return await this.#connection.call(
      (client, call) => client.schedules.get({ schedule }, call),
      options,
    );
  }

  /**
   * Changes what is given and keeps the rest; null takes a setting away.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`, `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  async update(
    schedule: string,
    change: Partial<ScheduleOptions>,
    options: CallOptions = {},
  ): Promise<Schedule> {
    const input = { ...settingsOf(change), schedule };
    return await this.#connection.call(
      (client, call) => client.schedules.update(input, call),
      options,
    );
  }

  /** Lets no further job become due; one that runs goes on. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async pause(schedule: string, options: CallOptions = {}): Promise<Schedule> {
    return await this.#connection.call(
      (client, call) => client.schedules.pause({ schedule }, call),
      options,
    );
  }

  /** Lets jobs become due from now on. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async resume(schedule: string, options: CallOptions = {}): Promise<Schedule> {
    return await this.#connection.call(
      (client, call) => client.schedules.resume({ schedule }, call),
      options,
    );
  }

  /**
   * Has a job run now, also of a schedule that is paused, and does not wait for its end.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  async run(schedule: string, options: CallOptions = {}): Promise<Job> {
    return await this.#connection.call(
      (client, call) => client.schedules.run({ schedule }, call),
      options,
    );
  }

  /**
   * A page of the jobs of a schedule, the newest first; `iterateHistory` gives all pages.
   * @throws SpacesError `SCHEDULE_NOT_FOUND`
   */
  async history(schedule: string, options: ListJobsOptions = {}): Promise<Page<Job>> {
    const { signal, timeoutMs, ...rest } = options;
    const page = await this.#connection.call(
      (client, call) => client.schedules.history({ schedule, ...rest }, call),
      { signal, timeoutMs },
    );
    return pageOf(page, (job) => job);
  }

  /** All jobs of a schedule, the newest first, a page asked for when it is needed. */
  iterateHistory(
    schedule: string,
    options: Omit<ListJobsOptions, "cursor"> = {},
  ): AsyncGenerator<Job, void> {
    const { signal, timeoutMs, ...rest } = options;
    return itemsOf((cursor) =>
      this.#connection.call(
        (client, call) => client.schedules.history({ schedule, cursor, ...rest }, call),
        { signal, timeoutMs },
      ),
    );
  }

  /** Removes a schedule and its history. @throws SpacesError `SCHEDULE_NOT_FOUND` */
  async remove(schedule: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.schedules.remove({ schedule }, call),
      options,
    );
  }

  /**
   * When a schedule of this cron expression would be due next.
   * @param options `timezone`, `UTC` when absent; `count`, up to 100 and 5 when absent
   * @returns ISO 8601 times
   * @throws SpacesError `INVALID_INPUT`
   */
  async preview(
    cron: string,
    options: CallOptions & {
      readonly timezone?: string | undefined;
      readonly count?: number | undefined;
    } = {},
  ): Promise<string[]> {
    const { signal, timeoutMs, ...rest } = options;
    const { times } = await this.#connection.call(
      (client, call) => client.schedules.preview({ cron, ...rest }, call),
      { signal, timeoutMs },
    );
    return times;
  }
}
