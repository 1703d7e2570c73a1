/** Idempotency keys of requests: which of them count, and what they stand for. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SpacesError } from "../contract/errors.js";
import type { Operation } from "./api.js";

/**
 * The idempotency key of a request.
 * @returns undefined where there is none, or where the operation may be repeated anyway
 * @throws SpacesError `INVALID_INPUT` for one that is no key
 */
export function keyOf({ headers }: IncomingMessage, operation: Operation): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new SpacesError(
      "INVALID_INPUT",
      "The idempotency key is not 1 to 255 visible characters.",
    );
  }
  return operation.isKeyed ? key : undefined;
}

/** What a request asks for, as a hash. */
export function requestHash(request: IncomingMessage, body: Buffer): string {
  return createHash("sha256")
    .update(`${request.method} ${request.url}\0`)
    .update(body)
    .digest("base64");
}
