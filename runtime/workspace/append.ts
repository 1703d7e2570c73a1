/** Adds to the end of files. Used by `WorkspaceFiles`. */
import { constants, type Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { copyContent, openContent, writeAll } from "./content.js";
import { isOneOf } from "./file-error.js";
import type { Owner } from "./owner.js";
import { type Name, replaceFile } from "./temporary-files.js";

const { O_RDWR, O_APPEND } = constants;

interface AppendOptions {
  readonly owner: Owner | undefined;
  /** Permission bits of a file that is made. */
  readonly mode: number;
}

/**
 * Adds bytes to the end of a file, which is made where there is none.
 * @returns what the file is then
 * @throws an error with the kernel's code: `EISDIR`, `ENXIO`, `ENOSPC`; then nothing was added
 */
export async function append(
  name: Name,
  bytes: Uint8Array,
  { owner, mode }: AppendOptions,
): Promise<Stats> {
  for (;;) {
    const handle = await openIfThere(name);
    if (handle !== undefined) return await appendTo(handle, name, bytes, owner);
    try {
      const options = { owner, mode, overwrite: false };
      return await replaceFile(name, options, (made) => writeAll(made, bytes));
    } catch (error) {
      // Another made it meanwhile: what that one wrote must stay.
      if (!isOneOf(error, "EEXIST")) throw error;
    }
  }
}

async function appendTo(
  handle: FileHandle,
  name: Name,
  bytes: Uint8Array,
  owner: Owner | undefined,
): Promise<Stats> {
  try {
    const { nlink, size } = await handle.stat();
    if (nlink > 1) {
      // A hard link may share its file with the world outside: this name gets a file of its own.
      return await replaceFile(name, { owner, mode: 0o644, overwrite: true }, async (copy) => {
        await copyContent(handle, copy, undefined);
        await writeAll(copy, bytes);
      });
    }
    await addOrUndo(handle, bytes, size);
    return await handle.stat();
  } finally {
    await handle.close();
  }
}

/** Adds all of the bytes or, where the disk is full half way, none. */
async function addOrUndo(handle: FileHandle, bytes: Uint8Array, size: number): Promise<void> {
  let added = 0;
  try {
    while (added < bytes.length) {
      added += (await handle.write(bytes, added, bytes.length - added)).bytesWritten;
    }
  } catch (error) {
    // What others have added meanwhile stays, and then so does this.
    if ((await handle.stat()).size === size + added) await handle.truncate(size);
    throw error;
  }
}

async function openIfThere({ directory, rawName }: Name): Promise<FileHandle | undefined> {
  try {
    return await openContent(directory, directory.raw(rawName), O_RDWR | O_APPEND);
  } catch (error) {
    if (!isOneOf(error, "ENOENT")) throw error;
    return undefined;
  }
}
