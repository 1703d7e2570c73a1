/**
 * Starts scripts and records them: in a sandbox, or natively inside of a space. Whatever runs a
 * script on the engine's behalf does it here.
 */
import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { type SerializedError, SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { CommandResult } from "../contract/processes.js";
import type { Run, RunTrigger } from "../contract/runs.js";
import type { ScriptRun } from "../contract/scripts.js";
import type { ModuleSource, ScriptResult } from "../interpreter/types.js";
import { endOf, scriptErrorOf } from "../runs/outcome.js";
import { type RunEnd, RunRecorder } from "../runs/recorder.js";
import { secretsOfEnv } from "../runs/secrets.js";
import type { SpaceRow } from "../store/tables.js";
import type { CallContext, EngineParts, ScriptRunOptions } from "./context.js";
import type { Fields } from "./fields.js";
import { workspaceFiles } from "./files.js";
import type { Tokens } from "./identity/tokens.js";
import { notRunning } from "./lifecycle.js";
import type { Processes } from "./processes.js";
import { accessFor, granted } from "./script-grant.js";
import { findSpace, WORKSPACE_MOUNT } from "./space-rows.js";

/** How deep scripts may run scripts; a script that runs itself would never end. */
const DEEPEST = 8;
/** Milliseconds for which a native script runs at most: a week. */
const LONGEST_MS = 604_800_000;

/** The most characters of a native script's input: a variable holds them, however many bytes they have. */
const LARGEST_VARIABLE = 32_768;

/** A script as it is to be run, wherever it came from. */
export interface Runnable {
  /** Of a stored script. */
  readonly name?: string | undefined;
  readonly version?: number | undefined;
  /** What errors call it; its ending tells the language of a sandboxed one. */
  readonly filename: string;
  readonly language: Run["script"]["language"];
  readonly source: string;
  /** Reads the modules that a sandboxed script imports by a relative path. */
  readonly moduleSource?: ModuleSource | undefined;
}

/** What a script is run with. */
export interface RunSettings {
  readonly args: readonly string[];
  readonly input?: unknown;
  readonly space?: string | undefined;
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly grant?: readonly Permission[] | undefined;
  readonly net?: readonly string[] | true | undefined;
  readonly env?: readonly string[] | true | undefined;
}

/** A script that has been started. */
export interface StartedRun {
  readonly recorder: RunRecorder;
  /** How it ended; rejects only where it could not be run at all. */
  readonly ended: Promise<ScriptRun>;
}

interface StarterParts {
  readonly parts: EngineParts;
  readonly fields: Fields;
  readonly processes: Processes;
  readonly tokens: Tokens;
  /** Called when a run has ended and its record is whole. */
  readonly onEnd: (recorder: RunRecorder) => void;
}

export class ScriptStarter {
  readonly #parts: EngineParts;
  readonly #fields: Fields;
  readonly #processes: Processes;
  readonly #tokens: Tokens;
  readonly #onEnd: (recorder: RunRecorder) => void;

  constructor({ parts, fields, processes, tokens, onEnd }: StarterParts) {
    this.#parts = parts;
    this.#fields = fields;
    this.#processes = processes;
    this.#tokens = tokens;
    this.#onEnd = onEnd;
  }

  /**
   * Starts a script. One in JavaScript or TypeScript gets a fresh sandbox, whose `space` module is
   * bound to the space; a native one runs inside of the space.
   * @returns when it has been started, and its record has been begun
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `INVALID_INPUT` for a native script
   *   without a space or with an input that is too large for it, `LIMIT_EXCEEDED` for nesting too deep, `UNSUPPORTED` for a grant to a native
   *   script where no server is known to it
   */
  async start(
    context: CallContext,
    script: Runnable,
    settings: RunSettings,
    options: ScriptRunOptions,
  ): Promise<StartedRun> {
    const row =
      settings.space === undefined
        ? undefined
        : await findSpace(this.#parts.store, context.actor, settings.space);
    if (row !== undefined && row.status !== "running") throw notRunning(row);
    if (script.language === "native") {
      if (row === undefined) {
        const name = script.name ?? script.filename;
        throw new SpacesError("INVALID_INPUT", `The native script "${name}" needs a space.`);
      }
      return await this.#startNative(context, script, row, settings, options);
    }
    if (context.depth >= DEEPEST) {
      throw new SpacesError("LIMIT_EXCEEDED", `Scripts may run scripts ${DEEPEST} deep at most.`, {
        suggestion: "Check whether the script runs itself.",
      });
    }
    const { args, input, timeoutMs, memoryBytes, net, env } = settings;
    const recorder = this.#record(
      context,
      script,
      settings,
      options,
      secretsOfEnv(process.env, env),
    );
    const running = this.#parts.runScript(
      {
        filename: script.filename,
        source: script.source,
        moduleSource: script.moduleSource,
        ...{ args, input, space: row?.id, signal: options.signal },
        limits: { timeoutMs, memoryBytes },
        permissions: { net, env },
      },
      { ...granted(context, settings.grant), depth: context.depth + 1, run: recorder.id },
      recorder,
    );
    const ended = this.#ending(recorder, running, endOf);
    return { recorder, ended: ended.then((result) => scriptRunOf(result, recorder.id)) };
  }

  async #startNative(
    context: CallContext,
    script: Runnable,
    row: SpaceRow,
    settings: RunSettings,
    options: ScriptRunOptions,
  ): Promise<StartedRun> {
    const name = script.name ?? script.filename;
    const { grant, timeoutMs = LONGEST_MS } = settings;
    const input = inputEnv(settings.input);
    const access = await accessFor(this.#parts, this.#tokens, context, {
      script: name,
      ...{ grant, timeoutMs },
    });
    const secrets = [...(await this.#fields.secretsOf(row)), ...(access?.secrets ?? [])];
    const recorder = this.#record(context, script, settings, options, secrets);
    const file = `.spaces-script-${randomBytes(8).toString("hex")}`;
    const running = (async () => {
      await using _ = access;
      const files = await workspaceFiles(this.#parts, row.id);
      try {
        await files.write({ path: file, content: script.source, mode: 0o755, overwrite: false });
        const decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
        return await this.#processes.run(
          context,
          row.id,
          {
            command: posix.join(WORKSPACE_MOUNT, file),
            ...{ args: settings.args, timeoutMs, secrets: access?.secrets },
            env: { ...input, ...access?.env },
            onOutput: (stream, bytes) => recorder.output(stream, decoders[stream].write(bytes)),
          },
          { signal: either(options.signal, recorder.signal) },
        );
      } finally {
        await files.remove({ path: file, force: true });
      }
    })();
    const ended = this.#ending(recorder, running, (result) => nativeEnd(name, result));
    return {
      recorder,
      ended: ended.then((result) => ({
        ...{ exitCode: result.exitCode, output: result.output, truncated: result.truncated },
        ...{ durationMs: result.durationMs, run: recorder.id },
        ...nativeError(name, result),
      })),
    };
  }

  #record(
    context: CallContext,
    { name, version, filename, language, source }: Runnable,
    settings: RunSettings,
    { trigger }: ScriptRunOptions,
    secrets: readonly string[],
  ): RunRecorder {
    const { args, input, space, timeoutMs, memoryBytes, grant, net, env } = settings;
    const { actor } = context;
    return RunRecorder.begin(
      {
        script: { name, version, filename, language },
        ...{ source, secrets, args, input, space, binding: "in-process" },
        actor: { id: actor.id, name: actor.name },
        trigger: trigger ?? triggerOf(context),
        permissions: { grant, net, env },
        limits: { timeoutMs, memoryBytes },
      },
      {
        dataDir: this.#parts.dataDir,
        limits: this.#parts.runLimits,
        onTrouble: this.#parts.onTrouble,
      },
    );
  }

  /** The result, once the record says it too. */
  async #ending<R>(
    recorder: RunRecorder,
    running: Promise<R>,
    end: (result: R) => RunEnd,
  ): Promise<R> {
    try {
      const result = await running;
      if (!recorder.ended) await recorder.end(end(result));
      return result;
    } catch (error) {
      const failure = SpacesError.isInstance(error) ? error : new SpacesError("INTERNAL");
      await recorder.end({
        status: failure.code === "CANCELLED" ? "cancelled" : "failed",
        error: failure.serialize(),
      });
      throw error;
    } finally {
      this.#onEnd(recorder);
    }
  }
}

