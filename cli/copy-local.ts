/**
 * This machine as a place to copy files from and to. What comes from a space is not trusted: its
 * names lead nowhere but below the target, and nothing is written through a symlink.
 */
import { createHash, randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Content, Entry, EntryType, Source, Target } from "./copy.js";
import { checkLocalName, localError } from "./local-names.js";
import { printableName } from "./text.js";

/** Bytes that are read at once. */
const CHUNK = 256 * 1024;

/** Zero where the platform has no such flag. */
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;

export class LocalSource implements Source {
  readonly label: string;
  readonly name: string | undefined;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.label = printableName(path);
    this.name = /(^|[\\/])\.[\\/]*$/.test(path) ? undefined : basename(resolve(path)) || undefined;
  }

  /** What is named is followed where it is a symlink; what is below is not. */
  async describe(): Promise<Entry> {
    const found = await named(this.label, () => stat(this.#path));
    // A pipe, such as `<(command)`, is read as a file whose size nobody knows.
    if (found.isFIFO()) return { segments: [], type: "file" };
    if (typeOf(found) === "other") {
      throw new SpacesError("WRONG_FILE_TYPE", `${this.label} is no file and no directory.`, {
        suggestion: "Name a regular file or a directory.",
      });
    }
    return entryOf([], found);
  }

  async *entries(segments: readonly string[] = []): AsyncGenerator<Entry> {
    const path = join(this.#path, ...segments);
    const names = await named(printableName(path), () => readdir(path));
    for (const name of names.sort()) {
      const inner = [...segments, name];
      const found = await named(printableName(join(path, name)), () => lstat(join(path, name)));
      yield entryOf(inner, found);
      if (found.isDirectory()) yield* this.entries(inner);
    }
  }

  async open(segments: readonly string[]): Promise<Content> {
    const path = join(this.#path, ...segments);
    const label = printableName(path);
    // A file below may have become a symlink or a pipe since it was listed.
    const flags = segments.length === 0 ? O_RDONLY : O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const handle = await named(label, () => open(path, flags));
    const close = (): Promise<void> => handle.close();
    try {
      const found = await handle.stat();
      if (found.isFIFO() && segments.length === 0) {
        return { chunks: chunksOf(handle), [Symbol.asyncDispose]: close };
      }
      if (!found.isFile()) {
        throw new SpacesError("WRONG_FILE_TYPE", `${label} is no regular file.`);
      }
      const hash = createHash("sha256");
      for await (const chunk of chunksOf(handle, 0)) hash.update(chunk);
      return {
        chunks: chunksOf(handle, 0),
        size: found.size,
        sha256: hash.digest("hex"),
        [Symbol.asyncDispose]: close,
      };
    } catch (error) {
      await close();
      throw localError(label, error);
    }
  }
}

export class LocalTarget implements Target {
  readonly label: string;
  readonly #path: string;
  /** The real path of the root, once it is a directory. */
  #root: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.label = printableName(path);
  }

  async isDirectory(): Promise<boolean> {
    try {
      if ((await stat(this.#path)).isDirectory()) {
        this.#root = await realpath(this.#path);
        return true;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw localError(this.label, error);
    }
    if (!/[\\/]$/.test(this.#path)) return false;
    throw new SpacesError("FILE_NOT_FOUND", `There is no directory ${this.label}.`, {
      suggestion: "Make the directory first, or leave the last slash away.",
    });
  }

  async mkdir(segments: readonly string[], mode = 0o755): Promise<void> {
    if (this.#root === undefined) {
      await named(this.label, () => mkdir(this.#path, { recursive: true }));
      this.#root = await realpath(this.#path);
    }
    const parent = await this.#directoryOf(this.#root, segments);
    const name = segments.at(-1);
    if (name === undefined) return;
    const path = join(parent, checkLocalName(name));
    try {
      // Its owner must be able to put files into it.
      await mkdir(path, { mode: (mode & 0o777) | 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw localError(printableName(path), error);
      }
      await requireDirectory(path);
    }
  }

  async write(
    segments: readonly string[],
    content: Content,
    { mode = 0o644, overwrite }: { readonly mode: number | undefined; readonly overwrite: boolean },
  ): Promise<undefined> {
    const path = await this.#fileAt(segments);
    const label = printableName(path);
    await requireReplaceable(path, overwrite);
    // Beside the target, for a rename does not lead from one file system to another.
    const temporary = join(dirname(path), `.spaces-${randomBytes(8).toString("hex")}.part`);
    const handle = await named(label, () => open(temporary, "wx", mode & 0o777));
    try {
      try {
        for await (const chunk of content.chunks) await writeAll(handle, chunk);
      } finally {
        await handle.close();
      }
      await requireReplaceable(path, overwrite);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw localError(label, error);
    }
  }

  async #fileAt(segments: readonly string[]): Promise<string> {
    const name = segments.at(-1);
    if (name === undefined) return resolve(this.#path);
    const root = this.#root ?? (await named(this.label, () => realpath(this.#path)));
    return join(await this.#directoryOf(root, segments), checkLocalName(name));
  }

  /** The directory that the last segment is in; each one on the way is no symlink. */
  async #directoryOf(root: string, segments: readonly string[]): Promise<string> {
    let path = root;
    for (const segment of segments.slice(0, -1)) {
      path = join(path, checkLocalName(segment));
      await requireDirectory(path);
    }
    return path;
  }
}

/** Makes sure that a path is a directory and no symlink to one. */
async function requireDirectory(path: string): Promise<void> {
  const label = printableName(path);
  const found = await named(label, () => lstat(path));
  if (found.isDirectory()) return;
  throw found.isSymbolicLink()
    ? new SpacesError("PATH_DENIED", `${label} is a symlink, which nothing is written through.`, {
        suggestion: "Remove the symlink, or copy into another directory.",
      })
    : new SpacesError("WRONG_FILE_TYPE", `${label} is no directory.`, {
        suggestion: "Remove it, or copy into another directory.",
      });
}

/** Refuses a directory, and what exists where it must not be replaced. */
async function requireReplaceable(path: string, overwrite: boolean): Promise<void> {
  const label = printableName(path);
  let found: Stats;
  try {
    found = await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw localError(label, error);
  }
  if (found.isDirectory()) {
    throw new SpacesError("WRONG_FILE_TYPE", `${label} is a directory.`, {
      suggestion: "Remove it, or choose another name.",
    });
  }
  if (!overwrite) throw new SpacesError("FILE_EXISTS", `${label} exists already.`);
}

/** The bytes of a file from a position on, or of a pipe without one. */
async function* chunksOf(handle: FileHandle, from?: number): AsyncGenerator<Uint8Array> {
  let position = from;
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    const { bytesRead } = await handle.read(buffer, 0, CHUNK, position ?? null);
    if (bytesRead === 0) return;
    if (position !== undefined) position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let at = 0;
  while (at < chunk.length) at += (await handle.write(chunk, at)).bytesWritten;
}

/** Does something to a path, and names the path where it fails. */
async function named<T>(label: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw localError(label, error);
  }
}

function typeOf(found: Stats): EntryType {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  return found.isSymbolicLink() ? "symlink" : "other";
}

function entryOf(segments: readonly string[], found: Stats): Entry {
  return { segments, type: typeOf(found), size: found.size, mode: found.mode & 0o777 };
}
