/** Stored scripts, as programs reach them: `client.scripts`. */

import { isErrorCode } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { Script, ScriptRun } from "../contract/scripts.js";
import type { CallOptions, Connection } from "./connection.js";
import { sdkError } from "./errors.js";

export interface SaveScriptOptions extends CallOptions {
  readonly description?: string | undefined;
  /** Told from the source when absent: `native` with a shebang, else TypeScript. */
  readonly language?: Script["language"] | undefined;
}

export interface RunScriptOptions {
  /** Milliseconds after which it is ended; 30 s when absent. */
  readonly timeoutMs?: number | undefined;
  /** What it may do, of what the caller may. */
  readonly grant?: readonly Permission[] | undefined;
  /** Throws the error that the script died of, in place of a run that tells it. */
  readonly check?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RunStoredScriptOptions extends RunScriptOptions {
  /** Id or name of the space that it runs in; native scripts need one. */
  readonly space?: string | undefined;
  readonly args?: readonly string[] | undefined;
}

export class Scripts {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Saves a script, in place of one of the same name. @throws SpacesError `INVALID_INPUT` */
  async save(script: string, source: string, options: SaveScriptOptions = {}): Promise<Script> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.scripts.save({ script, source, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /** @throws SpacesError `SCRIPT_NOT_FOUND` */
  async get(script: string, options: CallOptions = {}): Promise<Script> {
    return await this.#connection.call(
      (client, call) => client.scripts.get({ script }, call),
      options,
    );
  }

  /** All scripts, without their sources. */
  async list(options: CallOptions = {}): Promise<Omit<Script, "source">[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.scripts.list({}, call),
      options,
    );
    return items;
  }

  /** @throws SpacesError `SCRIPT_NOT_FOUND` */
  async delete(script: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call((client, call) => client.scripts.delete({ script }, call), options);
  }

  /**
   * Runs a script and collects its output. A script that fails is a result like any other, with its
   * `error`, unless `check` says otherwise.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_RUNNING`, `CANCELLED`; with `check`
   *   `SCRIPT_FAILED`, `SCRIPT_TIMEOUT` and the like, with the run in the error's details
   */
  async run(script: string, options: RunStoredScriptOptions = {}): Promise<ScriptRun> {
    const { signal, check = false, args, grant, timeoutMs, ...rest } = options;
    const input = {
      ...rest,
      script,
      ...(args === undefined ? {} : { args: [...args] }),
      ...(grant === undefined ? {} : { grant: [...grant] }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    const run = await this.#connection.callUnbounded(
      (client, call) => client.scripts.run(input, call),
      signal,
    );
    if (check && run.error !== undefined) {
      const { code, message } = run.error;
      throw sdkError(isErrorCode(code) ? code : "SCRIPT_FAILED", message, { details: { ...run } });
    }
    return run;
  }
}