/** What had a script run, where nobody says more: a person or program, or the script of a run. */
export function triggerOf({ run, via }: CallContext): RunTrigger {
  return run === undefined ? { kind: via ?? "api" } : { kind: "script", parent: run };
}

function scriptRunOf(result: ScriptResult, run: string): ScriptRun {
  const { exitCode, output, truncated, durationMs, error } = result;
  return {
    ...{ exitCode, output, truncated, durationMs, run },
    ...(error === undefined ? {} : { error: scriptErrorOf(error) }),
  };
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

function nativeEnd(name: string, result: CommandResult): RunEnd {
  const { exitCode, timedOut, truncated } = result;
  return {
    status: timedOut ? "timed_out" : exitCode === 0 ? "succeeded" : "failed",
    exitCode,
    ...nativeError(name, result),
    limitsHit: [
      ...(timedOut ? (["time"] as const) : []),
      ...(truncated ? (["output"] as const) : []),
    ],
  };
}

function nativeError(
  name: string,
  { exitCode, timedOut }: CommandResult,
): { readonly error?: SerializedError } {
  if (timedOut) return { error: new SpacesError("SCRIPT_TIMEOUT").serialize() };
  if (exitCode === 0) return {};
  const message = `The script "${name}" ended with code ${exitCode}.`;
  return { error: new SpacesError("SCRIPT_FAILED", message).serialize() };
}

function either(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one === undefined ? other : AbortSignal.any([one, other]);
}
