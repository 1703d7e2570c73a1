/**
 * Writes a directory into a gzipped tar archive, in bounded memory, while others may change the
 * directory. Used by `WorkspaceFiles`.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type BigIntStats, closeSync, fstatSync, lstatSync, readlinkSync, readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Header, type Pack, pack as packTar } from "tar-stream";
import { openContent, openContentSync, writeAll } from "./content.js";
import { namesOf } from "./copy-tree.js";
import { Descent } from "./descent.js";
import { type Directory, textOf } from "./directory.js";
import { EntryNotes } from "./entry-notes.js";
import { isOneOf } from "./file-error.js";
import { LONGEST_PATH_BYTES } from "./inside-path.js";
import { checkCancelled } from "./registry-error.js";
import type { Name } from "./temporary-files.js";

const CHUNK_BYTES = 128 * 1024;
/** Files up to this size are read whole before they are put in, and so are as they once were. */
const SMALL_BYTES = 256 * 1024;
/** How often a small file is read that changes meanwhile. */
const MOST_READS = 3;
/** The last second that every tar program can read from a header. */
const LAST_HEADER_SECOND = 2 ** 31 - 1;

export interface ArchiveOptions {
  /** Whether a path, relative to the directory, is left out, with all that is below it. */
  readonly excluded: (path: string) => boolean;
  /** The archive itself, which is not put into itself. */
  readonly self: Name;
  readonly signal: AbortSignal | undefined;
}

export interface ArchiveSummary {
  /** Of the archive, in hexadecimal. */
  readonly sha256: string;
  /** Files, directories and symlinks in it. */
  readonly entries: number;
  /** Bytes of the files in it. */
  readonly bytes: number;
  /** What could not be put in, or not as it was, each with the reason. */
  readonly skipped: string[];
}

/** What the archive says of an entry, beside its content. */
interface EntryHeader extends Partial<Header> {
  readonly name: string;
  /** Values that are written as they are, for what a plain header cannot hold. */
  readonly pax: Readonly<Record<string, string>>;
}

/**
 * Writes all that is below a directory as a gzipped tar archive to a file.
 * @throws SpacesError `CANCELLED`; an error of Node: `ENOSPC`, `ESTALE` where directories were moved
 */
export async function writeArchive(
  top: Directory,
  archive: FileHandle,
  options: ArchiveOptions,
): Promise<ArchiveSummary> {
  const hash = createHash("sha256");
  const gzip = createGzip({ chunkSize: CHUNK_BYTES });
  const gathering = new Gathering();
  const packer = new Packer(top, gathering, options);
  const writing = pipeline(packer.pack, gathering, gzip, async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      await writeAll(archive, chunk);
    }
  });
  // Either may fail first and then brings the other down: the first error is the true one.
  const failures: unknown[] = [];
  await Promise.all([
    packer.run().catch((error: unknown) => {
      failures.push(error);
      packer.pack.destroy(error instanceof Error ? error : undefined);
    }),
    writing.catch((error: unknown) => {
      failures.push(error);
      packer.stop(error);
    }),
  ]);
  if (failures.length > 0) throw failures[0];
  return { sha256: hash.digest("hex"), ...packer.summary };
}

class Packer {
  readonly pack: Pack = packTar();
  readonly #top: Directory;
  readonly #next: Gathering;
  readonly #options: ArchiveOptions;
  readonly #stopped = new AbortController();
  readonly #notes = new EntryNotes();
  /** The first name of each file that has several. */
  readonly #linked = new Map<string, string>();
  #entries = 0;
  #bytes = 0;

  constructor(top: Directory, next: Gathering, options: ArchiveOptions) {
    this.#top = top;
    this.#next = next;
    this.#options = options;
  }

