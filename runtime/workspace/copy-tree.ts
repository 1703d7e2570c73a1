/** Copies files and trees within a workspace. Used by `WorkspaceFiles`. */
import { chmodSync, lstatSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { lchown, opendir } from "node:fs/promises";
import { copyContent, openContent } from "./content.js";
import { Descent } from "./descent.js";
import type { Directory, HostPath } from "./directory.js";
import { fileError, isOneOf } from "./file-error.js";
import { makeDirectory, type Owner } from "./owner.js";
import { checkCancelled } from "./registry-error.js";
import { removeTree } from "./remove-tree.js";
import { isTemporary, type Name, replaceFile } from "./temporary-files.js";

interface CopyOptions {
  readonly owner: Owner | undefined;
  /** Whether files that exist are replaced. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A directory that is being copied, and what is left to copy of it. */
interface Level {
  readonly rawNames: string[];
  /** Permission bits that the copy gets when it is filled. */
  readonly mode: number;
}

/**
 * Copies a regular file, in one step.
 * @throws an error with the kernel's code: `EISDIR`, `ENXIO` for a special file, `EEXIST`
 */
export async function copyFile(
  from: Name,
  to: Name,
  { owner, overwrite, signal }: CopyOptions,
): Promise<void> {
  const source = await openContent(from.directory, from.directory.raw(from.rawName));
  try {
    const { mode } = await source.stat();
    await replaceFile(to, { owner, mode: mode & 0o777, overwrite }, (copy) =>
      copyContent(source, copy, signal),
    );
  } finally {
    await source.close();
  }
}

/**
 * Copies a symlink as it is written.
 * @throws an error of Node: `EEXIST` for a directory in its place, or for anything without `overwrite`
 */
export async function copyLink(
  from: Name,
  to: Name,
  { owner, overwrite }: CopyOptions,
): Promise<void> {
  const target = targetOf(from.directory.raw(from.rawName));
  const host = to.directory.raw(to.rawName);
  const found = lstatSync(host, { throwIfNoEntry: false });
  if (overwrite && found !== undefined && !found.isDirectory()) unlinkSync(host);
  symlinkSync(target, host);
  if (owner !== undefined) await lchown(host, owner.uid, owner.gid);
}

function targetOf(host: HostPath): Buffer {
  try {
    return readlinkSync(host, { encoding: "buffer" });
  } catch (error) {
    if (!isOneOf(error, "EINVAL")) throw error;
    throw fileError("ESTALE", "is no symlink any more", "copy", "a symlink");
  }
}

/**
 * Copies a directory with all that is in it, symlinks as symlinks. Files go into a directory that
 * exists already; one that was made is removed again where the copy fails.
 * @throws SpacesError `CANCELLED`; an error with the kernel's code: `ENXIO` for a special file in
 *   it, `EEXIST`, `EINVAL` where it would be copied into itself
 */
export async function copyTree(from: Name, to: Name, options: CopyOptions): Promise<void> {
  const progress = { made: false };
  try {
    await copyLevels(from, to, options, progress);
  } catch (error) {
    if (progress.made) await removeIfThere(to);
    throw error;
  }
}

async function removeIfThere(name: Name): Promise<void> {
  try {
    await removeTree(name, undefined);
  } catch (error) {
    if (!isOneOf(error, "ENOENT")) throw error;
  }
}

async function copyLevels(
  from: Name,
  to: Name,
  options: CopyOptions,
  progress: { made: boolean },
): Promise<void> {
  using source = new Descent(from.directory);
  using target = new Descent(to.directory);
  const levels: Level[] = [];
  let top: string | undefined;
  const begin = async (fromName: string, toName: string): Promise<void> => {
    source.enter(fromName);
    // A copy that is moved into what is being copied would grow for ever.
    if (source.here.identity === top) {
      throw fileError("EINVAL", "a directory cannot be copied into itself", "copy", "a directory");
    }
    const made = makeIfMissing(target.here, toName, options);
    if (top === undefined) progress.made = made;
    target.enter(toName);
    top ??= target.here.identity;
    const { mode } = lstatSync(`${source.here.host}/.`);
    levels.push({ rawNames: await namesOf(source.here), mode: mode & 0o777 });
  };
  await begin(from.rawName, to.rawName);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    checkCancelled(options.signal);
    const rawName = level.rawNames.pop();
    if (rawName === undefined) {
      chmodSync(`${target.here.host}/.`, level.mode);
      levels.pop();
      source.leave();
      target.leave();
      continue;
    }
    const one = { directory: source.here, rawName };
    const other = { directory: target.here, rawName };
    const found = lstatSync(source.here.raw(rawName), { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (found.isDirectory()) await begin(rawName, rawName);
    else if (found.isSymbolicLink()) await copyLink(one, other, options);
    else await copyFile(one, other, options);
  }
}

/** @returns whether there was none */
function makeIfMissing(directory: Directory, rawName: string, options: CopyOptions): boolean {
  try {
    makeDirectory(directory.raw(rawName), 0o700, options.owner);
    return true;
  } catch (error) {
    if (!isOneOf(error, "EEXIST") || !options.overwrite) throw error;
    return false;
  }
}

/** The names in a directory, as reading it with the encoding `latin1` gives them. */
export async function namesOf(directory: Directory): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of await opendir(directory.host, {
    encoding: "latin1",
    bufferSize: 1024,
  })) {
    if (!isTemporary(name)) names.push(name);
  }
  return names;
}
