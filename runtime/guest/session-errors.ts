/** The errors that a session and its parts have in common. */
import { SpacesError } from "../contract/errors.js";

/** A refusal of the agent about a process, before it is known what it means to the caller. */
export class Refusal extends Error {
  readonly errno: string;

  constructor(errno: string) {
    super(`The agent refused: ${errno}.`);
    this.errno = errno;
  }
}

/** The error of a call whose signal has fired. */
export function cancelled(what: string): SpacesError {
  return new SpacesError("CANCELLED", `${what} was cancelled.`);
}

/** The error of a stream that broke off. */
export function lostError(cause: unknown): SpacesError {
  return new SpacesError("DRIVER_FAILED", "The connection to the space's agent was lost.", {
    suggestion: "Check whether the space still runs, and try again.",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Errors of the registry as they are, others as `INTERNAL`. */
export function asSpacesError(error: unknown): SpacesError {
  if (SpacesError.isInstance(error)) return error;
  return new SpacesError("INTERNAL", undefined, { cause: error });
}

/** What the agent's refusal means to the caller; errors of the registry pass. */
export function refusalError(error: unknown, id: string): SpacesError {
  if (!(error instanceof Refusal)) return asSpacesError(error);
  const details = { errno: error.errno };
  switch (error.errno) {
    case "ESRCH":
      return new SpacesError("PROCESS_NOT_FOUND", `The space has no process ${id}.`, { details });
    case "EBUSY":
      return new SpacesError("CONFLICT", `Process ${id} is still in use.`, { details });
    case "EUSERS":
      return new SpacesError("LIMIT_EXCEEDED", `Too many are attached to process ${id}.`, {
        details,
      });
    case "EAGAIN":
      return new SpacesError("LIMIT_EXCEEDED", `Too many calls about process ${id} at once.`, {
        details,
      });
    case "ENOTTY":
      return new SpacesError("UNSUPPORTED", `Process ${id} has no terminal.`, { details });
    default:
      return new SpacesError("DRIVER_FAILED", error.message, { details });
  }
}
