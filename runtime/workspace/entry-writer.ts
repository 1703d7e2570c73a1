/** Writes the entries of an archive below a directory. Used by `extractArchive`. */
import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import { type FileHandle, lchown } from "node:fs/promises";
import type { ArchiveEntry } from "./archive-reader.js";
import { copyFile } from "./copy-tree.js";
import { type Directory, type HostPath, rawOf } from "./directory.js";
import { EntryNotes } from "./entry-notes.js";
import { entryPath } from "./entry-path.js";
import { fileError, isOneOf } from "./file-error.js";
import { makeDirectory, type Owner } from "./owner.js";
import { checkCancelled } from "./registry-error.js";
import { type Name, replaceFile, replaceSmall } from "./temporary-files.js";
import { Way } from "./way.js";

const DEFAULT_DIRECTORY_MODE = 0o755;
/** Files up to this size are written from memory. */
const SMALL_BYTES = 256 * 1024;
/** Smaller runs of zeros are written as they are. */
const SMALLEST_HOLE_BYTES = 4096;

export interface EntryOptions {
  readonly owner: Owner | undefined;
  /** Whether files that are there are replaced. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A directory that gets its permission bits and its time when nothing more is put into it. */
interface Pending {
  readonly names: readonly string[];
  readonly mode: number;
  readonly mtime: number;
}

export class EntryWriter implements Disposable {
  readonly #options: EntryOptions;
  readonly #way: Way;
  /** Leads to what hard links are made of. */
  readonly #linkWay: Way;
  readonly #notes = new EntryNotes();
  readonly #pending: Pending[] = [];
  #entries = 0;
  #bytes = 0;

  /** @param top the directory; stays the caller's to dispose of */
  constructor(top: Directory, options: EntryOptions) {
    this.#options = options;
    this.#way = new Way(top, (host) => makeDirectory(host, DEFAULT_DIRECTORY_MODE, options.owner));
    this.#linkWay = new Way(top);
  }

  get summary() {
    return { entries: this.#entries, bytes: this.#bytes, skipped: this.#notes.all };
  }

  /**
   * Writes an entry, or notes why it is not written.
   * @throws SpacesError `CANCELLED`; an error of Node: `EEXIST` without `overwrite`, `ENOSPC`
   */
  async write(entry: ArchiveEntry, content: AsyncIterable<Buffer>): Promise<void> {
    const path = entryPath(entry.name);
    if ("refused" in path) return this.#notes.add(entry.name, path.refused);
    const { names } = path;
    const last = names.at(-1);
    // The directory itself: what it is like is its space's business.
    if (last === undefined) return;
    try {
      const directory = this.#way.to(names.slice(0, -1));
      const written = await this.#put({ directory, rawName: rawOf(last) }, names, entry, content);
      if (written === true) this.#entries += 1;
      else this.#notes.add(entry.name, written);
    } catch (error) {
      const why = reasonOf(error);
      if (why === undefined) throw error;
      this.#notes.add(entry.name, why);
    }
  }

  /** @returns why it was not written, where it was not */
  async #put(
    name: Name,
    names: readonly string[],
    entry: ArchiveEntry,
    content: AsyncIterable<Buffer>,
  ): Promise<true | string> {
    switch (entry.type) {
      case "directory":
        return this.#putDirectory(name, names, entry);
      case "symlink":
        return await this.#putSymlink(name, entry);
      case "link":
        return await this.#putLink(name, entry);
      case "file":
      case "contiguous-file":
        if (entry.isSparse) return "it is a sparse file in a format that is not read";
        await this.#putFile(name, entry, content);
        return true;
      case "fifo":
        return "it is a FIFO";
      case "block-device":
      case "character-device":
        return "it is a device";
      default:
        return "it is of a kind that is not known";
    }
  }

  #putDirectory(name: Name, names: readonly string[], { mode, mtime }: ArchiveEntry) {
    const host = hostOf(name);
    let made = true;
    try {
      makeDirectory(host, 0o700, this.#options.owner);
    } catch (error) {
      if (!isOneOf(error, "EEXIST")) throw error;
      made = false;
    }
    if (!made && !lstatSync(host).isDirectory()) return "something that is no directory is there";
    if (made || this.#options.overwrite) this.#pending.push({ names, mode, mtime });
    return true;
  }

  async #putFile(
    name: Name,
    { size, mode, mtime }: ArchiveEntry,
    content: AsyncIterable<Buffer>,
  ): Promise<void> {
    const { owner, overwrite, signal } = this.#options;
    if (size <= SMALL_BYTES) {
      const pieces: Buffer[] = [];
      for await (const piece of content) pieces.push(piece);
      checkCancelled(signal);
      await replaceSmall(name, { owner, mode, overwrite }, Buffer.concat(pieces), mtime);
      this.#bytes += size;
      return;
    }
    await replaceFile(name, { owner, mode, setMode: true, overwrite }, async (file) => {
      await fill(file, size, content, signal);
      await file.utimes(mtime, mtime);
    });
    this.#bytes += size;
  }

