/**
 * Writes what a tar archive holds into a directory, through no symlink, and only after the archive
 * was read to its end once. Used by `WorkspaceFiles`.
 */
import { lstatSync, statfsSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import { type ArchiveEntry, readArchive } from "./archive-reader.js";
import { namesOf } from "./copy-tree.js";
import type { Directory } from "./directory.js";
import { shownName } from "./entry-notes.js";
import { entryPath } from "./entry-path.js";
import { type EntryOptions, EntryWriter } from "./entry-writer.js";
import { isOneOf } from "./file-error.js";
import { registryError } from "./registry-error.js";
import { removeTree } from "./remove-tree.js";
import { sizeOfTree } from "./tree-size.js";
import { Way } from "./way.js";

export interface ExtractOptions extends EntryOptions {
  readonly archive: FileHandle;
  /** The archive's path as its space sees it. */
  readonly path: string;
  /** Whether what is in the directory is removed first. */
  readonly clean: boolean;
}

/** The directory, whether it is there yet or not. */
export interface Destination {
  /** The directory as it is; undefined where there is none. */
  readonly found: Directory | undefined;
  /** A directory of the same file system, which is there. */
  readonly near: Directory;
  /** Makes the directory where it is missing. */
  readonly make: () => Directory;
}

export interface ExtractSummary {
  /** Files, directories and links that were written. */
  readonly entries: number;
  /** Bytes of the files that were written. */
  readonly bytes: number;
  /** What was not written, each with the reason. */
  readonly skipped: string[];
}

/**
 * Extracts an archive.
 * @throws SpacesError `INVALID_INPUT` for what is no whole archive, `DISK_FULL`, `LIMIT_EXCEEDED`,
 *   `FILE_EXISTS`: then nothing was written. `CANCELLED` and what happens while it is written: then
 *   `details` tells how much was written, all of it whole files.
 */
export async function extractArchive(
  destination: Destination,
  options: ExtractOptions,
): Promise<ExtractSummary> {
  const { archive, path, clean, overwrite, signal } = options;
  const { found } = destination;
  const mostBytes = roomAt(destination.near) + (clean && found ? await sizeOfTree(found) : 0);
  const common = { path, mostBytes, signal };
  using check = new Check(clean ? undefined : found);
  await readArchive(archive, {
    ...common,
    visit: async (entry) => {
      if (!overwrite) check.see(entry);
    },
  });
  using top = destination.make();
  using writer = new EntryWriter(top, options);
  try {
    if (clean) await empty(top, signal);
    await readArchive(archive, {
      ...common,
      visit: (entry, content) => writer.write(entry, content),
    });
    writer.finish();
  } catch (error) {
    throw withProgress(registryError(error, path), writer);
  }
  return writer.summary;
}

/** Bytes that there is room for. */
function roomAt(directory: Directory): number {
  const { bavail, bsize } = statfsSync(`${directory.host}/.`);
  return bavail * bsize;
}

async function empty(top: Directory, signal: AbortSignal | undefined): Promise<void> {
  for (const rawName of await namesOf(top)) {
    try {
      await removeTree({ directory: top, rawName }, signal);
    } catch (error) {
      if (!isOneOf(error, "ENOENT")) throw error;
    }
  }
}

/** Looks whether an archive can be extracted without replacing anything. */
class Check implements Disposable {
  readonly #way: Way | undefined;
  readonly #seen = new Set<string>();

  constructor(found: Directory | undefined) {
    this.#way = found === undefined ? undefined : new Way(found);
  }

  /** @throws SpacesError `FILE_EXISTS` */
  see({ name, type }: ArchiveEntry): void {
    const path = entryPath(name);
    if ("refused" in path || path.names.length === 0) return;
    const key = path.names.join("/");
    if (type !== "directory") {
      if (this.#seen.has(key)) throw exists(`The archive holds ${shownName(key)} more than once.`);
      this.#seen.add(key);
    }
    const found = this.#find(path.names);
    if (found === undefined || (found.isDirectory() && type === "directory")) return;
    throw exists(`${shownName(key)}: It exists already.`);
  }

  #find(names: readonly string[]) {
    try {
      const host = this.#way?.to(names.slice(0, -1)).at(names.at(-1) ?? ".");
      return host === undefined ? undefined : lstatSync(host, { throwIfNoEntry: false });
    } catch (error) {
      // Nothing is there, or something on the way of which the writer will tell.
      if (!isOneOf(error, "ENOENT", "ENOTDIR", "ELOOP", "EACCES")) throw error;
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#way?.[Symbol.dispose]();
  }
}

function exists(text: string): SpacesError {
  return new SpacesError("FILE_EXISTS", text, {
    suggestion: "Extract with overwrite, which replaces files, or into another directory.",
  });
}

function withProgress(error: unknown, writer: EntryWriter): unknown {
  if (!SpacesError.isInstance(error)) return error;
  const { entries, bytes } = writer.summary;
  return new SpacesError(error.code, `${error.message} ${entries} entries were written before.`, {
    cause: error,
    details: { ...error.details, entries, bytes },
    ...(error.suggestion === undefined ? {} : { suggestion: error.suggestion }),
  });
}
