/**
 * As whom a space runs. Where the driver is root, each space has a user of the host of its own, who
 * owns its workspace and nothing else; otherwise all run as the driver's user. Used by the driver.
 */
import { createHash } from "node:crypto";
import { constants, readFileSync } from "node:fs";
import { type FileHandle, lchown, lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { SpacesError } from "../../contract/errors.js";

/** Numbers that neither distributions nor container engines give to anybody. */
const FIRST_UID = 0x7000_0000;
const UID_COUNT = 0x0fff_ffff;

/** Whether this process may become any user, and so must not run a space as itself. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** The user (and group) id of a space on a host where the driver is root. */
export function uidOf(installationId: string, spaceId: string): number {
  const hash = createHash("sha256").update(`${installationId}/${spaceId}`).digest();
  return FIRST_UID + (hash.readUInt32BE() % UID_COUNT);
}

/** Whether this machine or container has the ids at all: a user namespace may map fewer. */
export function hasSpaceUids(): boolean {
  return ["uid_map", "gid_map"].every((map) =>
    readFileSync(`/proc/self/${map}`, "latin1")
      .trim()
      .split("\n")
      .some((line) => {
        const [first, , count] = line.trim().split(/\s+/).map(Number);
        if (first === undefined || count === undefined) return false;
        return first <= FIRST_UID && first + count >= FIRST_UID + UID_COUNT;
      }),
  );
}

/**
 * Gives a directory and all that is in it to a user. Follows no symlink. A file with other names
 * stays whose it is, because one of them may lie elsewhere.
 */
export async function giveTree(directory: string, uid: number): Promise<void> {
  try {
    const handle = await openDirectory(directory);
    await using _closed = handle;
    await handle.chown(uid, uid);
    await giveEntries(handle, uid);
  } catch (error) {
    throw new SpacesError(
      "DRIVER_FAILED",
      `The files of ${directory} cannot be given to the space's user.`,
      { cause: error },
    );
  }
}

function openDirectory(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

async function giveEntries(directory: FileHandle, uid: number): Promise<void> {
  // Named through the handle: a directory that is swapped for a symlink meanwhile changes nothing.
  const here = `/proc/self/fd/${directory.fd}`;
  for (const name of await readdir(here)) {
    const path = join(here, name);
    const found = await lstat(path);
    if (found.isDirectory()) {
      const handle = await openDirectory(path);
      await using _closed = handle;
      if (found.uid !== uid || found.gid !== uid) await handle.chown(uid, uid);
      await giveEntries(handle, uid);
    } else if ((found.uid !== uid || found.gid !== uid) && found.nlink === 1) {
      await lchown(path, uid, uid);
    }
  }
}
