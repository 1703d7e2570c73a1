/** Shows what came of the inputs of `spaces repl`. */
import type { Evaluation } from "../runtime/interpreter/types.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import { reportScriptError, scriptErrorJson } from "./failures.js";
import type { Output } from "./output.js";
import type { LineResult } from "./repl-session.js";
import { printableLines } from "./text.js";

/**
 * A value that the sandbox has shown, without anything that drives the terminal but its colours: the
 * text comes from code that may be anybody's.
 */
export function safeValue(text: string): string {
  return text
    .split(/(\u001b\[\d{1,2}m)/)
    .map((part, index) => (index % 2 === 1 ? part : printableLines(part)))
    .join("");
}

/** Is this the result of an input that was evaluated, and not that of a command? */
export function isEvaluation(
  result: LineResult,
): result is Exclude<Evaluation, { kind: "incomplete" }> {
  return (
    result.kind === "value" ||
    result.kind === "failed" ||
    result.kind === "lost" ||
    result.kind === "ended"
  );
}

/** Reports the error of an input, where it has one. */
export function showError(output: Output, result: LineResult): void {
  if (result.kind === "failed" || result.kind === "lost") reportScriptError(output, result.error);
}

/** The code that a session ends with which an input has ended. */
export function exitCodeAfter(result: Exclude<Evaluation, { kind: "incomplete" }>): number {
  switch (result.kind) {
    case "value":
      return EXIT.ok;
    case "ended":
      return result.exitCode;
    default:
      return exitCodeOf(result.error.code);
  }
}

/** What came of an input as `--json` shows it. */
export function evaluationJson(
  result: Exclude<Evaluation, { kind: "incomplete" }>,
  output: string,
): Record<string, unknown> {
  return {
    value: result.kind === "value" ? result.text : undefined,
    output,
    exitCode: exitCodeAfter(result),
    error:
      result.kind === "failed" || result.kind === "lost"
        ? scriptErrorJson(result.error)
        : undefined,
  };
}