  async #putSymlink(name: Name, { linkname, mtime }: ArchiveEntry): Promise<true | string> {
    if (linkname === "" || /[\0\uFFFD]/.test(linkname)) return "its target is no text";
    this.#makeWay(name);
    const host = hostOf(name);
    symlinkSync(linkname, host);
    const { owner } = this.#options;
    if (owner !== undefined) await lchown(host, owner.uid, owner.gid);
    lutimesSync(host, mtime, mtime);
    return true;
  }

  async #putLink(name: Name, { linkname }: ArchiveEntry): Promise<true | string> {
    const path = entryPath(linkname);
    if ("refused" in path) return `it is a hard link, and ${path.refused}`;
    const last = path.names.at(-1);
    const source = last === undefined ? undefined : this.#find(path.names, last);
    if (source?.stats.isFile() !== true) return "it is a hard link to no file of the archive";
    const here = lstatSync(hostOf(name), { throwIfNoEntry: false });
    if (here?.ino === source.stats.ino && here.dev === source.stats.dev) return true;
    this.#makeWay(name);
    try {
      linkSync(hostOf(source), hostOf(name));
    } catch (error) {
      if (!isOneOf(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
      // A file system without hard links.
      await copyFile(source, name, this.#options);
    }
    return true;
  }

  #find(names: readonly string[], last: string): (Name & { readonly stats: Stats }) | undefined {
    try {
      const directory = this.#linkWay.to(names.slice(0, -1));
      const rawName = rawOf(last);
      return { directory, rawName, stats: lstatSync(directory.raw(rawName)) };
    } catch (error) {
      if (!isOneOf(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
      return undefined;
    }
  }

  /** Takes away what has the place of a link. */
  #makeWay(name: Name): void {
    const found = lstatSync(hostOf(name), { throwIfNoEntry: false });
    if (found === undefined) return;
    if (!this.#options.overwrite) throw fileError("EEXIST", "file exists", "write", "a link");
    if (found.isDirectory()) throw fileError("EISDIR", "is a directory", "write", "a link");
    unlinkSync(hostOf(name));
  }

  /** Gives the directories their permission bits and times, those below before those above. */
  finish(): void {
    for (const { names, mode, mtime } of this.#pending.reverse()) {
      try {
        const host = `${this.#linkWay.to(names).host}/.`;
        utimesSync(host, mtime, mtime);
        chmodSync(host, mode);
      } catch (error) {
        const why = reasonOf(error) ?? (isOneOf(error, "ENOENT") ? "it was removed" : undefined);
        if (why === undefined) throw error;
        this.#notes.add(names.join("/"), why);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#way[Symbol.dispose]();
    this.#linkWay[Symbol.dispose]();
  }
}

function hostOf({ directory, rawName }: Name): HostPath {
  return directory.raw(rawName);
}

/** Why an entry cannot be written; undefined for what concerns all of them. */
function reasonOf(error: unknown): string | undefined {
  if (isOneOf(error, "ENOTDIR", "ELOOP")) return "a symlink or a file is on its way";
  if (isOneOf(error, "EISDIR")) return "a directory is there";
  if (isOneOf(error, "ENXIO")) return "a special file is there";
  if (isOneOf(error, "EACCES", "EPERM")) return "its directory may not be written";
  return undefined;
}

/** Writes the content of a file, leaving holes where it is zeros. */
async function fill(
  file: FileHandle,
  size: number,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let at = 0;
  for await (const chunk of content) {
    checkCancelled(signal);
    const isHole = chunk.length >= SMALLEST_HOLE_BYTES && isZeros(chunk);
    for (let from = isHole ? chunk.length : 0; from < chunk.length; ) {
      from += (await file.write(chunk, from, chunk.length - from, at + from)).bytesWritten;
    }
    at += chunk.length;
  }
  await file.truncate(size);
}

const ZEROS = Buffer.alloc(128 * 1024);

function isZeros(chunk: Buffer): boolean {
  if (chunk.length > ZEROS.length) return chunk.every((byte) => byte === 0);
  return chunk.equals(ZEROS.subarray(0, chunk.length));
}