  get summary(): Omit<ArchiveSummary, "sha256"> {
    return { entries: this.#entries, bytes: this.#bytes, skipped: this.#notes.all };
  }

  /** Ends the work on the next occasion. */
  stop(reason: unknown): void {
    this.#stopped.abort(reason);
  }

  async run(): Promise<void> {
    using descent = new Descent(this.#top);
    const levels = [{ prefix: "", rawNames: await sortedNames(descent.here) }];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      this.#check();
      const rawName = level.rawNames.pop();
      if (rawName === undefined) {
        levels.pop();
        if (levels.length > 0) descent.leave();
        continue;
      }
      const path = level.prefix + textOf(rawName);
      const stats = this.#wanted(descent.here, rawName, path);
      if (stats === undefined) continue;
      if (!stats.isDirectory()) {
        await this.#add({ directory: descent.here, rawName }, path, stats);
      } else if (this.#enter(descent, rawName, path)) {
        await this.#addDirectory(descent.here, path);
        levels.push({ prefix: `${path}/`, rawNames: await this.#namesBelow(descent.here, path) });
      }
    }
    this.pack.finalize();
  }

  #check(): void {
    checkCancelled(this.#options.signal);
    this.#stopped.signal.throwIfAborted();
  }

  /** What a name is; undefined where it is not to be put in. */
  #wanted(directory: Directory, rawName: string, path: string): BigIntStats | undefined {
    const { self, excluded } = this.#options;
    if (self.rawName === rawName && self.directory.identity === directory.identity)
      return undefined;
    if (excluded(path)) return undefined;
    // Gone since the directory was read: then it is not part of it.
    const stats = lstatSync(directory.raw(rawName), { throwIfNoEntry: false, bigint: true });
    if (stats === undefined) return undefined;
    const why = textOf(rawName).includes("\uFFFD")
      ? "its name is no text"
      : Buffer.byteLength(path) > LONGEST_PATH_BYTES
        ? `its path is longer than ${LONGEST_PATH_BYTES} bytes`
        : kindOfSpecial(stats);
    if (why === undefined) return stats;
    this.#notes.add(path, why);
    return undefined;
  }

  #enter(descent: Descent, rawName: string, path: string): boolean {
    try {
      descent.enter(rawName);
      return true;
    } catch (error) {
      this.#tell(error, path);
      return false;
    }
  }

  async #namesBelow(directory: Directory, path: string): Promise<string[]> {
    try {
      return await sortedNames(directory);
    } catch (error) {
      this.#tell(error, path);
      return [];
    }
  }

  /** Notes why something cannot be put in; what is gone is left out in silence. */
  #tell(error: unknown, path: string): void {
    if (isOneOf(error, "ENOENT")) return;
    if (isOneOf(error, "EACCES", "EPERM")) this.#notes.add(path, "it may not be read");
    else if (isOneOf(error, "ENOTDIR", "EISDIR", "ENXIO", "ELOOP", "EINVAL")) {
      this.#notes.add(path, "it became something else while it was read");
    } else throw error;
  }

  async #addDirectory(directory: Directory, path: string): Promise<void> {
    const stats = lstatSync(`${directory.host}/.`, { bigint: true });
    await this.#entry({ ...headerOf(path, stats), type: "directory" });
  }

  async #add(name: Name, path: string, stats: BigIntStats): Promise<void> {
    try {
      if (stats.isSymbolicLink()) await this.#addSymlink(name, path, stats);
      else await this.#addFile(name, path);
    } catch (error) {
      this.#tell(error, path);
    }
  }

  async #addSymlink({ directory, rawName }: Name, path: string, stats: BigIntStats): Promise<void> {
    const target = readlinkSync(directory.raw(rawName), { encoding: "buffer" });
    const linkname = target.toString("utf8");
    if (!Buffer.from(linkname, "utf8").equals(target)) {
      this.#notes.add(path, "the target of the symlink is no text");
    } else {
      await this.#entry({ ...headerOf(path, stats), type: "symlink", linkname });
    }
  }

  async #addFile(name: Name, path: string): Promise<void> {
    const small = readSmall(name);
    const { stats } = small;
    const identity = `${stats.dev}:${stats.ino}`;
    const first = stats.nlink > 1n ? this.#linked.get(identity) : undefined;
    if (first !== undefined) {
      await this.#entry({ ...headerOf(path, stats), type: "link", linkname: first });
      return;
    }
    if (small.content === undefined) await this.#addLarge(name, path);
    else {
      if (small.changed) this.#notes.add(path, "it was changed while it was read");
      await this.#entry({ ...headerOf(path, stats), type: "file" }, small.content);
      this.#bytes += small.content.length;
    }
    if (stats.nlink > 1n) this.#linked.set(identity, path);
  }

  /** Adds a file piece by piece: as many bytes as its header has said, whatever becomes of it. */
  async #addLarge({ directory, rawName }: Name, path: string): Promise<void> {
    await using file = await openContent(directory, directory.raw(rawName));
    const stats = await file.stat({ bigint: true });
    const size = Number(stats.size);
    const { signal } = this.#stopped;
    const header: EntryHeader = { ...headerOf(path, stats), type: "file", size };
    const sink = this.pack.entry(header);
    const closed = once(sink, "close");
    // Waited for below; until then its failure must not count as one that nobody sees.
    closed.catch(() => undefined);
    const buffer = (length: number) => Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, length));
    let at = 0;
    let short = false;
    while (at < size) {
      this.#check();
      const chunk = buffer(size - at);
      const { bytesRead } = short
        ? { bytesRead: chunk.fill(0).length }
        : await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) short = true;
      else if (!sink.write(chunk.subarray(0, bytesRead))) await once(sink, "drain", { signal });
      at += bytesRead;
    }
    sink.end(undefined);
    await closed;
    this.#entries += 1;
    this.#bytes += size;
    if (short) this.#notes.add(path, "it became shorter while it was read; the rest is zeros");
    else if (isChanged(stats, await file.stat({ bigint: true }))) {
      this.#notes.add(path, "it was changed while it was read");
    }
  }

  async #entry(header: EntryHeader, content?: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null) => (error == null ? resolve() : reject(error));
      if (content === undefined) this.pack.entry(header, done);
      else this.pack.entry(header, content, done);
    });
    this.#entries += 1;
    // Entries without content wait for nobody by themselves.
    if (this.#next.writableNeedDrain) {
      await once(this.#next, "drain", { signal: this.#stopped.signal });
    }
  }
}

