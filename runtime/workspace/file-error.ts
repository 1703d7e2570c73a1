/** Errors of files as the kernel names them, with the path inside of the workspace. */

/** An error with the kernel's name for it. Its message names no path of the host. */
export interface FileError extends Error {
  readonly code: string;
  /** The cause in words. */
  readonly reason: string;
}

/** An error as the file systems of just-bash word it. */
export function fileError(code: string, reason: string, operation: string, path: string): Error {
  const error: FileError = Object.assign(new Error(`${code}: ${reason}, ${operation} '${path}'`), {
    code,
    reason,
  });
  return error;
}

/** The kernel's name of an error, where it has one. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Whether an error is one of these, by the kernel's names. */
export function isOneOf(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(codeOf(error) ?? "");
}

/** Replaces the host's path in an error of Node by the one inside. */
export function inside(error: unknown, operation: string, path: string): unknown {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return error;
  const text = /^\w+: ([^,]*)/.exec(error.message)?.[1] ?? "input/output error";
  return fileError(String(error.code), text, operation, path);
}
