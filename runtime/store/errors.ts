/** What can go wrong with the store's file, told apart by SQLite's codes. */

/** The store could not be used; `reason` says why in words for a person. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly reason: string;
  /** SQLite's or the system's code, such as `SQLITE_FULL`. */
  readonly code: string;

  constructor(code: string, reason: string, cause: unknown) {
    super(reason, { cause });
    this.code = code;
    this.reason = reason;
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ["SQLITE_BUSY", "other processes kept it locked for too long"],
  ["SQLITE_CORRUPT", "its file is damaged"],
  ["SQLITE_NOTADB", "its file is not a database"],
  ["SQLITE_READONLY", "its file is read-only"],
  ["SQLITE_FULL", "the disk is full"],
  ["SQLITE_CANTOPEN", "its file cannot be opened"],
  ["SQLITE_IOERR", "its file cannot be read or written"],
  ["SQLITE_PERM", "its file may not be accessed"],
  ["EACCES", "the data directory may not be accessed"],
  ["EPERM", "the data directory may not be accessed"],
  ["EROFS", "the data directory is on a read-only disk"],
  ["ENOSPC", "the disk is full"],
  ["ENOTDIR", "a part of the data directory's path is a file"],
]);

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** Whether another process holds the lock, so that trying again makes sense. */
export function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_BUSY") || codeOf(error).startsWith("SQLITE_LOCKED");
}

/** Whether a row could not be written because another has the same key. */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_CONSTRAINT");
}

/** A `StoreError` for faults of the file or disk; anything else as it is. */
export function storeErrorFrom(error: unknown): unknown {
  const code = codeOf(error);
  for (const [prefix, reason] of REASONS) {
    if (code.startsWith(prefix)) return new StoreError(code, reason, error);
  }
  return error;
}