/** Joins small pieces: each that is compressed by itself costs a thread's turn. */
class Gathering extends Transform {
  #pieces: Buffer[] = [];
  #bytes = 0;

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= CHUNK_BYTES) this.#send();
    done();
  }

  override _flush(done: () => void): void {
    this.#send();
    done();
  }

  #send(): void {
    this.push(Buffer.concat(this.#pieces));
    this.#pieces = [];
    this.#bytes = 0;
  }
}

/** The names in a directory, the last one first, so that they can be taken from the end. */
async function sortedNames(directory: Directory): Promise<string[]> {
  return (await namesOf(directory)).sort((a, b) => (a < b ? 1 : -1));
}

function kindOfSpecial(stats: BigIntStats): string | undefined {
  if (stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()) return undefined;
  if (stats.isSocket()) return "it is a socket";
  return stats.isFIFO() ? "it is a FIFO" : "it is a device";
}

function isChanged(before: BigIntStats, after: BigIntStats): boolean {
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs;
}

interface SmallFile {
  readonly stats: BigIntStats;
  /** Undefined where the file is not small. */
  readonly content?: Buffer;
  readonly changed: boolean;
}

/** Reads a small file whole, and once more where it changes meanwhile. */
function readSmall({ directory, rawName }: Name): SmallFile {
  const file = openContentSync(directory, directory.raw(rawName));
  try {
    for (let read = 1; ; read++) {
      const stats = fstatSync(file, { bigint: true });
      if (stats.size > SMALL_BYTES) return { stats, changed: false };
      const content = Buffer.allocUnsafe(Number(stats.size));
      let at = 0;
      while (at < content.length) {
        const bytesRead = readSync(file, content, at, content.length - at, at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      const changed = isChanged(stats, fstatSync(file, { bigint: true }));
      if (!changed || read === MOST_READS)
        return { stats, content: content.subarray(0, at), changed };
    }
  } finally {
    closeSync(file);
  }
}

/** What is the same for every kind of entry. Whose it was is not kept: it will be its space's. */
function headerOf(path: string, stats: BigIntStats): EntryHeader {
  const seconds = Number(stats.mtimeNs / 1_000_000_000n);
  return {
    name: path,
    mode: Number(stats.mode) & 0o777,
    mtime: new Date(Math.max(0, Math.min(seconds, LAST_HEADER_SECOND)) * 1000),
    pax: { mtime: decimalSeconds(stats.mtimeNs) },
  };
}

/** Seconds with six digits of their parts: more do not survive in a JavaScript number. */
function decimalSeconds(ns: bigint): string {
  const us = (ns - (((ns % 1000n) + 1000n) % 1000n)) / 1000n;
  const [sign, positive] = us < 0n ? ["-", -us] : ["", us];
  const fraction = String(positive % 1_000_000n).padStart(6, "0");
  return `${sign}${positive / 1_000_000n}.${fraction}`;
}
