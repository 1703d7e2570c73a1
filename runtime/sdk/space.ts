/** A space, as programs hold it: what `client.spaces` gives. */
import type { SerializedError } from "../contract/errors.js";
import type { CommandResult } from "../contract/processes.js";
import type { ScriptRun } from "../contract/scripts.js";
import type { Space as SpaceData, SpaceStatus } from "../contract/spaces.js";
import type { CallOptions, Connection } from "./connection.js";
import { NotFoundError, sdkError } from "./errors.js";
import { SpaceFields } from "./fields.js";
import { SpaceFiles } from "./files.js";
import type { Run, RunRequest } from "./operation-types.js";
import { runOperations } from "./operations.js";
import { SpacePorts } from "./ports.js";
import { type ExecOptions, type RunCommandOptions, SpaceProcesses } from "./processes.js";
import { SpacePty } from "./pty.js";
import { type RunScriptOptions, Scripts } from "./scripts.js";
import { checkStatus } from "./space-status.js";

/** Labels of the caller's; numbers and booleans are kept as text. */
export type Metadata = Readonly<Record<string, string | number | boolean>>;

export interface UpdateSpaceOptions extends CallOptions {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly shell?: SpaceData["shell"] | undefined;
  /** Replaces the space's own environment; commands that are started from now on have it. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Replaces the metadata. */
  readonly metadata?: Metadata | undefined;
}

/** One of the two. */
export type ExtendSpaceOptions = CallOptions &
  (
    | {
        /** Seconds, added to the time at which the space expires. */
        readonly duration: number;
        readonly durationMs?: never;
      }
    | {
        /** Milliseconds. */
        readonly durationMs: number;
        readonly duration?: never;
      }
  );

/**
 * Its properties are what was last known; `refresh` asks again. Disposing (`await using`) destroys
 * the space.
 */
export class Space implements AsyncDisposable {
  readonly files: SpaceFiles;
  readonly process: SpaceProcesses;
  readonly pty: SpacePty;
  readonly fields: SpaceFields;
  readonly ports: SpacePorts;
  readonly #connection: Connection;
  #data: SpaceData;

  constructor(connection: Connection, data: SpaceData) {
    this.#connection = connection;
    this.#data = data;
    this.files = new SpaceFiles(connection, data.id);
    this.process = new SpaceProcesses(connection, data.id);
    this.pty = new SpacePty(connection, data.id, () => this.#data.shell);
    this.fields = new SpaceFields(connection, data.id);
    this.ports = new SpacePorts(connection, data.id);
  }

  /** Such as `spc_…`; it never changes. */
  get id(): string {
    return this.#data.id;
  }

  get name(): string {
    return this.#data.name;
  }

  get owner(): string {
    return this.#data.owner;
  }

  get description(): string {
    return this.#data.description;
  }

  get template(): string {
    return this.#data.template;
  }

  get status(): SpaceStatus {
    return this.#data.status;
  }

  /** While it runs: whether commands are under way. */
  get activity(): SpaceData["activity"] {
    return this.#data.activity;
  }

  get isRunning(): boolean {
    return this.#data.isRunning;
  }

  /** Where it lives: `docker`, `bubblewrap` or `virtual`. */
  get driver(): string {
    return this.#data.driver;
  }

  get shell(): SpaceData["shell"] {
    return this.#data.shell;
  }

  /** Where commands start, as the space sees it. */
  get workdir(): string {
    return this.#data.workdir;
  }

  get env(): Readonly<Record<string, string>> {
    return this.#data.env;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#data.metadata;
  }

  /** ISO 8601, as all times. */
  get createdAt(): string {
    return this.#data.createdAt;
  }

  get updatedAt(): string {
    return this.#data.updatedAt;
  }

  get startedAt(): string | undefined {
    return this.#data.startedAt;
  }

  /** When it is deleted by itself; undefined where it stays. */
  get expiresAt(): string | undefined {
    return this.#data.expiresAt;
  }

  /** What its last start or stop failed of. */
  get lastError(): (Omit<SerializedError, "code"> & { code: string; at: string }) | undefined {
    return this.#data.lastError;
  }

  /** Host path of its files, where it lives on this machine. */
  get workspace(): string | undefined {
    return this.#data.workspace;
  }

  toJSON(): SpaceData {
    return this.#data;
  }

  /** Asks for the properties again. @throws SpacesError `SPACE_NOT_FOUND` */
  async refresh(options: CallOptions = {}): Promise<this> {
    return this.#with(
      await this.#connection.call((client, call) => client.spaces.get(this.#ref, call), options),
    );
  }

