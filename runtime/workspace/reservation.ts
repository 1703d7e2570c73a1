/** Takes a name that nothing has yet, so that a rename onto it replaces nobody's file. */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import type { HostPath } from "./directory.js";
import { isOneOf } from "./file-error.js";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** Takes a name with an empty file or directory. @throws an error of Node: `EEXIST` */
function reserve(host: HostPath, kind: "file" | "directory"): void {
  if (kind === "directory") mkdirSync(host, 0o700);
  else closeSync(openSync(host, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
}

/**
 * Renames to a name that nothing may have.
 * @param kind of what is renamed: a directory can take the place of an empty directory only
 * @throws an error of Node: `EEXIST`, and what a rename throws; then the name is free again
 */
export function renameToNew(from: HostPath, to: HostPath, kind: "file" | "directory"): void {
  reserve(to, kind);
  try {
    renameSync(from, to);
  } catch (error) {
    release(to, kind);
    throw error;
  }
}

function release(host: HostPath, kind: "file" | "directory"): void {
  try {
    if (kind === "directory") rmdirSync(host);
    else unlinkSync(host);
  } catch (error) {
    // A process in the space may have made the name its own.
    if (!isOneOf(error, "ENOENT", "ENOTEMPTY", "ENOTDIR", "EISDIR")) throw error;
  }
}
