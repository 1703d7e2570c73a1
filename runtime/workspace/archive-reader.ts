/**
 * Reads tar archives, gzipped or not, entry by entry, and refuses those that are cut off, of another
 * format, or larger than they may be. Used by `ExtractedArchive`.
 */
import type { FileHandle } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { SpacesError } from "../contract/errors.js";
import { codeOf } from "./file-error.js";
import { checkCancelled } from "./registry-error.js";

const CHUNK_BYTES = 128 * 1024;
const BLOCK_BYTES = 512;
const MOST_ENTRIES = 1_000_000;
/** Of all names together: they are remembered while the archive is worked on. */
const MOST_NAME_BYTES = 100 * 1024 * 1024;
/** Bytes that are no content: headers, padding, and what follows the end. */
const MOST_OVERHEAD_BYTES = 4 * 1024 ** 3;

/** An entry of an archive, as it says of itself. */
export interface ArchiveEntry {
  readonly name: string;
  readonly type: Header["type"] | null;
  /** Bytes of its content. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /**
   * Seconds since 1970: the middle of a microsecond, so that the kernel, to which numbers come cut
   * off, is told the right one.
   */
  readonly mtime: number;
  readonly linkname: string;
  /** Whether its content is not the file, but a map of what is in it. */
  readonly isSparse: boolean;
}

interface ReadOptions {
  /** As the space sees it, for messages. */
  readonly path: string;
  /** Bytes that all contents may have together. */
  readonly mostBytes: number;
  readonly signal: AbortSignal | undefined;
  /** Takes an entry; content that it does not read is passed over. */
  readonly visit: (entry: ArchiveEntry, content: AsyncIterable<Buffer>) => Promise<void>;
}

/**
 * Reads an archive to its end.
 * @throws SpacesError `INVALID_INPUT` for what is no tar archive, or the beginning of one only;
 *   `LIMIT_EXCEEDED`, `DISK_FULL`; `CANCELLED`; and what `visit` throws
 */
export async function readArchive(archive: FileHandle, options: ReadOptions): Promise<void> {
  const { path, signal } = options;
  const limits = new Limits(options);
  const parser = extract();
  const tail = new Tail(limits);
  const source = chunksOf(archive, signal);
  const reading = (await isGzipped(archive))
    ? pipeline(source, createGunzip({ chunkSize: CHUNK_BYTES }), tail, parser)
    : pipeline(source, tail, parser);
  // Either may fail first and then brings the other down: the first error is the true one.
  const failures: unknown[] = [];
  const visiting = async (): Promise<void> => {
    for await (const entry of parser) {
      // Noted before the loop is left: that closes the parser, which then fails too.
      try {
        checkCancelled(signal);
        const described = describeEntry(entry.header);
        limits.add(described);
        await options.visit(described, entry as AsyncIterable<Buffer>);
      } catch (error) {
        failures.push(error);
        throw error;
      }
      entry.resume();
    }
  };
  const note = (error: unknown): void => void failures.push(error);
  await Promise.all([reading.catch(note), visiting().catch(note)]);
  if (failures.length === 0 && !tail.isEnd) failures.push(new Error("its end is missing"));
  if (failures.length > 0) throw readingError(failures[0], path);
}

/** What the library or zlib says of a file that it cannot read has no name of the kernel's. */
function readingError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || SpacesError.isInstance(error)) return error;
  const code = codeOf(error);
  if (code !== undefined && !code.startsWith("Z_")) return error;
  const why = error.message.replace(/\.$/, "");
  return new SpacesError("INVALID_INPUT", `${path}: It is no whole tar archive: ${why}.`, {
    cause: error,
    suggestion: "Give a tar archive, plain or gzipped, that was written to its end.",
  });
}

class Limits {
  readonly #path: string;
  readonly #mostBytes: number;
  #entries = 0;
  #bytes = 0;
  #nameBytes = 0;

  constructor({ path, mostBytes }: ReadOptions) {
    this.#path = path;
    this.#mostBytes = mostBytes;
  }

  add({ name, linkname, size }: ArchiveEntry): void {
    this.#entries += 1;
    this.#bytes += size;
    this.#nameBytes += Buffer.byteLength(name) + Buffer.byteLength(linkname);
    if (this.#entries > MOST_ENTRIES) {
      throw this.#exceeded(`It has more than ${MOST_ENTRIES} entries`, MOST_ENTRIES);
    }
    if (this.#nameBytes > MOST_NAME_BYTES) {
      throw this.#exceeded(`Its names have more than ${MOST_NAME_BYTES} bytes`, MOST_NAME_BYTES);
    }
    if (this.#bytes <= this.#mostBytes) return;
    throw new SpacesError(
      "DISK_FULL",
      `${this.#path}: It holds ${this.#bytes} bytes or more, and there is room for ${this.#mostBytes}.`,
      { details: { path: this.#path, bytes: this.#bytes, free: this.#mostBytes } },
    );
  }

  /** @param read bytes of the archive so far, as they are without compression */
  checkOverhead(read: number): void {
    if (read - this.#bytes <= MOST_OVERHEAD_BYTES) return;
    throw this.#exceeded("It is mostly headers", MOST_OVERHEAD_BYTES);
  }

  #exceeded(text: string, limit: number): SpacesError {
    const details = { path: this.#path, limit };
    return new SpacesError("LIMIT_EXCEEDED", `${this.#path}: ${text}.`, { details });
  }
}

/** Passes an archive on, and tells whether it ends as archives do: with a block of zeros. */
class Tail extends Transform {
  readonly #limits: Limits;
  #read = 0;
  #zeros = 0;

  constructor(limits: Limits) {
    super();
    this.#limits = limits;
  }

  get isEnd(): boolean {
    return this.#zeros >= BLOCK_BYTES;
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error: Error | null, chunk?: Buffer) => void,
  ): void {
    this.#read += chunk.length;
    const last = chunk.subarray(-BLOCK_BYTES);
    const zeros = last.length - 1 - last.findLastIndex((byte) => byte !== 0);
    this.#zeros = zeros === chunk.length ? this.#zeros + zeros : zeros;
    try {
      this.#limits.checkOverhead(this.#read);
      done(null, chunk);
    } catch (error) {
      done(error as Error);
    }
  }
}

function describeEntry(header: Header): ArchiveEntry {
  const pax = new Map(Object.entries((header.pax ?? {}) as Record<string, string>));
  const mtime = Number(pax.get("mtime") ?? (header.mtime?.getTime() ?? 0) / 1000);
  return {
    name: header.name,
    type: header.type,
    size: header.size ?? 0,
    mode: (header.mode ?? 0) & 0o777,
    mtime: Number.isFinite(mtime) ? (Math.round(mtime * 1e6) + 0.5) / 1e6 : 0,
    linkname: header.linkname ?? "",
    isSparse: [...pax.keys()].some((key) => key.startsWith("GNU.sparse.")),
  };
}

async function isGzipped(archive: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await archive.read(Buffer.alloc(2), 0, 2, 0);
  return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
}

async function* chunksOf(
  archive: FileHandle,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  for (let at = 0; ; ) {
    checkCancelled(signal);
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const { bytesRead } = await archive.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
    at += bytesRead;
  }
}
