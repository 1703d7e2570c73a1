/**
 * Bytes as strings of one character a byte, the form in which they pass to the worker's functions
 * and back. Used by the lazily loaded groups.
 */

const PIECE = 8192;

/** Anything whose bytes can be read. */
export type BytesLike = ArrayBuffer | ArrayBufferView;

/** A view on the bytes, without a copy. */
export function bytesOf(source: BytesLike): Uint8Array {
  return source instanceof ArrayBuffer
    ? new Uint8Array(source)
    : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
}

/** Is this an ArrayBuffer or a view on one? */
export function isBytes(value: unknown): value is BytesLike {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

/** Bytes → a string of characters 0 to 255. */
export function toBinary(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return text;
}

/** A string of characters 0 to 255 → bytes. */
export function fromBinary(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
