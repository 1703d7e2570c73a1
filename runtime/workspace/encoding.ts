/** Content as it crosses in JSON: text, or base64. Strict, so that no byte is lost in silence. */
import { SpacesError } from "../contract/errors.js";

export type Encoding = "utf8" | "base64";

/** The bytes of a content. @throws SpacesError `INVALID_INPUT` for what has no exact bytes */
export function bytesOf(content: string, encoding: Encoding): Buffer {
  if (encoding === "utf8") {
    if (!/\p{Surrogate}/u.test(content)) return Buffer.from(content, "utf8");
    throw new SpacesError("INVALID_INPUT", "The content has half of a surrogate pair.", {
      suggestion: "Write bytes that are no text as base64.",
    });
  }
  const bytes = Buffer.from(content, "base64");
  if (bytes.toString("base64") === content) return bytes;
  throw new SpacesError("INVALID_INPUT", "The content is not base64.");
}

/**
 * The content that stands for bytes.
 * @param path for the message
 * @throws SpacesError `INVALID_INPUT` for bytes that are no UTF-8 text
 */
export function textOfBytes(bytes: Buffer, encoding: Encoding, path: string): string {
  if (encoding === "base64") return bytes.toString("base64");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", `${path}: These bytes are not UTF-8 text.`, {
      cause,
      suggestion: "Read it as base64.",
    });
  }
}
