/**
 * Makes text that just-bash takes from bytes lossless. Used by the worker alone, which owns its
 * realm: bytes that are not UTF-8 become the lone surrogates U+DC80–U+DCFF on the way in and turn
 * back into the same bytes on the way out, so that binary data survives pipes, variables,
 * redirections and the final output.
 */

const NativeDecoder = globalThis.TextDecoder;
const NativeEncoder = globalThis.TextEncoder;
const ESCAPE_BASE = 0xdc00;
const strict = new NativeDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new NativeEncoder();

/** Length of the valid UTF-8 sequence that starts at `at`, or 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (let offset = 1; offset < length; offset++) {
    const next = bytes[at + offset] ?? 0;
    if ((next & 0xc0) !== 0x80) return 0;
  }
  const second = bytes[at + 1] ?? 0;
  const overlong = (lead === 0xe0 && second < 0xa0) || (lead === 0xf0 && second < 0x90);
  const surrogate = lead === 0xed && second >= 0xa0;
  const tooLarge = lead === 0xf4 && second >= 0x90;
  return overlong || surrogate || tooLarge ? 0 : length;
}

/** Decodes UTF-8; each byte outside of a valid sequence becomes a lone surrogate. */
export function decodeBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    // Not valid as a whole: the valid stretches are decoded one by one.
    const parts: string[] = [];
    let validFrom = 0;
    let at = 0;
    while (at < bytes.length) {
      const length = sequenceLength(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      if (at > validFrom) parts.push(strict.decode(bytes.subarray(validFrom, at)));
      parts.push(String.fromCharCode(ESCAPE_BASE + (bytes[at] ?? 0)));
      at += 1;
      validFrom = at;
    }
    if (at > validFrom) parts.push(strict.decode(bytes.subarray(validFrom)));
    return parts.join("");
  }
}

/** The inverse of `decodeBytes`; any other lone surrogate becomes U+FFFD. */
export function encodeBytes(text: string): Uint8Array<ArrayBuffer> {
  if (!/\p{Surrogate}/u.test(text)) return encoder.encode(text);
  const parts: Uint8Array[] = [];
  let length = 0;
  let from = 0;
  const push = (part: Uint8Array) => {
    parts.push(part);
    length += part.length;
  };
  for (const { 0: run, index } of text.matchAll(/[\udc80-\udcff]+/gu)) {
    push(encoder.encode(text.slice(from, index)));
    push(Uint8Array.from(run, (unit) => unit.charCodeAt(0) - ESCAPE_BASE));
    from = index + run.length;
  }
  push(encoder.encode(text.slice(from)));
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Text without lone surrogates, so that no argument can pass for escaped bytes. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

type DecodeInput = Parameters<InstanceType<typeof TextDecoder>["decode"]>[0];
type DecodeOptions = Parameters<InstanceType<typeof TextDecoder>["decode"]>[1];

function viewOf(input: DecodeInput): Uint8Array {
  if (input === undefined || input === null) return new Uint8Array();
  return ArrayBuffer.isView(input)
    ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
    : new Uint8Array(input);
}

/** Decoders used while `findGuessingDecoders` watches. */
let watched: Set<ByteDecoder> | undefined;

class ByteDecoder extends NativeDecoder {
  #guesses = false;

  /** From now on this decoder refuses, so that its caller keeps the text as it is. */
  refuse(): void {
    this.#guesses = true;
  }

  override decode(input?: DecodeInput, options?: DecodeOptions): string {
    if (!this.fatal || this.encoding !== "utf-8" || options?.stream === true) {
      return super.decode(input, options);
    }
    watched?.add(this);
    if (this.#guesses) throw new TypeError("Text is not decoded a second time");
    return decodeBytes(viewOf(input));
  }
}

class ByteEncoder extends NativeEncoder {
  override encode(text = ""): Uint8Array<ArrayBuffer> {
    return encodeBytes(text);
  }
}

/** Puts the lossless decoder and encoder in place; just-bash must be loaded afterwards. */
export function installByteText(): void {
  globalThis.TextDecoder = ByteDecoder;
  globalThis.TextEncoder = ByteEncoder;
}

/**
 * just-bash guesses once more, on finished text, whether it might be undecoded bytes; that turns
 * `Ã©` into `é`. While `print` has it print text only, the decoders in use are those that guess:
 * they refuse from then on.
 */
export async function silenceGuessingDecoders(print: () => Promise<unknown>): Promise<void> {
  const found = new Set<ByteDecoder>();
  watched = found;
  try {
    await print();
  } finally {
    watched = undefined;
  }
  for (const decoder of found) decoder.refuse();
}
