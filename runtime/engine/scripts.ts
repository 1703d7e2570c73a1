/** Runs stored scripts by their names, and sources that are not stored. */
import type { Permission } from "../contract/permissions.js";
import type { Script, ScriptRun } from "../contract/scripts.js";
import type { ModuleSource } from "../interpreter/types.js";
import { languageOf } from "../runs/outcome.js";
import { checkInput } from "../scripts/check-input.js";
import { readHeader } from "../scripts/header.js";
import { libIsNotRun, storedLibs } from "../scripts/libs.js";
import type { CallContext, ScriptRunOptions } from "./context.js";
import type { Runnable, RunSettings, ScriptStarter, StartedRun } from "./script-starter.js";
import type { StoredScripts } from "./stored-scripts.js";

interface RunRequest {
  readonly script: string;
  readonly version?: number | undefined;
  readonly input?: unknown;
  readonly space?: string | undefined;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly grant?: readonly Permission[] | undefined;
}

export class Scripts {
  readonly #stored: StoredScripts;
  readonly #starter: ScriptStarter;

  constructor(stored: StoredScripts, starter: ScriptStarter) {
    this.#stored = stored;
    this.#starter = starter;
  }

  /**
   * Runs a stored script.
   * @returns how it ended, with its output; a script that failed is not an error of this call
   * @throws SpacesError as `start`
   */
  async run(
    context: CallContext,
    request: RunRequest,
    options: ScriptRunOptions,
  ): Promise<ScriptRun> {
    return await (await this.start(context, request, options)).ended;
  }

  /**
   * Starts a stored script.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `INVALID_INPUT` for a lib and for an input that the script
   *   does not take, and what `ScriptStarter.start` says
   */
  async start(
    context: CallContext,
    request: RunRequest,
    options: ScriptRunOptions,
  ): Promise<StartedRun> {
    const { script: name, version, ...settings } = request;
    const script = await this.#stored.get(context, { script: name, version, global: false });
    if (script.kind === "lib") throw libIsNotRun(name);
    const input = checkInput(script, settings.input);
    const runnable = this.#runnableOf(context, script);
    return await this.#starter.start(context, runnable, { ...settings, input }, options);
  }

  /**
   * Starts a source that is not stored. It may have a header, and import libs, as a stored script of
   * the caller's own.
   * @throws SpacesError `INVALID_INPUT` for a mistake in its header, a lib, and an input that it does
   *   not take; and what `ScriptStarter.start` says
   */
  async startSource(
    context: CallContext,
    { filename, source }: { readonly filename: string; readonly source: string },
    settings: RunSettings,
    options: ScriptRunOptions,
  ): Promise<StartedRun> {
    const { kind, inputs } = await readHeader(filename, source);
    if (kind === "lib") throw libIsNotRun(filename);
    const input = checkInput({ name: filename, inputs }, settings.input);
    const moduleSource = this.#libsOf(context, { global: false });
    const runnable = { filename, language: languageOf(filename), source, moduleSource };
    return await this.#starter.start(context, runnable, { ...settings, input }, options);
  }

  #runnableOf(context: CallContext, script: Script): Runnable {
    const { name, version, language, source } = script;
    const ending = { native: "", javascript: ".js", typescript: ".ts" }[language];
    return {
      ...{ name, version, language, source, filename: name + ending },
      moduleSource: this.#libsOf(context, script),
    };
  }

  #libsOf(context: CallContext, script: Pick<Script, "global">): ModuleSource {
    return storedLibs(script, (lib, global) => this.#stored.get(context, { script: lib, global }));
  }
}
