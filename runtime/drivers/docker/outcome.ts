/**
 * Reads from Docker's answers how a program ended, or why it never started. Called by the guest
 * process at the end of a command.
 */
import { SpacesError } from "../../contract/errors.js";
import type { ProcessExit } from "../driver.js";

/**
 * Signals that a code of 128 + n is taken for. Docker tells the code only, so this is the shells'
 * convention; SIGHUP is left out because 129 is also a common exit code for wrong usage.
 */
const SIGNALS: ReadonlyMap<number, string> = new Map([
  [130, "SIGINT"],
  [131, "SIGQUIT"],
  [132, "SIGILL"],
  [134, "SIGABRT"],
  [135, "SIGBUS"],
  [136, "SIGFPE"],
  [137, "SIGKILL"],
  [139, "SIGSEGV"],
  [141, "SIGPIPE"],
  [143, "SIGTERM"],
]);

/** An exit code in the driver's terms. */
export function processExit(exitCode: number): ProcessExit {
  const signal = SIGNALS.get(exitCode);
  return signal === undefined ? { exitCode } : { exitCode, signal };
}

interface Refusal {
  readonly spaceName: string;
  readonly program: string;
  readonly workdir: string;
  /** What the daemon said in place of output. */
  readonly reason: string;
}

/**
 * The error for a program that was never started.
 * `INVALID_INPUT` for the working directory, `COMMAND_NOT_FOUND` for the program,
 * `SPACE_NOT_RUNNING` when the container had ended, `DRIVER_FAILED` otherwise.
 */
export function refusalError({ spaceName, program, workdir, reason }: Refusal): SpacesError {
  const details = { reason };
  if (/chdir to cwd|getcwd|\bcwd\b|current working directory/i.test(reason)) {
    return new SpacesError(
      "INVALID_INPUT",
      `The working directory "${workdir}" cannot be used in space "${spaceName}": ${causeOf(reason)}.`,
      { suggestion: "Name a directory that exists in the space.", details },
    );
  }
  if (/unable to find (user|group)|no matching entries/i.test(reason)) {
    return new SpacesError(
      "INVALID_INPUT",
      `The user of space "${spaceName}" is not known: ${reason}`,
      {
        suggestion: "Name a user that the image knows, or give `uid:gid`.",
        details,
      },
    );
  }
  if (/is not running|stopped (state|container)|no running task|task .* not found/i.test(reason)) {
    return new SpacesError("SPACE_NOT_RUNNING", `The space "${spaceName}" is not running.`, {
      details,
    });
  }
  if (
    /executable file not found|no such file or directory|permission denied|is a directory|not a directory|exec format error|text file busy|too many levels of symbolic links|file name too long/i.test(
      reason,
    )
  ) {
    return new SpacesError(
      "COMMAND_NOT_FOUND",
      `The program "${program}" cannot be executed in space "${spaceName}": ${causeOf(reason)}.`,
      { details },
    );
  }
  return new SpacesError(
    "DRIVER_FAILED",
    `Docker could not run "${program}" in space "${spaceName}": ${reason || "it gave no reason"}`,
    { details },
  );
}

/** The part of the runtime's message that names the cause. */
function causeOf(reason: string): string {
  const causes =
    /executable file not found in \$PATH|no such file or directory|permission denied|not a directory|is a directory|exec format error|text file busy|too many levels of symbolic links|file name too long/i;
  return causes.exec(reason)?.[0] ?? reason;
}
