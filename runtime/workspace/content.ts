/** Opens regular files, and reads, hashes and streams what is in them. Used by `WorkspaceFiles`. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import type { Directory } from "./directory.js";
import { canAnchor, type HostPath, O_PATH } from "./directory.js";
import { fileError } from "./file-error.js";
import { checkCancelled } from "./registry-error.js";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Bytes that are read, hashed or sent at once. */
const CHUNK_BYTES = 128 * 1024;

/**
 * Opens a regular file. What it is is known before it is opened: to open a FIFO or a device is to do
 * something to it.
 * @param host its path in `directory`
 * @param flags beside those that keep from following and waiting
 * @throws an error with the kernel's code: `EISDIR`, `ENXIO` for a special file, `ELOOP`
 */
export async function openContent(
  directory: Directory,
  host: HostPath,
  flags: number = O_RDONLY,
): Promise<FileHandle> {
  if (!canAnchor) {
    requireRegular(lstatSync(host));
    const handle = await open(host, flags | O_NOFOLLOW | O_NONBLOCK);
    try {
      directory.recheck();
      requireRegular(await handle.stat());
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
  const place = openSync(host, O_PATH | O_NOFOLLOW);
  try {
    requireRegular(fstatSync(place));
    return await open(`/proc/self/fd/${place}`, flags | O_NONBLOCK);
  } finally {
    closeSync(place);
  }
}

/**
 * Opens a regular file for reading as `openContent` does, and at once: for many small files, where
 * each turn of the event loop costs more than the file.
 */
export function openContentSync(directory: Directory, host: HostPath): number {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  if (!canAnchor) {
    requireRegular(lstatSync(host));
    const handle = openSync(host, flags);
    try {
      directory.recheck();
      requireRegular(fstatSync(handle));
      return handle;
    } catch (error) {
      closeSync(handle);
      throw error;
    }
  }
  const place = openSync(host, O_PATH | O_NOFOLLOW);
  try {
    requireRegular(fstatSync(place));
    return openSync(`/proc/self/fd/${place}`, O_RDONLY | O_NONBLOCK);
  } finally {
    closeSync(place);
  }
}

function requireRegular(stats: Stats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw fileError("EISDIR", "is a directory", "open", "a file");
  if (stats.isSymbolicLink()) throw fileError("ELOOP", "is a symlink", "open", "a file");
  throw fileError("ENXIO", "not a regular file", "open", "a file");
}

/** A part of a file. */
export interface Range {
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** The part of a file that a caller means. */
export function rangeOf(size: number, offset: number, length: number | undefined): Range {
  return { offset, length: Math.max(0, Math.min(length ?? size, size - offset)) };
}

/** Reads a part of a file whole; less where the file has become shorter. */
export async function readRange(
  handle: FileHandle,
  { offset, length }: Range,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const content = Buffer.allocUnsafe(length);
  let at = 0;
  while (at < length) {
    checkCancelled(signal);
    const { bytesRead } = await handle.read(content, at, length - at, offset + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return content.subarray(0, at);
}

/** The SHA-256 of a part of a file. */
export async function hashRange(
  handle: FileHandle,
  { offset, length }: Range,
  signal: AbortSignal | undefined,
): Promise<Hash> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0; at < length; ) {
    checkCancelled(signal);
    const most = Math.min(buffer.length, length - at);
    const { bytesRead } = await handle.read(buffer, 0, most, offset + at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return hash;
}

/** Copies a file's bytes from their beginning to where the other one is. */
export async function copyContent(
  from: FileHandle,
  to: FileHandle,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(8 * CHUNK_BYTES);
  for (let at = 0; ; ) {
    checkCancelled(signal);
    const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    await writeAll(to, buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** Writes all of the bytes where the file is: the kernel may take a part of them at a time. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}

interface StreamOptions {
  readonly range: Range;
  /** SHA-256 that the bytes must have. */
  readonly digest: Buffer;
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Streams a part of a file, reading no more than is asked for. Closes the file at the end. The last
 * bytes are given only when all have the right hash; otherwise the stream fails with `CONFLICT`.
 */
export function streamContent(
  handle: FileHandle,
  { range, digest, path, signal }: StreamOptions,
): ReadableStream<Uint8Array> {
  const hash = createHash("sha256");
  let sent = 0;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    signal?.removeEventListener("abort", onAbort);
    closing ??= handle.close();
    return closing;
  };
  let abandon: (() => void) | undefined;
  const onAbort = (): void => abandon?.();
  const next = async (): Promise<Buffer | undefined> => {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, range.length - sent));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, range.offset + sent);
    hash.update(buffer.subarray(0, bytesRead));
    sent += bytesRead;
    const ended = sent === range.length;
    if ((bytesRead === 0 && !ended) || (ended && !hash.digest().equals(digest))) {
      throw new SpacesError("CONFLICT", `${path}: The file was changed while it was sent.`, {
        suggestion: "Try again when nothing writes to it.",
      });
    }
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        abandon = () => {
          controller.error(new SpacesError("CANCELLED", undefined, { cause: signal?.reason }));
          void close();
        };
        signal?.addEventListener("abort", onAbort);
      },
      async pull(controller) {
        try {
          const chunk = await next();
          if (signal?.aborted === true) return;
          if (chunk !== undefined) controller.enqueue(chunk);
          if (sent < range.length) return;
          controller.close();
          await close();
        } catch (error) {
          await close();
          if (signal?.aborted !== true) throw error;
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
}
