/** The names of archive entries: only those that stay below the directory are taken. */
import { FOREIGN_SEPARATORS, LONGEST_NAME_BYTES, LONGEST_PATH_BYTES } from "./inside-path.js";
import { isTemporary } from "./temporary-files.js";

/** The names that lead from the directory to an entry; none for the directory itself. */
export type EntryPath = { readonly names: readonly string[] } | { readonly refused: string };

/** Reads the name of an entry, or of the entry that it is a hard link to. */
export function entryPath(text: string): EntryPath {
  if (text.startsWith("/")) return { refused: "its name is absolute" };
  if (Buffer.byteLength(text) > LONGEST_PATH_BYTES) {
    return { refused: `its path is longer than ${LONGEST_PATH_BYTES} bytes` };
  }
  if (/[\0\uFFFD\p{Surrogate}]/u.test(text)) return { refused: "its name is no text" };
  const names = text.split("/").filter((name) => name !== "" && name !== ".");
  for (const name of names) {
    if (name === "..") return { refused: "its name leads out of the directory" };
    if (Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
      return { refused: `it has a name longer than ${LONGEST_NAME_BYTES} bytes` };
    }
    if (isTemporary(name)) return { refused: "its name is kept for files that are being written" };
    if (process.platform === "win32" && FOREIGN_SEPARATORS.test(name)) {
      return { refused: "its name is not possible on this machine" };
    }
  }
  return { names };
}
