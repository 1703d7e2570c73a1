/** Writes files from streams of bytes, hashing on the way. Used by `WorkspaceFiles`. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import { writeAll } from "./content.js";
import { checkCancelled } from "./registry-error.js";

interface ReceiveOptions {
  /** SHA-256 in hexadecimal that the bytes must have. */
  readonly sha256: string | undefined;
  /** As the space sees it. */
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Writes all that a stream gives to a file, piece by piece.
 * @returns the SHA-256 of the bytes, in hexadecimal
 * @throws SpacesError `HASH_MISMATCH`; `CANCELLED` when the stream breaks off or the signal fires;
 *   `INVALID_INPUT` for what is no bytes
 */
export async function receive(
  body: ReadableStream,
  handle: FileHandle,
  { sha256, path, signal }: ReceiveOptions,
): Promise<string> {
  const reader = readerOf(body, path);
  // Ends a read that waits for a sender who is silent.
  const onAbort = (): void => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", onAbort);
  const hash = createHash("sha256");
  try {
    for (;;) {
      checkCancelled(signal);
      const { done, value } = await nextOf(reader, path);
      checkCancelled(signal);
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        throw new SpacesError("INVALID_INPUT", `${path}: The stream must give bytes.`);
      }
      hash.update(value);
      await writeAll(handle, value);
    }
  } catch (error) {
    // The sender need not go on. What it says to that changes nothing.
    await reader.cancel(error).catch(() => undefined);
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    reader.releaseLock();
  }
  const actual = hash.digest("hex");
  if (sha256 === undefined || sha256 === actual) return actual;
  throw new SpacesError("HASH_MISMATCH", `${path}: The content has the hash ${actual}.`, {
    details: { path, expected: sha256, actual },
  });
}

function readerOf(body: ReadableStream, path: string): ReadableStreamDefaultReader<unknown> {
  if (!body.locked) return body.getReader();
  throw new SpacesError("INVALID_INPUT", `${path}: The stream is being read already.`);
}

async function nextOf(reader: ReadableStreamDefaultReader<unknown>, path: string) {
  try {
    return await reader.read();
  } catch (cause) {
    if (SpacesError.isInstance(cause)) throw cause;
    throw new SpacesError("CANCELLED", `${path}: The stream of the content broke off.`, { cause });
  }
}
