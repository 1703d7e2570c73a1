/** The exit codes of the command line, and the one table from error code to exit code. */
import type { ErrorCode } from "../runtime/contract/errors.js";

export const EXIT = {
  ok: 0,
  failure: 1,
  /** Wrong arguments or options. */
  usage: 2,
  /** As GNU `timeout`. */
  timeout: 124,
  /** Spaces itself failed: no usable driver or store, or a fault of ours. */
  ours: 125,
  /** As a shell: no such program. */
  commandNotFound: 127,
  /** As a program that SIGHUP ended: its terminal has gone. */
  hungUp: 129,
  interrupted: 130,
  /** As a program that SIGPIPE ended: nobody reads the output any more. */
  outputClosed: 141,
  terminated: 143,
} as const;

const EXIT_OF: Record<ErrorCode, number> = {
  INVALID_INPUT: EXIT.usage,
  UNAUTHENTICATED: EXIT.failure,
  PERMISSION_DENIED: EXIT.failure,
  SPACE_NOT_FOUND: EXIT.failure,
  SPACE_EXISTS: EXIT.failure,
  SPACE_RUNNING: EXIT.failure,
  SPACE_NOT_RUNNING: EXIT.failure,
  SPACE_START_FAILED: EXIT.failure,
  TEMPLATE_NOT_FOUND: EXIT.failure,
  TEMPLATE_INVALID: EXIT.failure,
  TEMPLATE_IN_USE: EXIT.failure,
  FIELD_NOT_DEFINED: EXIT.failure,
  COMMAND_FAILED: EXIT.failure,
  COMMAND_TIMEOUT: EXIT.timeout,
  COMMAND_NOT_FOUND: EXIT.commandNotFound,
  PROCESS_NOT_FOUND: EXIT.failure,
  SCRIPT_NOT_FOUND: EXIT.failure,
  SCRIPT_FAILED: EXIT.failure,
  SCRIPT_TIMEOUT: EXIT.timeout,
  SCRIPT_MEMORY: EXIT.failure,
  SCRIPT_NEVER_SETTLES: EXIT.failure,
  PORT_IN_USE: EXIT.failure,
  FORWARD_NOT_FOUND: EXIT.failure,
  POLICY_DENIED: EXIT.failure,
  APPROVAL_REQUIRED: EXIT.failure,
  DRIVER_UNAVAILABLE: EXIT.ours,
  DRIVER_FAILED: EXIT.ours,
  IMAGE_NOT_FOUND: EXIT.failure,
  UNSUPPORTED: EXIT.failure,
  LIMIT_EXCEEDED: EXIT.failure,
  CONFLICT: EXIT.failure,
  INTERRUPTED: EXIT.ours,
  CANCELLED: EXIT.interrupted,
  STORE_UNAVAILABLE: EXIT.ours,
  INTERNAL: EXIT.ours,
};

/** The exit code of a command that ended with this error. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_OF[code];
}
