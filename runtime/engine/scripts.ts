/** Runs stored scripts by their names. */
import { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { Script, ScriptRun } from "../contract/scripts.js";
import { checkInput } from "../scripts/check-input.js";
import { storedLibs } from "../scripts/libs.js";
import type { CallContext, ScriptRunOptions } from "./context.js";
import type { Runnable, ScriptStarter, StartedRun } from "./script-starter.js";
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
    if (script.kind === "lib") throw isLib(name);
    const input = checkInput(script, settings.input);
    const runnable = this.#runnableOf(context, script);
    return await this.#starter.start(context, runnable, { ...settings, input }, options);
  }

  #runnableOf(context: CallContext, script: Script): Runnable {
    const { name, version, language, source } = script;
    const ending = { native: "", javascript: ".js", typescript: ".ts" }[language];
    return {
      ...{ name, version, language, source, filename: name + ending },
      moduleSource: storedLibs(script, (lib, global) =>
        this.#stored.get(context, { script: lib, global }),
      ),
    };
  }
}

/** A lib is there to be imported. */
function isLib(name: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `"${name}" is a lib, which is not run by itself.`, {
    suggestion: `Import it from a stored script, as "./${name}".`,
  });
}
