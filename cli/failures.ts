/** Turns whatever a command failed with into an error of the registry, and shows it to people. */
import { isErrorCode, SpacesError } from "../runtime/contract/errors.js";
import type { Run } from "../runtime/contract/runs.js";
import type { ScriptError } from "../runtime/interpreter/types.js";
import type { Output } from "./output.js";
import { printable, printableLines } from "./text.js";

type RunError = NonNullable<Run["error"]>;

/** The error of the registry that this failure is; `INTERNAL` for what we did not foresee. */
export function toSpacesError(failure: unknown): SpacesError {
  if (SpacesError.isInstance(failure)) return failure;
  if (failure instanceof Error && failure.name === "AbortError") {
    return new SpacesError("CANCELLED", undefined, { cause: failure });
  }
  const message = failure instanceof Error ? failure.message : String(failure);
  return new SpacesError("INTERNAL", message, { cause: failure });
}

/**
 * Reports an error on stderr: one JSON object with `--json`, else message, hint and code. Shows our
 * own stack only when `SPACES_DEBUG` is set.
 */
export function reportError(output: Output, error: SpacesError): void {
  if (output.isJson) {
    output.error(`${JSON.stringify({ error: error.serialize() })}\n`);
  } else {
    output.error(
      headline(output, printableLines(error.message), error.code) + hint(output, error.suggestion),
    );
  }
  showStack(output, error);
}

/** Shows what an error was caused by, where `SPACES_DEBUG` is set. */
export function showStack(output: Output, error: SpacesError): void {
  if (process.env.SPACES_DEBUG) output.error(debugText(error));
}

/** Reports what a script died of: position, message, code frame, stack and hint. */
export function reportScriptError(output: Output, error: ScriptError): void {
  const inner = error.error;
  let text = headline(output, messageOf(error), codeOf(error));
  if (error.frame !== undefined) text += `${printableLines(error.frame)}\n`;
  text += commandOutput(inner?.details);
  const calls = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  for (const line of calls) text += `${output.style("stderr", "dim", printableLines(line))}\n`;
  for (let cause = error.cause; cause !== undefined; cause = cause.cause) {
    text += `caused by: ${printableLines(`${cause.name}: ${cause.message}`)}\n`;
  }
  output.error(text + hint(output, inner?.suggestion));
}

/** What a script died of, as text without colours: position, message and code frame. */
export function describeScriptError(error: ScriptError): string {
  const frame = error.frame === undefined ? "" : `${printableLines(error.frame)}\n`;
  return `${messageOf(error)} [${codeOf(error)}]\n${frame}${commandOutput(error.error?.details)}`;
}

/** The error of a recorded run as the sandbox told it; records keep no stacks. */
export function recordedError({ code, message, details = {} }: RunError): ScriptError {
  const { position, frame, error } = details as Pick<ScriptError, "position" | "frame" | "error">;
  const isOurs = isErrorCode(code) && code !== "SCRIPT_FAILED";
  return {
    name: "",
    message: isOurs ? (error?.message ?? message) : message,
    code: isErrorCode(code) ? code : "SCRIPT_FAILED",
    error,
    position,
    frame,
  };
}

function messageOf({ position, name, message, code }: ScriptError): string {
  const where =
    position === undefined
      ? ""
      : `${printable(position.file)}:${position.line}:${position.column}: `;
  return (
    where +
    printableLines(code === "SCRIPT_FAILED" && name !== "" ? `${name}: ${message}` : message)
  );
}

/** How many lines of a failed command's output are shown. */
const SHOWN_LINES = 10;

/** The last lines that the command printed of which a script died, each behind a bar. */
function commandOutput(details: Readonly<Record<string, unknown>> | undefined): string {
  const output = details?.output;
  if (typeof output !== "string" || output.trim() === "") return "";
  const lines = printableLines(output.trimEnd()).split("\n").slice(-SHOWN_LINES);
  return lines.map((line) => `  | ${line}\n`).join("");
}

/** The `error` of a script's result as `--json` shows it. */
export function scriptErrorJson(error: ScriptError): Record<string, unknown> {
  return {
    code: codeOf(error),
    message: error.message,
    suggestion: error.error?.suggestion,
    details: error.error?.details,
    name: error.name,
    position: error.position,
    frame: error.frame,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : scriptErrorJson(error.cause),
  };
}

function codeOf(error: ScriptError): string {
  return error.error !== undefined && isErrorCode(error.error.code) ? error.error.code : error.code;
}

function headline(output: Output, message: string, code: string): string {
  const tag = output.style("stderr", "dim", ` [${code}]`);
  const [first = "", ...rest] = message.split("\n");
  return `${output.style("stderr", "red", "error:")} ${first}${tag}\n${rest.map((line) => `${line}\n`).join("")}`;
}

function hint(output: Output, suggestion: string | undefined): string {
  if (suggestion === undefined || suggestion === "") return "";
  return `${output.style("stderr", "cyan", "hint:")} ${printableLines(suggestion)}\n`;
}

function debugText(error: SpacesError): string {
  let text = `${error.stack ?? ""}\n`;
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    text += `caused by: ${cause.stack ?? cause.message}\n`;
  }
  return text;
}
