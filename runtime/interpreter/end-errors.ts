/** Puts the ends of scripts and inputs that the host has seen into words. */
import { SpacesError } from "../contract/errors.js";
import type { ResolvedLimits } from "./limits.js";
import type { SessionEnd } from "./session.js";
import type { ScriptError } from "./types.js";

/** How something ended that did not come to its own end. */
export type BadEnd = Exclude<SessionEnd, { kind: "completed" | "exited" | "failed" }>;

/**
 * Says how something ended.
 *
 * @param what what it was, such as `script`
 * @param limits those it ran under; `timeoutMs` in milliseconds
 */
export function describeEnd(
  what: string,
  end: BadEnd,
  limits: Pick<ResolvedLimits, "timeoutMs" | "memoryBytes">,
): ScriptError {
  switch (end.kind) {
    case "timeout":
      return fromRegistry(
        new SpacesError(
          "SCRIPT_TIMEOUT",
          `The ${what} did not end within ${secondsOf(limits.timeoutMs ?? 0)} and was stopped.`,
        ),
      );
    case "memory":
      return fromRegistry(
        new SpacesError(
          "SCRIPT_MEMORY",
          `The ${what} used up its memory of ${Math.round(limits.memoryBytes / 1024 / 1024)} MiB.`,
        ),
      );
    case "cancelled":
      return fromRegistry(new SpacesError("CANCELLED", `The ${what} was cancelled.`));
    case "neverSettles":
      return fromRegistry(new SpacesError("SCRIPT_NEVER_SETTLES"));
    case "crashed":
      return sandboxFailed("its engine failed");
    case "hostile":
      return sandboxFailed("its worker broke the protocol");
    case "died":
      return sandboxFailed(`its worker died: ${end.error?.message ?? "it exited"}`);
  }
}

function sandboxFailed(reason: string): ScriptError {
  return fromRegistry(
    new SpacesError("INTERNAL", "The sandbox failed and was thrown away.", { details: { reason } }),
  );
}

/** A failure of the host's own as the error of a script. */
export function fromRegistry(error: unknown): ScriptError {
  const known = SpacesError.isInstance(error)
    ? error
    : new SpacesError("INTERNAL", `The script could not be run: ${String(error)}`);
  return {
    name: known.name,
    message: known.message,
    code: known.code,
    error: known.serialize(),
  };
}

function secondsOf(ms: number): string {
  return ms === 1000 ? "1 second" : `${ms / 1000} seconds`;
}
