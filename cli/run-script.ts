/** Runs one script from the command line and shows its output and end. `run` and `scripts run` call it. */
import { hostCallFor } from "../runtime/bindings/host-call.js";
import { runRecorded } from "../runtime/bindings/recorded-script.js";
import type { Client } from "../runtime/contract/contract.js";
import { isErrorCode, SpacesError } from "../runtime/contract/errors.js";
import type { Permission } from "../runtime/contract/permissions.js";
import type { RunTrigger } from "../runtime/contract/runs.js";
import type { JsonValue } from "../runtime/contract/values.js";
import { defaultDataDir } from "../runtime/data-dir.js";
import type {
  HostCall,
  ScriptPermissions,
  ScriptRequest,
  ScriptResult,
} from "../runtime/interpreter/types.js";
import { localUserName } from "../runtime/local-user.js";
import { RunsDirectory } from "../runtime/runs/directory.js";
import { languageOf } from "../runtime/runs/outcome.js";
import { RunRecorder } from "../runtime/runs/recorder.js";
import { secretsOfEnv } from "../runtime/runs/secrets.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import {
  reportError,
  reportScriptError,
  scriptErrorJson,
  showStack,
  toSpacesError,
} from "./failures.js";
import type { Output } from "./output.js";
import { LONGEST_MS } from "./quantities.js";
import { startInterpreter } from "./script-interpreter.js";
import type { ScriptSource } from "./script-source.js";
import type { Session } from "./session.js";
import { printableLines } from "./text.js";

/** Records without an index after which a run takes the time to index them. */
const MANY_WAITING = 500;

