/**
 * The error classes that programs catch. Each stands for codes of the one registry: the class is
 * chosen from the code's HTTP status, or from the code where a status says too little.
 */
import type { ErrorCode } from "../contract/errors.js";
import { ERRORS, SpacesError } from "../contract/errors.js";
import type { CommandResult } from "../contract/processes.js";

/** What is named does not exist (any more), or belongs to somebody else. */
export class NotFoundError extends SpacesError {
  override readonly name = "NotFoundError";
  static override isInstance(error: unknown): error is NotFoundError {
    return isOf("NotFoundError", error);
  }
}

/** The state of things does not allow this: a name is taken, a space runs or does not. */
export class ConflictError extends SpacesError {
  override readonly name = "ConflictError";
  static override isInstance(error: unknown): error is ConflictError {
    return isOf("ConflictError", error);
  }
}

/** Something did not end in time. */
export class TimeoutError extends SpacesError {
  override readonly name = "TimeoutError";
  /** What a command that was killed (`COMMAND_TIMEOUT`) had given so far. */
  get result(): CommandResult | undefined {
    return resultOf(this);
  }
  static override isInstance(error: unknown): error is TimeoutError {
    return isOf("TimeoutError", error);
  }
}

/** The caller's signal fired, or the client was closed. */
export class CancelledError extends SpacesError {
  override readonly name = "CancelledError";
  static override isInstance(error: unknown): error is CancelledError {
    return isOf("CancelledError", error);
  }
}

/** The caller may not do this, or nobody may. */
export class PermissionDeniedError extends SpacesError {
  override readonly name = "PermissionDeniedError";
  static override isInstance(error: unknown): error is PermissionDeniedError {
    return isOf("PermissionDeniedError", error);
  }
}

/** The token is missing, wrong, expired or revoked. */
export class UnauthenticatedError extends SpacesError {
  override readonly name = "UnauthenticatedError";
  static override isInstance(error: unknown): error is UnauthenticatedError {
    return isOf("UnauthenticatedError", error);
  }
}

/** What was given is not valid. */
export class InvalidInputError extends SpacesError {
  override readonly name = "InvalidInputError";
  static override isInstance(error: unknown): error is InvalidInputError {
    return isOf("InvalidInputError", error);
  }
}

/** The driver of the space, or this version, cannot do this. */
export class UnsupportedError extends SpacesError {
  override readonly name = "UnsupportedError";
  static override isInstance(error: unknown): error is UnsupportedError {
    return isOf("UnsupportedError", error);
  }
}

/** Too much at once: of requests, of bytes, or for the disk. */
export class LimitExceededError extends SpacesError {
  override readonly name = "LimitExceededError";
  static override isInstance(error: unknown): error is LimitExceededError {
    return isOf("LimitExceededError", error);
  }
}

/** The server, the store or a driver cannot be used now. */
export class UnavailableError extends SpacesError {
  override readonly name = "UnavailableError";
  static override isInstance(error: unknown): error is UnavailableError {
    return isOf("UnavailableError", error);
  }
}

/** A command that was run with `check` ended with another exit code than 0. */
export class CommandFailedError extends SpacesError {
  override readonly name = "CommandFailedError";
  /** Exit code and output of the command. */
  get result(): CommandResult | undefined {
    return resultOf(this);
  }
  static override isInstance(error: unknown): error is CommandFailedError {
    return isOf("CommandFailedError", error);
  }
}

/** A stored script that was run with `check` failed. */
export class ScriptFailedError extends SpacesError {
  override readonly name = "ScriptFailedError";
  static override isInstance(error: unknown): error is ScriptFailedError {
    return isOf("ScriptFailedError", error);
  }
}

const CLASSES = {
  CancelledError,
  CommandFailedError,
  ConflictError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PermissionDeniedError,
  ScriptFailedError,
  SpacesError,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
  UnsupportedError,
};

type ClassName = keyof typeof CLASSES;
type Status = (typeof ERRORS)[ErrorCode]["status"];

const BY_CODE: Partial<Record<ErrorCode, ClassName>> = {
  COMMAND_FAILED: "CommandFailedError",
  COMMAND_NOT_FOUND: "NotFoundError",
  INVALID_INPUT: "InvalidInputError",
  SCRIPT_FAILED: "ScriptFailedError",
  SCRIPT_MEMORY: "ScriptFailedError",
  SCRIPT_NEVER_SETTLES: "ScriptFailedError",
  TEMPLATE_INVALID: "InvalidInputError",
};

const BY_STATUS: Partial<Record<Status, ClassName>> = {
  401: "UnauthenticatedError",
  403: "PermissionDeniedError",
  404: "NotFoundError",
  408: "TimeoutError",
  409: "ConflictError",
  410: "NotFoundError",
  413: "LimitExceededError",
  429: "LimitExceededError",
  499: "CancelledError",
  501: "UnsupportedError",
  503: "UnavailableError",
  507: "LimitExceededError",
};

/** The class that stands for a code; `SpacesError` itself where no other does. */
function classNameOf(code: ErrorCode): ClassName {
  return BY_CODE[code] ?? BY_STATUS[ERRORS[code].status] ?? "SpacesError";
}

/**
 * The code decides, so that an error of another copy of the package is recognised as well. Classes
 * are named here, as bundlers give another name to a class that mentions itself.
 */
function isOf(name: ClassName, error: unknown): boolean {
  return SpacesError.isInstance(error) && classNameOf(error.code) === name;
}

/** Makes an error of the class that its code has; the arguments are those of `SpacesError`. */
export function sdkError(
  code: ErrorCode,
  message?: string,
  options?: ConstructorParameters<typeof SpacesError>[2],
): SpacesError {
  return new CLASSES[classNameOf(code)](code, message, options);
}

/** The same error in the class that its code has. */
export function toSdkError(error: SpacesError): SpacesError {
  const { code, message, suggestion, details } = error;
  if (error.constructor === CLASSES[classNameOf(code)]) return error;
  return sdkError(code, message, { suggestion, details, cause: error.cause ?? error });
}

function resultOf({ details }: SpacesError): CommandResult | undefined {
  return "exitCode" in details ? (details as unknown as CommandResult) : undefined;
}
