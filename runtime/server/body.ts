/**
 * Reads the bodies of requests: JSON whole and bounded, bytes as a stream. A body that stands still
 * for too long is given up; one that comes slowly but comes may take hours.
 */
import type { IncomingMessage } from "node:http";
import { SpacesError } from "../contract/errors.js";
import type { ServerLimits } from "./limits.js";
import { release } from "./memory-release.js";

/** Levels of arrays and objects; the contract's inputs have three. */
const DEEPEST = 64;

const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";

/** Whether a request says that it has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/**
 * Reads a JSON body.
 * @param hold told of each part that is held in memory
 * @returns its bytes, and what they mean; undefined where there are none
 * @throws SpacesError `INVALID_INPUT` for another content type and for text that is no JSON;
 *   `BODY_TOO_LARGE`; `CANCELLED` when it stands still or breaks off; what `hold` throws
 */
export async function readJson(
  request: IncomingMessage,
  limits: ServerLimits,
  hold: (bytes: number) => void,
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
  refuseEncoded(request);
  const bytes = await readWhole(request, limits, hold);
  if (bytes.length === 0) return { bytes, value: undefined };
  if (isTooDeep(bytes)) {
    throw new SpacesError("INVALID_INPUT", `The body is nested deeper than ${DEEPEST} levels.`);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { bytes, value: JSON.parse(text) };
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", "The body is not JSON.", { cause });
  }
}

function refuseEncoded({ headers }: IncomingMessage): void {
  if (headers["content-encoding"] === undefined) return;
  throw new SpacesError("INVALID_INPUT", "The body has a content encoding.", {
    suggestion: "Send it as it is, not compressed.",
  });
}

/** Whether brackets are nested deeper than any input is: parsing millions of them takes seconds. */
function isTooDeep(bytes: Buffer): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) {
      if (byte === 0x5c) i += 1;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > DEEPEST) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return false;
}

async function readWhole(
  request: IncomingMessage,
  limits: ServerLimits,
  hold: (bytes: number) => void,
): Promise<Buffer> {
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
      hold(chunk.length);
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
  refuseEncoded(request);
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
