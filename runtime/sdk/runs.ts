/** Runs of scripts and their records, as programs reach them: `client.runs`. */
import type { Permission } from "../contract/permissions.js";
import type { RunCall, Run as RunData, RunEvent, RunStatus } from "../contract/runs.js";
import type { JsonValue } from "../contract/values.js";
import { type CallOptions, type Connection, limited } from "./connection.js";
import { itemsOf, type Page, pageOf } from "./pages.js";

/** How long one call waits for the end; the next one goes on. */
const WAIT_MS = 60_000;

export interface StartRunOptions {
  /** Arguments of the script. */
  readonly args?: readonly string[] | undefined;
  /** What `runtime.input` gives to it. */
  readonly input?: JsonValue | undefined;
  /** Id or name of the space that it runs in; native scripts need one. */
  readonly space?: string | undefined;
  /** Milliseconds after which it is ended; 30 s when absent. */
  readonly timeoutMs?: number | undefined;
  /** What it may do, of what the caller may. */
  readonly grant?: readonly Permission[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A script to start: a stored one, or its text. */
export type RunSource =
  | { readonly script: string; readonly version?: number | undefined }
  | { readonly source: string; readonly filename?: string | undefined };

export interface ListRunsOptions extends CallOptions {
  readonly status?: RunStatus | undefined;
  /** Runs of this stored script. */
  readonly script?: string | undefined;
  /** Runs of this schedule. */
  readonly schedule?: string | undefined;
  /** Runs of every owner; needs the permission ViewAudit. */
  readonly all?: boolean | undefined;
  /** How many; 100 when absent. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface FollowRunOptions {
  /** Leaves out the entries up to this `seq`. */
  readonly after?: number | undefined;
  /** Also gives the calls, each when it ends. */
  readonly calls?: boolean | undefined;
  /** Ends behind what is recorded so far. */
  readonly now?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A run of a script, and its record: what `client.runs` gives. */
export class RecordedRun {
  readonly #connection: Connection;
  #data: RunData;

  constructor(connection: Connection, data: RunData) {
    this.#connection = connection;
    this.#data = data;
  }

  get id(): string {
    return this.#data.id;
  }

  /** As last known; `refresh` asks again. */
  get status(): RunStatus {
    return this.#data.status;
  }

  /** All that is known of it; `refresh` asks again. */
  get record(): RunData {
    return this.#data;
  }

  toJSON(): RunData {
    return this.#data;
  }

  /** Asks for the record again. @throws SpacesError `RUN_NOT_FOUND` */
  async refresh(options: CallOptions = {}): Promise<this> {
    this.#data = await this.#connection.call(
      (client, call) => client.runs.get({ run: this.id }, call),
      options,
    );
    return this;
  }

  /**
   * Waits until it has ended.
   * @param options `timeoutMs` to wait at most; for as long as it takes when absent
   * @throws SpacesError `CALL_TIMEOUT`, `CANCELLED`, `RUN_NOT_FOUND`
   */
  async wait({ signal, timeoutMs }: CallOptions = {}): Promise<this> {
    const either = limited(signal, timeoutMs);
    do {
      this.#data = await this.#connection.callUnbounded(
        (client, call) => client.runs.wait({ run: this.id, timeoutMs: WAIT_MS }, call),
        either,
      );
    } while (this.status === "running");
    return this;
  }

  /**
   * Its output from the beginning as it comes, and at last its end. Leaving the loop leaves it
   * running.
   * @throws SpacesError `RUN_NOT_FOUND`, `CANCELLED`
   */
  async *follow({ signal, ...options }: FollowRunOptions = {}): AsyncGenerator<RunEvent, void> {
    const events = this.#connection.stream(
      (client, call) => client.runs.follow({ run: this.id, ...options }, call),
      signal,
    );
    for await (const event of events) {
      if (event.type === "end") this.#data = event.run;
      yield event;
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<RunEvent, void> {
    return this.follow();
  }

  /** All calls that it made, in order. */
  calls(options: CallOptions = {}): AsyncGenerator<RunCall, void> {
    return itemsOf((cursor) =>
      this.#connection.call(
        (client, call) => client.runs.calls({ run: this.id, limit: 1000, cursor }, call),
        options,
      ),
    );
  }

  /** Cancels it, and waits a moment for its end. One that has ended stays as it is. */
  async cancel(options: CallOptions = {}): Promise<this> {
    this.#data = await this.#connection.call(
      (client, call) => client.runs.cancel({ run: this.id }, call),
      options,
    );
    return this;
  }

  /**
   * Starts what it ran once more, from the source as it was then.
   * @throws SpacesError `UNSUPPORTED` where too little is kept of it; `PERMISSION_DENIED`
   */
  async rerun(options: CallOptions = {}): Promise<RecordedRun> {
    const data = await this.#connection.call(
      (client, call) => client.runs.rerun({ run: this.id }, call),
      options,
    );
    return new RecordedRun(this.#connection, data);
  }

  /** Deletes its record. @throws SpacesError `CONFLICT` while it runs */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.runs.delete({ run: this.id }, call),
      options,
    );
  }
}

export class Runs {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Starts a script and does not wait for its end. Without a server it ends with the client.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `LIMIT_EXCEEDED`
   */
  async start(what: RunSource, options: StartRunOptions = {}): Promise<RecordedRun> {
    const { signal, args = [], grant, ...rest } = options;
    const input = {
      ...what,
      ...rest,
      args: [...args],
      ...(grant === undefined ? {} : { grant: [...grant] }),
    };
    const data = await this.#connection.callUnbounded(
      (client, call) => client.runs.start(input, call),
      signal,
    );
    return new RecordedRun(this.#connection, data);
  }

  /** @throws SpacesError `RUN_NOT_FOUND` */
  async get(run: string, options: CallOptions = {}): Promise<RecordedRun> {
    const data = await this.#connection.call(
      (client, call) => client.runs.get({ run }, call),
      options,
    );
    return new RecordedRun(this.#connection, data);
  }

  /** A page of runs, the newest first. */
  async list(options: ListRunsOptions = {}): Promise<Page<RecordedRun>> {
    const { signal, timeoutMs, ...query } = options;
    const page = await this.#connection.call((client, call) => client.runs.list(query, call), {
      signal,
      timeoutMs,
    });
    return pageOf(page, (data) => new RecordedRun(this.#connection, data));
  }

  /** All runs, the newest first, page by page. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RecordedRun, void> {
    const all = itemsOf((cursor) =>
      this.#connection.call((client, call) => client.runs.list({ cursor }, call)),
    );
    for await (const data of all) yield new RecordedRun(this.#connection, data);
  }
}
