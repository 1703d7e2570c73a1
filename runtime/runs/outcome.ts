/** How a sandboxed script ended, as records and answers tell it. */
import type { SerializedError } from "../contract/errors.js";
import type { ScriptError, ScriptResult } from "../interpreter/types.js";
import type { RunEnd } from "./recorder.js";

/** The language of a sandboxed script, which the ending of its name tells. */
export function languageOf(filename: string): "javascript" | "typescript" {
  return /\.m?ts$/.test(filename) ? "typescript" : "javascript";
}

/** The error of a script with its position, in the form that crosses boundaries. */
export function scriptErrorOf(error: ScriptError): SerializedError {
  return {
    code: error.code,
    message: error.name === "" ? error.message : `${error.name}: ${error.message}`,
    details: {
      ...(error.position === undefined ? {} : { position: error.position }),
      ...(error.frame === undefined ? {} : { frame: error.frame }),
      ...(error.error === undefined ? {} : { error: error.error }),
    },
  };
}

/** What the record says at the end. */
export function endOf({ exitCode, error, truncated }: ScriptResult): RunEnd {
  const hit: RunEnd["limitsHit"] = [
    ...(error?.code === "SCRIPT_TIMEOUT" ? (["time"] as const) : []),
    ...(error?.code === "SCRIPT_MEMORY" ? (["memory"] as const) : []),
    ...(truncated ? (["output"] as const) : []),
  ];
  return {
    status: statusOf(exitCode, error?.code),
    exitCode,
    error: error === undefined ? undefined : scriptErrorOf(error),
    limitsHit: hit,
  };
}

function statusOf(exitCode: number, code: string | undefined): RunEnd["status"] {
  if (code === "SCRIPT_TIMEOUT") return "timed_out";
  if (code === "CANCELLED") return "cancelled";
  return exitCode === 0 && code === undefined ? "succeeded" : "failed";
}
