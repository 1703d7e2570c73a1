/**
 * Base64, the form in which bytes of files cross to the host and back. Written here, for the sandbox
 * has no built-in that gives bytes.
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Bytes that become one piece of text; a multiple of 3. */
const PIECE = 12_288;

const codes = Array.from(DIGITS, (digit) => digit.charCodeAt(0));
const values = new Uint8Array(128);
for (const [value, code] of codes.entries()) values[code] = value;

/** Bytes → base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    const letters: number[] = [];
    const end = Math.min(start + PIECE, bytes.length);
    for (let at = start; at < end; at += 3) {
      const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
      letters.push(codes[group >> 18] ?? 0, codes[(group >> 12) & 63] ?? 0);
      letters.push(codes[(group >> 6) & 63] ?? 0, codes[group & 63] ?? 0);
    }
    text += String.fromCharCode(...letters);
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  return missing === 0 ? text : text.slice(0, -missing) + "=".repeat(missing);
}

/** Base64 with padding, as the host writes it → bytes. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let start = 0; start < text.length; start += 4) {
    const group =
      ((values[text.charCodeAt(start)] ?? 0) << 18) |
      ((values[text.charCodeAt(start + 1)] ?? 0) << 12) |
      ((values[text.charCodeAt(start + 2)] ?? 0) << 6) |
      (values[text.charCodeAt(start + 3)] ?? 0);
    // What lies beyond the end is padding: typed arrays ignore it.
    bytes[at++] = group >> 16;
    bytes[at++] = group >> 8;
    bytes[at++] = group;
  }
  return bytes;
}
