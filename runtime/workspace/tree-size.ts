/** Measures trees of files. Used where a tree is to be replaced by another one. */
import { lstatSync } from "node:fs";
import { namesOf } from "./copy-tree.js";
import { Descent } from "./descent.js";
import type { Directory } from "./directory.js";
import { isOneOf } from "./file-error.js";

const BLOCK_BYTES = 512;

/**
 * Bytes that the files below a directory take on the disk; those that cannot be looked at count as
 * none.
 */
export async function sizeOfTree(top: Directory): Promise<number> {
  using descent = new Descent(top);
  const levels = [await namesOf(descent.here)];
  let bytes = 0;
  for (let names = levels.at(-1); names !== undefined; names = levels.at(-1)) {
    const rawName = names.pop();
    if (rawName === undefined) {
      levels.pop();
      if (levels.length > 0) descent.leave();
      continue;
    }
    const stats = lstatSync(descent.here.raw(rawName), { throwIfNoEntry: false });
    if (stats?.isFile() === true) bytes += stats.blocks * BLOCK_BYTES;
    if (stats?.isDirectory() === true && tryEnter(descent, rawName)) {
      levels.push(await namesIfReadable(descent.here));
    }
  }
  return bytes;
}

function tryEnter(descent: Descent, rawName: string): boolean {
  try {
    descent.enter(rawName);
    return true;
  } catch (error) {
    if (!isOneOf(error, "ENOENT", "ENOTDIR", "ELOOP", "EACCES")) throw error;
    return false;
  }
}

async function namesIfReadable(directory: Directory): Promise<string[]> {
  try {
    return await namesOf(directory);
  } catch (error) {
    if (!isOneOf(error, "EACCES", "ENOENT")) throw error;
    return [];
  }
}
