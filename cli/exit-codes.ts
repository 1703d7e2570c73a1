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

/** Every other code is a plain failure. */
const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  INVALID_INPUT: EXIT.usage,
  COMMAND_TIMEOUT: EXIT.timeout,
  COMMAND_NOT_FOUND: EXIT.commandNotFound,
  SCRIPT_TIMEOUT: EXIT.timeout,
  DRIVER_UNAVAILABLE: EXIT.ours,
  DRIVER_FAILED: EXIT.ours,
  SERVER_UNREACHABLE: EXIT.ours,
  SHUTTING_DOWN: EXIT.ours,
  INTERRUPTED: EXIT.ours,
  CANCELLED: EXIT.interrupted,
  STORE_UNAVAILABLE: EXIT.ours,
  INTERNAL: EXIT.ours,
};

/** The exit code of a command that ended with this error. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_OF[code] ?? EXIT.failure;
}
