/**
 * The globals `TextEncoder`, `TextDecoder`, `atob` and `btoa`. UTF-8 is written here; reading text
 * and base64 are done by the worker, exactly as Node does.
 */
import { type BytesLike, bytesOf, isBytes, toBinary } from "../binary.js";
import type { GroupHost } from "../globals.js";
import type { DOMExceptionClass } from "./exception.js";

/** Writes one code point as UTF-8; gives the place after it, or `at` where it does not fit. */
function writeCodePoint(code: number, bytes: Uint8Array, at: number): number {
  const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (at + size > bytes.length) return at;
  if (size === 1) {
    bytes[at] = code;
    return at + 1;
  }
  const lead = [0, 0, 0xc0, 0xe0, 0xf0][size] ?? 0;
  bytes[at] = lead | (code >> (6 * (size - 1)));
  for (let n = 1; n < size; n++) {
    bytes[at + n] = 0x80 | ((code >> (6 * (size - 1 - n))) & 0x3f);
  }
  return at + size;
}

function encodeInto(text: string, bytes: Uint8Array): { read: number; written: number } {
  let read = 0;
  let written = 0;
  while (read < text.length) {
    const code = text.codePointAt(read) ?? 0;
    const lone = code >= 0xd800 && code <= 0xdfff;
    const next = writeCodePoint(lone ? 0xfffd : code, bytes, written);
    if (next === written) break;
    written = next;
    read += code > 0xffff ? 2 : 1;
  }
  return { read, written };
}

class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(input: unknown = ""): Uint8Array {
    const text = String(input);
    const bytes = new Uint8Array(text.length * 3);
    return bytes.slice(0, encodeInto(text, bytes).written);
  }

  encodeInto(source: unknown, target: Uint8Array): { read: number; written: number } {
    if (!(target instanceof Uint8Array)) {
      throw new TypeError("encodeInto() requires a Uint8Array to write to.");
    }
    return encodeInto(String(source), target);
  }

  get [Symbol.toStringTag]() {
    return "TextEncoder";
  }
}

/** How many bytes at the end are the beginning of a UTF-8 character that has not fully arrived. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

export default function makeText({ native, use }: GroupHost) {
  class TextDecoder {
    readonly encoding: string;
    readonly fatal: boolean;
    readonly ignoreBOM: boolean;
    #waiting = "";
    #started = false;

    constructor(label: unknown = "utf-8", options: { fatal?: unknown; ignoreBOM?: unknown } = {}) {
      const found = native("text.encoding", { label: String(label) });
      if (typeof found !== "string") {
        throw new RangeError(`The encoding label "${String(label)}" is not supported.`);
      }
      this.encoding = found;
      this.fatal = Boolean(options.fatal);
      this.ignoreBOM = Boolean(options.ignoreBOM);
    }

    decode(input?: BytesLike, options: { stream?: boolean } = {}): string {
      if (input !== undefined && !isBytes(input)) {
        throw new TypeError("decode() requires an ArrayBuffer or a view on one.");
      }
      let bytes = this.#waiting + (input === undefined ? "" : toBinary(bytesOf(input)));
      this.#waiting = "";
      if (options.stream) {
        // Other encodings wait for the end: where their characters begin is not known here.
        const tail = bytes.slice(-3);
        const keep =
          this.encoding === "utf-8"
            ? unfinished(Uint8Array.from(tail, (letter) => letter.charCodeAt(0)))
            : bytes.length;
        this.#waiting = bytes.slice(bytes.length - keep);
        bytes = bytes.slice(0, bytes.length - keep);
        if (bytes === "") return "";
      }
      const answer = native("text.decode", {
        bytes,
        encoding: this.encoding,
        fatal: this.fatal,
        ignoreBOM: this.ignoreBOM || this.#started,
      });
      this.#started = Boolean(options.stream);
      if (typeof answer !== "string") {
        throw new TypeError(`The bytes are not valid ${this.encoding}.`);
      }
      return answer;
    }

    get [Symbol.toStringTag]() {
      return "TextDecoder";
    }
  }

  const base64 = (name: "atob" | "btoa", complaint: string) =>
    ({
      [name](...values: unknown[]): string {
        if (values.length === 0) throw new TypeError(`${name}() requires a string.`);
        const answer = native(`text.${name}`, { text: String(values[0]) });
        if (typeof answer === "string") return answer;
        const { DOMException } = use("exception") as { DOMException: DOMExceptionClass };
        throw new DOMException(complaint, "InvalidCharacterError");
      },
    })[name];

  return {
    TextEncoder,
    TextDecoder,
    atob: base64("atob", "The string is not correctly encoded base64."),
    btoa: base64("btoa", "The string has characters beyond one byte."),
  };
}
