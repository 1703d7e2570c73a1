/**
 * Commands and scripts in a space: `run`, `exec` and `run_script`, as steps that both forms of the
 * `spaces` module drive.
 */
import { SpacesError } from "spaces:host";
import {
  anyText,
  isPlainObject,
  milliseconds,
  noMore,
  optional,
  options,
  text,
  textList,
  textRecord,
} from "./arguments.js";
import { commandForScript, type HostCommand, type HostScript } from "./results.js";
import { call, type Steps } from "./steps.js";

const DEFAULT_TIMEOUT_MS = 30_000;
const SHOWN = 200;

const shorten = (line: string) => (line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line);

/** Reads the arguments of `run` and `exec`: by position, or as an object after the command. */
function readCommand(fn: string, params: readonly unknown[]) {
  const [space, command, third, timeout, workdir, ...rest] = params;
  const given = isPlainObject(third)
    ? options(fn, third, {
        args: textList,
        timeout: milliseconds,
        workdir: anyText,
        env: textRecord,
        input: anyText,
      })
    : {
        args: optional(textList, { fn, parameter: "args" }, third),
        timeout: optional(milliseconds, { fn, parameter: "timeout" }, timeout),
        workdir: optional(anyText, { fn, parameter: "workdir" }, workdir),
      };
  noMore(fn, isPlainObject(third) ? [timeout, workdir, ...rest] : rest);
  return {
    ...given,
    space: text({ fn, parameter: "space name" }, space),
    command: text({ fn, parameter: "command" }, command),
  };
}

function* process(fn: string, params: readonly unknown[]) {
  const { space, command, args, timeout, workdir, ...rest } = readCommand(fn, params);
  const answer = yield* call<HostCommand>("processes.run", {
    ...rest,
    space,
    command,
    // An empty list is the seed's default: the command line is for the space's shell then.
    args: args?.length ? args : undefined,
    timeoutMs: timeout ?? DEFAULT_TIMEOUT_MS,
    workdir: workdir || undefined,
  });
  const line = shorten([command, ...(args ?? [])].join(" "));
  return { space, line, timeoutMs: timeout ?? DEFAULT_TIMEOUT_MS, answer };
}

function lastLine(output: string): string {
  return shorten(output.trimEnd().split("\n").at(-1)?.trim() ?? "");
}

/** `run(space, command, args?, timeout?, workdir?)`: the output, or an error when it fails. */
export function* run(...params: unknown[]): Steps<string> {
  const { space, line, timeoutMs, answer } = yield* process("run", params);
  const result = commandForScript(answer);
  const { timed_out, duration_ms, ...details } = result;
  if (timed_out) {
    throw new SpacesError(
      "COMMAND_TIMEOUT",
      `The command "${line}" in space "${space}" did not end within ${timeoutMs / 1000} s and was killed.`,
      {
        suggestion: "Give a longer timeout; the output so far is in the error's details.",
        details: { ...details, duration_ms },
      },
    );
  }
  if (result.exit_code !== 0) {
    const how =
      result.signal === undefined
        ? `failed with exit code ${result.exit_code}`
        : `was ended by ${result.signal} (exit code ${result.exit_code})`;
    const said = lastLine(result.stderr) || lastLine(result.output);
    throw new SpacesError(
      "COMMAND_FAILED",
      `The command "${line}" in space "${space}" ${how}${said ? `: ${said}` : "."}`,
      {
        suggestion: "Read the output in the error's details, or use exec() to handle exit codes.",
        details,
      },
    );
  }
  return result.output;
}

/** `exec(…)`: as `run`, but an exit code and a timeout are results, not errors. */
export function* exec(...params: unknown[]): Steps<ReturnType<typeof commandForScript>> {
  const { answer } = yield* process("exec", params);
  return commandForScript(answer);
}

/** `run_script(space, script, ...args, {timeout, input}?)`: the script's output, or an error when it fails. */
export function* run_script(...params: unknown[]): Steps<string> {
  const fn = "run_script";
  const [space, script, ...rest] = params;
  const last = rest.at(-1);
  const args = isPlainObject(last) ? rest.slice(0, -1) : rest;
  const { timeout, input: value } = options(fn, isPlainObject(last) ? last : undefined, {
    timeout: milliseconds,
    input: (_place, given) => given,
  });
  const input = {
    space: text({ fn, parameter: "space name" }, space),
    script: text({ fn, parameter: "script name" }, script),
    args: textList({ fn, parameter: "args" }, args),
    timeoutMs: timeout,
    input: value,
  };
  const result = yield* call<HostScript>("scripts.run", input);
  const { error } = result;
  if (error === undefined && result.exitCode === 0) return result.output;
  const where = `The script "${input.script}" in space "${input.space}"`;
  const kept = error !== undefined && /^(SCRIPT_|CANCELLED$)/.test(error.code);
  throw new SpacesError(
    kept ? error.code : "SCRIPT_FAILED",
    error === undefined
      ? `${where} ended with exit code ${result.exitCode}.`
      : `${where} failed: ${error.message}`,
    {
      suggestion: "Read the script's output so far in the error's details.",
      details: {
        exit_code: result.exitCode,
        output: result.output,
        truncated: result.truncated,
        duration_ms: result.durationMs,
        ...(error === undefined ? {} : { error }),
      },
    },
  );
}
