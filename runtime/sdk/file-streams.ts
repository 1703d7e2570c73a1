/** Streams of file content: made from what programs have, hashed and checked on the way. */
import { createHash, type Hash } from "node:crypto";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { sha256OfDigest } from "../contract/content-digest.js";
import { sdkError } from "./errors.js";

/** Content as it comes, in pieces. */
export type StreamedContent =
  | ReadableStream<Uint8Array>
  | NodeReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>;

const PIECE_BYTES = 256 * 1024;

/** Bytes as a stream of pieces that share their memory. */
export function streamOfBytes(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + PIECE_BYTES));
      at += PIECE_BYTES;
    },
  });
}

/** A stream that asks its source for the next piece when it is read, and ends it when cancelled. */
export function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** The same content in fewer, larger pieces: each one costs more than its bytes on its way. */
export async function* gathered(content: StreamedContent): AsyncGenerator<Uint8Array, void> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of content as AsyncIterable<Uint8Array | string>) {
    const data = typeof piece === "string" ? Buffer.from(piece) : piece;
    pieces.push(data);
    bytes += data.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(pieces);
}

/** The pieces of some content as bytes, told to a hash as they pass. */
export async function* hashed(
  content: StreamedContent,
  hash: Hash,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of content as AsyncIterable<Uint8Array | string>) {
    const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
    hash.update(bytes);
    // Streams refuse empty pieces.
    if (bytes.length > 0) yield bytes;
  }
}

/**
 * The pieces of a download; the last is followed by an error when they are not what was announced.
 * @param expected its headers: `content-digest` as RFC 9530 has it, `content-length` in bytes
 * @throws SpacesError `HASH_MISMATCH`
 */
export async function* verified(
  path: string,
  body: StreamedContent,
  expected: { readonly "content-digest": string; readonly "content-length": string },
): AsyncGenerator<Uint8Array, void> {
  const digest = sha256OfDigest(expected["content-digest"]);
  if (digest === undefined) {
    throw sdkError("HASH_MISMATCH", `The content of "${path}" came without a SHA-256.`);
  }
  const hash = createHash("sha256");
  yield* hashed(body, hash);
  const found = hash.digest("hex");
  if (found === digest) return;
  throw sdkError("HASH_MISMATCH", `What came of "${path}" is not what the space has.`, {
    suggestion: "Read it again.",
    details: { path, expected: digest, found },
  });
}
