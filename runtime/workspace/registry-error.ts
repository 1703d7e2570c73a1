/** The one place where what the kernel says of files becomes an error of the registry. */
import { type ErrorCode, SpacesError } from "../contract/errors.js";
import { codeOf } from "./file-error.js";

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
  readonly suggestion?: string;
}

const full = { code: "DISK_FULL", text: "There is no room left" } as const;
const tooMany = { code: "LIMIT_EXCEEDED", text: "Too many files are open" } as const;
const changed = {
  code: "CONFLICT",
  text: "Something else changes it at the same time",
  suggestion: "Try again.",
} as const;
const denied = {
  code: "PATH_DENIED",
  text: "Permission denied",
  suggestion: "Change its permissions from within the space.",
} as const;
const special = {
  code: "PATH_DENIED",
  text: "It is neither a regular file nor a directory",
} as const;

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: { code: "FILE_NOT_FOUND", text: "There is no such file or directory" },
  EEXIST: { code: "FILE_EXISTS", text: "It exists already" },
  ENOTDIR: { code: "WRONG_FILE_TYPE", text: "It is, or is below, something that is no directory" },
  EISDIR: { code: "WRONG_FILE_TYPE", text: "It is a directory" },
  ENOTEMPTY: { code: "DIRECTORY_NOT_EMPTY", text: "The directory is not empty" },
  EACCES: denied,
  EPERM: denied,
  EROFS: { code: "PATH_DENIED", text: "The file system is read-only" },
  ELOOP: { code: "PATH_DENIED", text: "Too many symlinks are on the way" },
  // Also of this room: what exists and is nothing that can be read or written.
  ENXIO: special,
  ENODEV: special,
  ENAMETOOLONG: { code: "INVALID_INPUT", text: "The path is too long" },
  EINVAL: { code: "INVALID_INPUT", text: "This is not possible there" },
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: full,
  EMFILE: tooMany,
  ENFILE: tooMany,
  EBUSY: changed,
  ETXTBSY: changed,
  ESTALE: changed,
  EXDEV: { code: "WRONG_FILE_TYPE", text: "It is on another file system" },
};

const LEADS_OUT = /leads out/;

/**
 * What an operation on a path threw, as an error of the registry.
 * @param path as the space sees it
 * @returns the error itself where it is one already, or where the kernel did not name it
 */
export function registryError(error: unknown, path: string): unknown {
  if (SpacesError.isInstance(error)) return error;
  const meaning = MEANINGS[codeOf(error) ?? ""];
  if (meaning === undefined) return error;
  const { code, suggestion } = meaning;
  const out = error instanceof Error && LEADS_OUT.test(error.message);
  const text = out ? "A symlink leads out of the workspace" : meaning.text;
  return new SpacesError(code, `${shortened(path)}: ${text}.`, {
    cause: error,
    details: { path: shortened(path) },
    ...(suggestion === undefined || out ? {} : { suggestion }),
  });
}

function shortened(path: string): string {
  return path.length > 512 ? `${path.slice(0, 512)}…` : path;
}

/** @throws SpacesError `CANCELLED` when the signal has fired */
export function checkCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new SpacesError("CANCELLED", undefined, { cause: signal.reason });
  }
}