/** How a script is to be run; times in milliseconds, sizes in bytes. */
export interface RunSettings {
  readonly args: readonly string[];
  readonly driver?: string | undefined;
  readonly space?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly input?: unknown;
  readonly permissions: ScriptPermissions;
  /** What had it run; the command line when absent. */
  readonly trigger?: RunTrigger | undefined;
  /** Cancels the run; the session's own when absent. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a script: in a sandbox, or natively in a space when it is a stored script of that kind. Where
 * it declares inputs, its arguments are read by them.
 * @param command how the command line calls scripts, for the script's own help
 * @returns the script's own exit code, 124 when it ran out of time, 125 when spaces itself failed
 */
export async function runScript(
  session: Session,
  script: ScriptSource,
  settings: RunSettings,
  command: string,
): Promise<number> {
  const ready = await readyToRun(session, script, settings, command);
  if (ready === undefined) return EXIT.ok;
  return script.kind === "native"
    ? runNative(session, script, ready)
    : runSandboxed(session, script, ready, {
        dataDir: defaultDataDir(),
        client: (recorder) => clientOfRun(session, settings.driver, recorder),
      });
}

/**
 * The settings with the input that a script's arguments make; undefined where its help was shown.
 * @throws SpacesError `INVALID_INPUT` for a lib, and for arguments that the script does not take
 */
export async function readyToRun<Settings extends Pick<RunSettings, "args" | "input">>(
  session: Session,
  { name, description, inputs, isLib }: ScriptSource,
  settings: Settings,
  command: string,
): Promise<Settings | undefined> {
  if (isLib) {
    const { libIsNotRun } = await import("../runtime/scripts/libs.js");
    throw libIsNotRun(name);
  }
  if (inputs === undefined) return settings;
  const { typedInput } = await import("./script-input.js");
  const call = `${command} ${name}`;
  const typed = typedInput({ name, description, inputs, call }, settings.args, settings.input);
  if (!("help" in typed)) return { ...settings, ...typed };
  session.output.data(typed.help);
  return undefined;
}

/** What a script of this process has to do with. */
interface ScriptTarget {
  /** What its calls go to; opened at the first one, so that a script without calls opens no store. */
  readonly client: (recorder: RunRecorder) => Promise<Client>;
  /** Absolute path of the data directory that its run is recorded in. */
  readonly dataDir: string;
}

/** Runs a script in the sandbox of this process, and records it. */
export async function runSandboxed(
  session: Session,
  script: Extract<ScriptSource, { kind: "sandboxed" }>,
  settings: RunSettings,
  { client, dataDir }: ScriptTarget,
): Promise<number> {
  const { output } = session;
  const { signal = session.signal } = settings;
  const interpreter = await startInterpreter();
  const recorder = recorderFor(session, script, settings, dataDir);
  const isRecorded = recorder.isKept;
  const request: ScriptRequest = {
    filename: script.filename,
    source: script.source,
    args: settings.args,
    input: settings.input,
    env: process.env,
    space: settings.space,
    limits: { timeoutMs: settings.timeoutMs, memoryBytes: settings.memoryBytes },
    permissions: settings.permissions,
    moduleSource: script.moduleSource,
    host: shownToWhoDebugs(
      output,
      hostCallFor(() => client(recorder)),
    ),
    onOutput: output.isJson
      ? undefined
      : (stream, text) => (stream === "stdout" ? output.data(text) : output.errorData(text)),
    signal,
  };
  const result = await runRecorded(interpreter, request, recorder);
  const exitCode = showResult(session, result, recorder.id, signal);
  if (isRecorded) await indexIfMany(output, dataDir);
  return exitCode;
}

/** Where nothing but small scripts is run, no engine is ever opened that would index their records. */
async function indexIfMany(output: Output, dataDir: string): Promise<void> {
  try {
    if (new RunsDirectory(dataDir).waiting().length < MANY_WAITING) return;
    const { openInProcess } = await import("../runtime/bindings/in-process.js");
    await (await openInProcess({ dataDir }))[Symbol.asyncDispose]();
  } catch (error) {
    output.note(`The records of runs cannot be indexed: ${toSpacesError(error).message}`);
  }
}

/** The client of the session's binding for the calls of a run, which records where these go. */
export async function clientOfRun(
  session: Session,
  driver: string | undefined,
  recorder: RunRecorder,
): Promise<Client> {
  const binding = await session.binding(driver);
  recorder.target(binding.kind, binding.url);
  return binding.clientForRun(recorder.id);
}

/** Begins the record of a run, on this machine wherever its calls go. */
export function recorderFor(
  { output }: Session,
  script: Pick<Extract<ScriptSource, { kind: "sandboxed" }>, "filename" | "source" | "stored">,
  { args, input, space, permissions, timeoutMs, memoryBytes, trigger }: RunSettings,
  dataDir: string,
): RunRecorder {
  const { filename, source, stored } = script;
  const name = localUserName();
  return RunRecorder.begin(
    {
      script: { ...stored, filename, language: languageOf(filename) },
      ...{ source, input, space, permissions, args },
      secrets: secretsOfEnv(process.env, permissions.env),
      actor: { id: name, name },
      binding: "in-process",
      trigger: trigger ?? { kind: "cli" },
      limits: { timeoutMs, memoryBytes },
    },
    { dataDir, onTrouble: (message) => output.note(printableLines(message)) },
  );
}

/** What a script learns of an error ends at the registry: its cause is for the terminal alone. */
export function shownToWhoDebugs(output: Output, host: HostCall): HostCall {
  return async (...call) => {
    try {
      return await host(...call);
    } catch (error) {
      showStack(output, toSpacesError(error));
      throw error;
    }
  };
}

function showResult(
  session: Session,
  result: ScriptResult,
  run: string,
  signal: AbortSignal,
): number {
  const { output } = session;
  const { error } = result;
  if (output.isJson) {
    const { exitCode, output: text, truncated, durationMs } = result;
    output.json({
      exitCode,
      output: text,
      truncated,
      durationMs,
      run,
      error: error && scriptErrorJson(error),
    });
  } else if (error !== undefined && !signal.aborted) {
    reportScriptError(output, error);
  }
  return error?.code === "INTERNAL" || error?.code === "INVALID_INPUT"
    ? exitCodeOf(error.code)
    : result.exitCode;
}

async function runNative(
  session: Session,
  { name, version }: Extract<ScriptSource, { kind: "native" }>,
  settings: RunSettings,
): Promise<number> {
  if (settings.space === undefined) {
    throw new SpacesError("INVALID_INPUT", `Script "${name}" is native: it runs inside a space.`, {
      suggestion: "Name the space with --space.",
    });
  }
  const client = await session.client(settings.driver);
  return await runStored(session, client, { name, version }, settings);
}

/** A stored script that the engine is to run. */
interface StoredRun {
  readonly name: string;
  readonly version?: number | undefined;
  /** What it may do, of what the caller may; see `scripts.run`. */
  readonly grant?: readonly Permission[] | undefined;
}

/**
 * Has the engine run a stored script, and shows its output and end.
 * @returns the script's own exit code, or 1 where it failed without one
 */
export async function runStored(
  session: Session,
  client: Client,
  { name, version, grant }: StoredRun,
  settings: Pick<RunSettings, "args" | "input" | "space" | "timeoutMs">,
): Promise<number> {
  const run = await client.scripts.run(
    {
      script: name,
      version,
      space: settings.space,
      args: [...settings.args],
      // It came from JSON, and has been checked where the script declares inputs.
      input: settings.input as JsonValue | undefined,
      timeoutMs: settings.timeoutMs ?? LONGEST_MS,
      ...(grant === undefined ? {} : { grant: [...grant] }),
    },
    { signal: session.signal },
  );
  session.output.result(run, () => run.output);
  const { error } = run;
  if (grant !== undefined && error !== undefined && isErrorCode(error.code)) {
    const { code, message, suggestion, details } = error;
    if (!session.output.isJson) {
      reportError(session.output, SpacesError.deserialize({ code, message, suggestion, details }));
    }
  } else if (error?.code === "SCRIPT_TIMEOUT") session.output.note(printableLines(error.message));
  return run.exitCode === EXIT.ok && error !== undefined ? EXIT.failure : run.exitCode;
}
