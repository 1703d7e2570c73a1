/** Describes files as the contract shows them. */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import type { FileInfo } from "../contract/files.js";
import type { HostPath } from "./directory.js";
import { isOneOf } from "./file-error.js";

/** The furthest time that a `Date` can be; file systems know later ones. */
const LAST_TIME_MS = 8.64e15;

/** The time of the last change; the nearest that a `Date` can be. */
export function modifiedAt(stats: Stats): Date {
  return new Date(Math.max(-LAST_TIME_MS, Math.min(LAST_TIME_MS, Math.trunc(stats.mtimeMs) || 0)));
}

function typeOf(stats: Stats): FileInfo["type"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

/**
 * @param path absolute, as the space sees it
 * @param target where a symlink points to
 */
export function infoOf(stats: Stats, path: string, target?: string): FileInfo {
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    path,
    type: typeOf(stats),
    size: stats.size,
    mode: stats.mode & 0o777,
    modifiedAt: modifiedAt(stats).toISOString(),
    ...(target === undefined ? {} : { target }),
  };
}

/**
 * Describes what is at a host path, not following a symlink.
 * @param path absolute, as the space sees it
 * @returns undefined where there is nothing
 */
export function describe(host: HostPath, path: string): FileInfo | undefined {
  const stats = lstatSync(host, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isSymbolicLink()) return infoOf(stats, path);
  try {
    return infoOf(stats, path, readlinkSync(host));
  } catch (error) {
    // Gone, or another file by now.
    if (!isOneOf(error, "ENOENT", "EINVAL")) throw error;
    return undefined;
  }
}
