/** Runs stored scripts: in a sandbox, or natively inside of a space. */
import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/ids.js";
import type { Permission } from "../contract/permissions.js";
import type { Script, ScriptRun } from "../contract/scripts.js";
import type { ScriptResult } from "../interpreter/types.js";
import { checkInput } from "../scripts/check-input.js";
import { storedLibs } from "../scripts/libs.js";
import type { SpaceRow } from "../store/tables.js";
import type { CallContext, EngineParts, ScriptRunOptions } from "./context.js";
import { workspaceFiles } from "./files.js";
import type { Tokens } from "./identity/tokens.js";
import { notRunning } from "./lifecycle.js";
import type { Processes } from "./processes.js";
import { accessFor, granted } from "./script-grant.js";
import { findSpace, WORKSPACE_MOUNT } from "./space-rows.js";
import type { StoredScripts } from "./stored-scripts.js";

/** How deep scripts may run scripts; a script that runs itself would never end. */
const DEEPEST = 8;

/** What fits into one variable of an environment, however many bytes its characters have. */
const LARGEST_VARIABLE = 32_768;

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
  readonly #parts: EngineParts;
  readonly #processes: Processes;
  readonly #tokens: Tokens;
  readonly #stored: StoredScripts;

  constructor(parts: EngineParts, stored: StoredScripts, processes: Processes, tokens: Tokens) {
    this.#parts = parts;
    this.#stored = stored;
    this.#processes = processes;
    this.#tokens = tokens;
  }

  /**
   * Runs a stored script. One in JavaScript or TypeScript gets a fresh sandbox, whose `space` module
   * is bound to the space; a native one runs inside of the space.
   * @returns how it ended, with its output; a script that failed is not an error of this call
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`,
   *   `INVALID_INPUT` for an input that the script does not take, a lib, a native script without a
   *   space, `LIMIT_EXCEEDED` for nesting too deep,
   *   `UNSUPPORTED` for a grant to a native script where no server is known to it
   */
  async run(
    context: CallContext,
    request: RunRequest,
    { signal }: ScriptRunOptions,
  ): Promise<ScriptRun> {
    const script = await this.#stored.get(context, {
      script: request.script,
      version: request.version,
      global: false,
    });
    if (script.kind === "lib") throw isLib(script.name);
    const input = checkInput(script, request.input);
    const row =
      request.space === undefined
        ? undefined
        : await findSpace(this.#parts.store, context.actor, request.space);
    if (row !== undefined && row.status !== "running") throw notRunning(row);
    if (script.language === "native") {
      if (row === undefined) {
        throw new SpacesError("INVALID_INPUT", `The native script "${script.name}" needs a space.`);
      }
      return await this.#runNative(context, script, row, { ...request, input }, signal);
    }
    if (context.depth >= DEEPEST) {
      throw new SpacesError("LIMIT_EXCEEDED", `Scripts may run scripts ${DEEPEST} deep at most.`, {
        suggestion: "Check whether the script runs itself.",
      });
    }
    const extension = script.language === "typescript" ? "ts" : "js";
    const result = await this.#parts.runScript(
      {
        filename: `${script.name}.${extension}`,
        source: script.source,
        args: request.args,
        input,
        space: row?.id,
        timeoutMs: request.timeoutMs,
        moduleSource: storedLibs(script, (name, global) =>
          this.#stored.get(context, { script: name, global }),
        ),
      },
      { ...granted(context, request.grant), depth: context.depth + 1 },
      signal,
    );
    return scriptRunOf(result);
  }

  async #runNative(
    context: CallContext,
    script: Script,
    row: SpaceRow,
    request: RunRequest,
    signal: AbortSignal | undefined,
  ): Promise<ScriptRun> {
    await using access = await accessFor(this.#parts, this.#tokens, context, {
      script: script.name,
      grant: request.grant,
      timeoutMs: request.timeoutMs,
    });
    const name = `.spaces-script-${randomBytes(8).toString("hex")}`;
    const files = await workspaceFiles(this.#parts, row.id);
    try {
      await files.write({
        path: name,
        content: script.source,
        mode: 0o755,
        overwrite: false,
      });
      const result = await this.#processes.run(
        context,
        row.id,
        {
          command: posix.join(WORKSPACE_MOUNT, name),
          args: request.args,
          timeoutMs: request.timeoutMs,
          env: { ...inputEnv(request.input), ...access?.env },
          secrets: access?.secrets,
        },
        { signal },
      );
      return {
        exitCode: result.exitCode,
        output: result.output,
        truncated: result.truncated,
        durationMs: result.durationMs,
        run: newId("run"),
        ...nativeError(script, result.exitCode, result.timedOut),
      };
    } finally {
      await files.remove({ path: name, force: true });
    }
  }
}

/** A lib is there to be imported. */
function isLib(name: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `"${name}" is a lib, which is not run by itself.`, {
    suggestion: `Import it from a stored script, as "./${name}".`,
  });
}

/** What a native script finds its input by. @throws SpacesError `INVALID_INPUT` for one too large */
function inputEnv(input: unknown): Readonly<Record<string, string>> {
  if (input === undefined) return {};
  const json = JSON.stringify(input);
  if (json.length <= LARGEST_VARIABLE) return { SPACES_INPUT: json };
  throw new SpacesError(
    "INVALID_INPUT",
    `The input of a native script may have ${LARGEST_VARIABLE} characters of JSON at most.`,
    { suggestion: "Write it to a file of the space, and give the script its path." },
  );
}

function nativeError(
  script: Script,
  exitCode: number,
  timedOut: boolean,
): Pick<ScriptRun, "error"> {
  if (timedOut) {
    return { error: new SpacesError("SCRIPT_TIMEOUT").serialize() };
  }
  if (exitCode === 0) return {};
  const message = `The script "${script.name}" ended with code ${exitCode}.`;
  return { error: new SpacesError("SCRIPT_FAILED", message).serialize() };
}

function scriptRunOf(result: ScriptResult): ScriptRun {
  const { error } = result;
  return {
    exitCode: result.exitCode,
    output: result.output,
    truncated: result.truncated,
    durationMs: result.durationMs,
    run: newId("run"),
    ...(error === undefined
      ? {}
      : {
          error: {
            code: error.code,
            message: error.name === "" ? error.message : `${error.name}: ${error.message}`,
            details: {
              ...(error.position === undefined ? {} : { position: error.position }),
              ...(error.error === undefined ? {} : { error: error.error }),
            },
          },
        }),
  };
}
