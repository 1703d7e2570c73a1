/** `spaces repl` with input that is no terminal: evaluates line by line, and ends at the first error. */
import { createInterface } from "node:readline";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import { replHelp } from "./repl-commands.js";
import {
  evaluationJson,
  exitCodeAfter,
  isEvaluation,
  safeValue,
  showError,
} from "./repl-output.js";
import type { LineResult, ReplSession } from "./repl-session.js";
import type { Session } from "./session.js";

/**
 * Evaluates standard input.
 * @param taken gives what the code has printed since the last call; with `--json` only
 * @returns the exit code: that of the first input that failed, or of `runtime.exit`
 */
export async function runPiped(
  session: Session,
  repl: ReplSession,
  taken: () => string,
): Promise<number> {
  const { signal } = session;
  const lines = createInterface({ input: process.stdin, terminal: false });
  const stop = (): void => {
    repl.cancel();
    lines.close();
    process.stdin.destroy();
  };
  if (signal.aborted) throw new SpacesError("CANCELLED");
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const line of lines) {
      const code = show(session, await repl.line(line), taken);
      if (code !== undefined) return code;
    }
    return show(session, await repl.whole(""), taken) ?? EXIT.ok;
  } finally {
    signal.removeEventListener("abort", stop);
    lines.close();
  }
}

/** Shows what came of a line; gives the exit code where that ends the session. */
function show(session: Session, result: LineResult, taken: () => string): number | undefined {
  const { output } = session;
  if (!isEvaluation(result)) {
    if (result.kind === "help") output.note(replHelp().trimEnd());
    if (result.kind === "saved") output.note(`Saved to ${result.path}.`);
    if (result.kind === "editor") {
      throw new SpacesError("INVALID_INPUT", ".editor needs a terminal.", {
        suggestion: "Pipe the lines without it: what is not finished goes on in the next line.",
      });
    }
    return result.kind === "exit" ? EXIT.ok : undefined;
  }
  if (output.isJson) output.json(evaluationJson(result, taken()));
  else if (result.kind === "value") {
    if (result.text !== undefined && result.text !== "undefined") {
      output.data(`${safeValue(result.text)}\n`);
    }
  } else if (session.stopCode === undefined) showError(output, result);
  return result.kind === "value" ? undefined : exitCodeAfter(result);
}
