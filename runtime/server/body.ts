/**
 * Reads the bodies of requests: JSON whole and bounded, bytes as a stream. A body that stands still
 * for too long is given up; one that comes slowly but comes may take hours.
 */
import type { IncomingMessage } from "node:http";
import { SpacesError } from "../contract/errors.js";
import type { ServerLimits } from "./limits.js";
import { release } from "./memory-release.js";

const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";

/** Whether a request says that it has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/**
 * Reads a JSON body.
 * @returns its bytes, and what they mean; undefined where there are none
 * @throws SpacesError `INVALID_INPUT` for another content type and for text that is no JSON;
 *   `BODY_TOO_LARGE`; `CANCELLED` when it stands still or breaks off
 */
export async function readJson(
  request: IncomingMessage,
  limits: ServerLimits,
): Promise<{ readonly bytes: Buffer; readonly value: unknown }> {
  if (!hasBody(request)) return { bytes: Buffer.alloc(0), value: undefined };
  if (mediaTypeOf(request) !== "application/json") {
    throw new SpacesError(
      "INVALID_INPUT",
      "The content type of the body is not application/json.",
      {
        suggestion: "Send JSON, with content-type: application/json.",
      },
    );
  }
  if (request.headers["content-encoding"] !== undefined) {
    throw new SpacesError("INVALID_INPUT", "The body has a content encoding.", {
      suggestion: "Send it as it is, not compressed.",
    });
  }
  const bytes = await readWhole(request, limits);
  if (bytes.length === 0) return { bytes, value: undefined };
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { bytes, value: JSON.parse(text) };
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", "The body is not JSON.", { cause });
  }
}

async function readWhole(request: IncomingMessage, limits: ServerLimits): Promise<Buffer> {
  const tooLarge = () =>
    new SpacesError("BODY_TOO_LARGE", `The body is larger than ${limits.bodyBytes} bytes.`);
  if (Number(request.headers["content-length"] ?? 0) > limits.bodyBytes) throw tooLarge();
  using _ = cutStalled(request, limits.bodyStallMs);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limits.bodyBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (SpacesError.isInstance(error)) throw error;
    throw new SpacesError("CANCELLED", "The body broke off.", { cause: error });
  }
  return Buffer.concat(chunks, size);
}

/**
 * The body as a stream of bytes, read as fast as it is taken. A piece is gone once the next one is
 * asked for.
 * @throws SpacesError `INVALID_INPUT` for another content type
 */
export function bytesOf(request: IncomingMessage, limits: ServerLimits): ReadableStream {
  if (mediaTypeOf(request) !== "application/octet-stream") {
    throw new SpacesError(
      "INVALID_INPUT",
      "The content type of the body is not application/octet-stream.",
      { suggestion: "Send the bytes as they are, with content-type: application/octet-stream." },
    );
  }
  const guard = cutStalled(request, limits.bodyStallMs);
  request.once("close", () => guard[Symbol.dispose]());
  // `Readable.toWeb` of Node 20 throws outside of all calls when the reader cancels.
  return ReadableStream.from(piecesOf(request));
}

async function* piecesOf(request: IncomingMessage): AsyncGenerator<Uint8Array, void> {
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    yield piece;
    release(piece);
  }
}

/**
 * Ends a request whose body stands still. Only waiting for the sender counts: while nobody reads,
 * the stream is paused and the sender cannot go on.
 */
function cutStalled(request: IncomingMessage, stallMs: number): Disposable {
  let last = request.socket.bytesRead;
  const timer = setInterval(() => {
    const now = request.socket.bytesRead;
    const waits = request.readableFlowing !== false || request.readableLength === 0;
    if (now === last && waits && !request.complete) {
      request.destroy(new SpacesError("CANCELLED", "The body stood still for too long."));
    }
    last = now;
  }, stallMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
