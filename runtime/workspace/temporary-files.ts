/**
 * Files are written beside their place and put there in one step: nobody ever sees half of one, and
 * a write that fails changes nothing. What a killed process left of that is removed later on.
 */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open, opendir, unlink } from "node:fs/promises";
import type { Directory, HostPath } from "./directory.js";
import { fileError, isOneOf } from "./file-error.js";
import type { Owner } from "./owner.js";
import { renameToNew } from "./reservation.js";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const TEMPORARY = /^\.spaces-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.part$/;
/** After this long without a byte, whoever wrote a temporary file is gone. */
const STALE_MS = 3_600_000;
/** Names looked at for stale files: a huge directory must not make each write slow. */
const MOST_SWEPT = 10_000;
const MOST_REMEMBERED = 1000;

/** A name that no other file has. */
export function temporaryName(): string {
  return `.spaces-${randomUUID()}.part`;
}

/** Whether a name is one of a file that is being written, which no list shows. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** A name in an open directory, as reading the directory with the encoding `latin1` gives it. */
export interface Name {
  readonly directory: Directory;
  readonly rawName: string;
}

interface ReplaceOptions {
  readonly owner: Owner | undefined;
  /** Permission bits of a new file. */
  readonly mode: number;
  /** Gives these permission bits also to a file that exists, which keeps its own otherwise. */
  readonly setMode?: boolean;
  /** Whether to take the place of a file that exists. */
  readonly overwrite: boolean;
}

/**
 * Writes a new file and puts it in its place. Another hard link of the old one stays as it is.
 * @param fill writes the content
 * @returns what the new file is
 * @throws an error with the kernel's code: `EEXIST`, `EISDIR`, `ENXIO` for a special file in its
 *   place, and what `fill` throws; then nothing has changed
 */
export async function replaceFile(
  place: Name,
  { owner, mode, setMode = false, overwrite }: ReplaceOptions,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<Stats> {
  const { directory } = place;
  modeOfReplaced(place, overwrite);
  await sweep(directory);
  const temporary = directory.at(temporaryName());
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    directory.recheck();
    await fill(handle);
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    const replaced = modeOfReplaced(place, overwrite);
    await handle.chmod(setMode ? mode : (replaced ?? mode));
    const stats = await handle.stat();
    directory.recheck();
    if (overwrite) renameSync(temporary, hostOf(place));
    else publishNew(temporary, place);
    return stats;
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Does what `replaceFile` does with content that is there, at once: for many small files, where each
 * turn of the event loop costs more than the file.
 * @param mtime seconds since 1970
 */
export async function replaceSmall(
  place: Name,
  { owner, mode, overwrite }: ReplaceOptions,
  content: Uint8Array,
  mtime: number,
): Promise<void> {
  const { directory } = place;
  modeOfReplaced(place, overwrite);
  await sweep(directory);
  const temporary = directory.at(temporaryName());
  const handle = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    directory.recheck();
    for (let at = 0; at < content.length; ) at += writeSync(handle, content, at);
    if (owner !== undefined) fchownSync(handle, owner.uid, owner.gid);
    fchmodSync(handle, mode);
    futimesSync(handle, mtime, mtime);
    modeOfReplaced(place, overwrite);
    directory.recheck();
    if (overwrite) renameSync(temporary, hostOf(place));
    else publishNew(temporary, place);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  } finally {
    closeSync(handle);
  }
}

function hostOf({ directory, rawName }: Name): HostPath {
  return directory.raw(rawName);
}

/** The permission bits of the file that is to be replaced; undefined where there is none. */
function modeOfReplaced(place: Name, overwrite: boolean): number | undefined {
  const found = lstatSync(hostOf(place), { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!overwrite) throw fileError("EEXIST", "file exists", "write", "a file");
  if (found.isDirectory()) throw fileError("EISDIR", "is a directory", "write", "a file");
  if (found.isFile()) return found.mode & 0o777;
  if (found.isSymbolicLink()) return undefined;
  throw fileError("ENXIO", "not a regular file", "write", "a file");
}

/** Puts a temporary file where nothing may be, in one step. */
function publishNew(temporary: string, place: Name): void {
  try {
    linkSync(temporary, hostOf(place));
    unlinkSync(temporary);
  } catch (error) {
    if (!isOneOf(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    // A file system without hard links: the name is taken first, then the content put there.
    renameToNew(temporary, hostOf(place), "file");
  }
}

async function removeIfThere(host: string): Promise<void> {
  try {
    await unlink(host);
  } catch (error) {
    // A process in the space may have taken it away, or put something else there, which is not ours.
    if (!isOneOf(error, "ENOENT", "EISDIR", "ENOTDIR")) throw error;
  }
}

/** When each directory was last swept, by its identity. */
const swept = new Map<string, number>();

/** Removes what killed processes left half written in a directory; looks once in a while only. */
async function sweep(directory: Directory): Promise<void> {
  const now = Date.now();
  const last = swept.get(directory.identity);
  if (last !== undefined && now - last < STALE_MS) return;
  swept.delete(directory.identity);
  for (const oldest of swept.keys()) {
    if (swept.size < MOST_REMEMBERED) break;
    swept.delete(oldest);
  }
  swept.set(directory.identity, now);
  let looked = 0;
  for await (const { name } of await opendir(directory.host, { bufferSize: 1024 })) {
    if (++looked > MOST_SWEPT) return;
    if (!isTemporary(name)) continue;
    const found = lstatSync(directory.at(name), { throwIfNoEntry: false });
    if (found?.isFile() === true && now - found.mtimeMs > STALE_MS) {
      await removeIfThere(directory.at(name));
    }
  }
}
