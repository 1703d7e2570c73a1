/** Stored scripts, as programs reach them: `client.scripts`. */

import { isErrorCode } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { ScriptInputs } from "../contract/script-inputs.js";
import type { ListedScript, Script, ScriptRun, ScriptVersion } from "../contract/scripts.js";
import type { JsonValue } from "../contract/values.js";
import type { CallOptions, Connection } from "./connection.js";
import { sdkError } from "./errors.js";

/** Which script of a name is meant. */
export interface ScriptOptions extends CallOptions {
  /** The one that is everybody's, also where the caller has one of its own. */
  readonly global?: boolean | undefined;
}

export interface SaveScriptOptions extends ScriptOptions {
  /** These may also stand in the header of the source; what is given here goes before it. */
  readonly description?: string | undefined;
  /** A `lib` is imported by other stored scripts. */
  readonly kind?: Script["kind"] | undefined;
  /** Whether MCP clients are given it as a tool of its own. */
  readonly tool?: boolean | undefined;
  readonly inputs?: ScriptInputs | undefined;
  /** Told from the source when absent: `native` with a shebang, else TypeScript. */
  readonly language?: Script["language"] | undefined;
  /** Saves only while this is the newest version, 0 for none. */
  readonly ifVersion?: number | undefined;
}

export interface ScriptVersionOptions extends ScriptOptions {
  readonly version?: number | undefined;
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
  /** What `runtime.input` gives: a JSON value, held against the inputs where the script declares some. */
  readonly input?: JsonValue | undefined;
  /** The newest when absent. */
  readonly version?: number | undefined;
}

export class Scripts {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Saves a script as its newest version; nothing is saved where it is as the newest is already.
   * @throws SpacesError `INVALID_INPUT`; `CONFLICT` where `ifVersion` is not the newest any more;
   *   `PERMISSION_DENIED` for a global one
   */
  async save(script: string, source: string, options: SaveScriptOptions = {}): Promise<Script> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.scripts.save({ script, source, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Gets a script, or a version of it: the caller's own where it has one of this name, else the global
   * one. @throws SpacesError `SCRIPT_NOT_FOUND`
   */
  async get(script: string, options: ScriptVersionOptions = {}): Promise<Script> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.scripts.get({ script, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /** All scripts, without their sources. */
  async list(options: CallOptions = {}): Promise<ListedScript[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.scripts.list({}, call),
      options,
    );
    return items;
  }

  /** The versions of a script, the newest first. @throws SpacesError `SCRIPT_NOT_FOUND` */
  async history(script: string, options: ScriptOptions = {}): Promise<ScriptVersion[]> {
    const { signal, timeoutMs, ...rest } = options;
    const { items } = await this.#connection.call(
      (client, call) => client.scripts.history({ script, ...rest }, call),
      { signal, timeoutMs },
    );
    return items;
  }

  /**
   * Saves an earlier version once more, as the newest: the one before the newest, where none is named.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `PERMISSION_DENIED`
   */
  async rollback(script: string, options: ScriptVersionOptions = {}): Promise<Script> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.scripts.rollback({ script, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /** Deletes a script with its versions. @throws SpacesError `SCRIPT_NOT_FOUND`, `PERMISSION_DENIED` */
  async delete(script: string, options: ScriptOptions = {}): Promise<void> {
    const { signal, timeoutMs, ...rest } = options;
    await this.#connection.call(
      (client, call) => client.scripts.delete({ script, ...rest }, call),
      {
        signal,
        timeoutMs,
      },
    );
  }

  /**
   * Runs a script and collects its output. A script that fails is a result like any other, with its
   * `error`, unless `check` says otherwise.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `INVALID_INPUT` for an input that it does not take,
   *   `SPACE_NOT_RUNNING`, `CANCELLED`; with `check`
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
