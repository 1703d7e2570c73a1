/**
 * Removes directories with all that is in them, while others may add, move and remove there. Used by
 * `WorkspaceFiles`.
 */
import { rmdirSync, unlinkSync } from "node:fs";
import { opendir, unlink } from "node:fs/promises";
import { Descent } from "./descent.js";
import { type Directory, rawOf } from "./directory.js";
import { isOneOf } from "./file-error.js";
import { checkCancelled } from "./registry-error.js";

/** How often a directory is emptied again that others fill meanwhile, and a moved tree begun again. */
const MOST_ATTEMPTS = 20;
/** Files that are removed at a time. */
const AT_ONCE = 64;

/** A directory on the way, and what is left to remove in it. */
interface Level {
  /** Its name in the directory above, as it was read with the encoding `latin1`. */
  readonly rawName: string;
  attempts: number;
  /** Names of directories; undefined while its files are still there. */
  directories: string[] | undefined;
}

/**
 * Removes a file, a symlink, or a directory with all that is in it. Follows no symlink.
 * @param name in `directory`
 * @throws SpacesError `CANCELLED`; an error of Node: `ENOENT`, `EACCES`, `ENOTEMPTY` where others
 *   fill the directory faster than it is emptied
 */
export async function removeTree(
  directory: Directory,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await removeOnce(directory, rawOf(name), signal);
      return;
    } catch (error) {
      // Moved while it was being removed: what is still there is removed from the start.
      if (!isOneOf(error, "ESTALE") || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

async function removeOnce(
  directory: Directory,
  rawName: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  using descent = new Descent(directory);
  const levels: Level[] = [];
  /** Goes into a directory, or removes what is none (any more). */
  const take = (name: string, attempts: number): void => {
    try {
      descent.enter(name);
      levels.push({ rawName: name, attempts, directories: undefined });
    } catch (error) {
      if (!isOneOf(error, "ENOTDIR", "ELOOP")) throw error;
      unlinkSync(descent.here.raw(name));
    }
  };
  take(rawName, 1);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    checkCancelled(signal);
    level.directories ??= await removeFiles(descent.here, signal);
    const below = level.directories.pop();
    const [name, attempts] = below === undefined ? [level.rawName, level.attempts] : [below, 0];
    if (below === undefined) {
      levels.pop();
      descent.leave();
    }
    try {
      if (below === undefined) rmdirSync(descent.here.raw(name));
      else take(name, 1);
    } catch (error) {
      if (isOneOf(error, "ENOENT")) continue;
      const again = isOneOf(error, "ENOTEMPTY", "EEXIST", "ENOTDIR") && below === undefined;
      if (!again || attempts === MOST_ATTEMPTS) throw error;
      take(name, attempts + 1);
    }
  }
}

/** Removes all of a directory but its directories. @returns their names */
async function removeFiles(
  directory: Directory,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const directories: string[] = [];
  let removing: Promise<void>[] = [];
  const remove = async (name: string): Promise<void> => {
    try {
      await unlink(directory.raw(name));
    } catch (error) {
      if (isOneOf(error, "EISDIR")) directories.push(name);
      else if (!isOneOf(error, "ENOENT")) throw error;
    }
  };
  try {
    for await (const found of await opendir(directory.host, {
      encoding: "latin1",
      bufferSize: 1024,
    })) {
      checkCancelled(signal);
      if (found.isDirectory()) directories.push(found.name);
      else removing.push(remove(found.name));
      if (removing.length < AT_ONCE) continue;
      await Promise.all(removing);
      removing = [];
    }
  } finally {
    // The directory is closed by the caller only when nothing uses it any more.
    await Promise.allSettled(removing);
  }
  await Promise.all(removing);
  return directories;
}
