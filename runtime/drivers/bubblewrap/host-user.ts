/**
 * As whom a space runs. Where the driver is root, each space has a user of the host of its own, who
 * owns its workspace and nothing else; otherwise all run as the driver's user. Used by the driver.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
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
 * @throws SpacesError `DRIVER_FAILED` when the directory is a symlink, or something cannot be given
 */
export async function giveTree(directory: string, uid: number): Promise<void> {
  try {
    await giveDirectory(directory, uid);
  } catch (error) {
    throw new SpacesError(
      "DRIVER_FAILED",
      `The files of ${directory} cannot be given to the space's user.`,
      { cause: error },
    );
  }
}

/** Many small questions to the kernel: asked synchronously, since that takes a tenth of the time. */
async function giveDirectory(path: string, uid: number): Promise<void> {
  const isOurs = (found: Stats) => found.uid === uid && found.gid === uid;
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    if (!isOurs(fstatSync(fd))) fchownSync(fd, uid, uid);
    // Named through the handle: a directory that is swapped for a symlink meanwhile changes nothing.
    const here = `/proc/self/fd/${fd}`;
    const directories: string[] = [];
    for (const name of readdirSync(here)) {
      const entry = join(here, name);
      const found = lstatSync(entry);
      if (found.isDirectory()) directories.push(entry);
      else if (!isOurs(found) && found.nlink === 1) lchownSync(entry, uid, uid);
    }
    // Others have a turn between large directories, and trees.
    if (directories.length > 0) await setImmediate();
    for (const entry of directories) await giveDirectory(entry, uid);
  } finally {
    closeSync(fd);
  }
}