  /** Changes what is given and keeps the rest. @throws SpacesError `SPACE_EXISTS`, `INVALID_INPUT` */
  async update(change: UpdateSpaceOptions): Promise<this> {
    const { signal, timeoutMs, env, metadata, ...rest } = change;
    const input = {
      ...rest,
      ...this.#ref,
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(metadata === undefined ? {} : { metadata: textsOf(metadata) }),
    };
    return this.#with(
      await this.#connection.call((client, call) => client.spaces.update(input, call), {
        signal,
        timeoutMs,
      }),
    );
  }

  /**
   * Puts off the time at which the space is deleted.
   * @throws SpacesError `CONFLICT` for a space that does not expire
   */
  async extend(options: ExtendSpaceOptions): Promise<this> {
    const { signal, timeoutMs, duration, durationMs } = options;
    if ((duration === undefined) === (durationMs === undefined)) {
      throw sdkError("INVALID_INPUT", "Give either duration (seconds) or durationMs.");
    }
    const ms = durationMs ?? Number(duration) * 1000;
    return this.#with(
      await this.#connection.call(
        (client, call) => client.spaces.extend({ ...this.#ref, durationMs: ms }, call),
        { signal, timeoutMs },
      ),
    );
  }

  /**
   * Starts it and waits until it runs; nothing happens where it does.
   * @throws SpacesError `SPACE_START_FAILED`, `DRIVER_UNAVAILABLE`, `IMAGE_NOT_FOUND`
   */
  async start(options: CallOptions = {}): Promise<this> {
    return this.#with(
      await this.#connection.call((client, call) => client.spaces.start(this.#ref, call), options),
    );
  }

  /** Stops it and waits until it has; its files stay. Nothing happens where it is stopped. */
  async stop(options: CallOptions = {}): Promise<this> {
    return this.#with(
      await this.#connection.call((client, call) => client.spaces.stop(this.#ref, call), options),
    );
  }

  /** @throws SpacesError `SPACE_NOT_RUNNING`, `SPACE_START_FAILED` */
  async restart(options: CallOptions = {}): Promise<this> {
    return this.#with(
      await this.#connection.call(
        (client, call) => client.spaces.restart(this.#ref, call),
        options,
      ),
    );
  }

  /**
   * Waits until the space has a status.
   * @param options `timeoutMs` to wait at most; a minute when absent
   * @throws SpacesError `CONFLICT` when it has another status by then
   */
  async wait(status: SpaceStatus, { signal, timeoutMs }: CallOptions = {}): Promise<this> {
    checkStatus(status);
    const input = { ...this.#ref, status, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return this.#with(
      await this.#connection.callUnbounded(
        (client, call) => client.spaces.wait(input, call),
        signal,
      ),
    );
  }

  /** Stops the space where it runs and deletes it with its files. @throws SpacesError `SPACE_NOT_FOUND` */
  async destroy(options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.spaces.delete({ ...this.#ref, force: true }, call),
      options,
    );
    this.#with({ ...this.#data, status: "destroyed", isRunning: false });
  }

  /** Destroys the space, unless that has been done. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.status === "destroyed") return;
    try {
      await this.destroy();
    } catch (error) {
      if (!NotFoundError.isInstance(error)) throw error;
    }
  }

  /**
   * Carries out operations one after the other. One that fails is recorded, and the rest is carried
   * out all the same.
   * @throws SpacesError `INVALID_INPUT` for what is no operation; what makes going on pointless, with
   *   the `events` so far in its details
   */
  run(request: RunRequest, options?: CallOptions): Promise<Run>;
  /** Runs a command: `space.process.run`. */
  run(command: string, options?: RunCommandOptions): Promise<CommandResult>;
  run(
    what: string | RunRequest,
    options: CallOptions | RunCommandOptions = {},
  ): Promise<Run | CommandResult> {
    return typeof what === "string"
      ? this.process.run(what, options)
      : runOperations(this, what, options);
  }

  /** Runs a command and tells how it ended, whatever that was: `space.process.exec`. */
  exec(command: string, options: ExecOptions = {}): Promise<CommandResult> {
    return this.process.exec(command, options);
  }

  /**
   * Runs a stored script bound to this space, or inside of it when it has a shebang.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  runScript(
    name: string,
    args: readonly string[] = [],
    options: RunScriptOptions = {},
  ): Promise<ScriptRun> {
    return new Scripts(this.#connection).run(name, { ...options, space: this.id, args });
  }

  get #ref(): { space: string } {
    return { space: this.#data.id };
  }

  #with(data: SpaceData): this {
    this.#data = data;
    return this;
  }
}

/** Metadata as the contract has it. */
export function textsOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [
      key,
      // What types do not allow goes along, so that the contract can refuse it.
      typeof value === "number" || typeof value === "boolean" ? String(value) : value,
    ]),
  );
}
