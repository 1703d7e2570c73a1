/**
 * Frames of the guest protocol as bytes: building them, and taking a hostile byte stream apart. Used
 * by the session.
 */
import { SpacesError } from "../contract/errors.js";
import { LIMITS, NONCE_BYTES, PROTOCOL_VERSION } from "./protocol.js";

const HEADER_BYTES = 5;
const HELLO_MAGIC = Buffer.from("\x9cSPACES-GUEST-H\n", "latin1");
const ANSWER_MAGIC = Buffer.from("\x9dSPACES-GUEST-A\n", "latin1");
const ANSWER_BYTES = ANSWER_MAGIC.length + NONCE_BYTES + 16;

/** The error of a guest that breaks the protocol; it ends the session. */
export function protocolError(what: string): SpacesError {
  return new SpacesError("DRIVER_FAILED", `The space's agent broke its protocol: ${what}.`, {
    suggestion: "Restart the space; what runs in it may have tampered with the agent.",
  });
}

/** Builds one frame. Fields go in the order in which `protocol.md` lists them. */
export class FrameWriter {
  readonly #parts: Buffer[] = [];
  readonly #type: number;
  #length = 0;

  constructor(type: number) {
    this.#type = type;
  }

  u8(value: number): this {
    return this.bytes(Buffer.from([value]));
  }

  u16(value: number): this {
    const field = Buffer.allocUnsafe(2);
    field.writeUInt16LE(value);
    return this.bytes(field);
  }

  u32(value: number): this {
    const field = Buffer.allocUnsafe(4);
    field.writeUInt32LE(value);
    return this.bytes(field);
  }

  /** A file offset; exact up to 2^53. */
  u64(value: number): this {
    const field = Buffer.allocUnsafe(8);
    field.writeBigUInt64LE(BigInt(value));
    return this.bytes(field);
  }

  /** A string of UTF-8 with its length before it. */
  text(value: string): this {
    const encoded = Buffer.from(value, "utf8");
    return this.u32(encoded.length).bytes(encoded);
  }

  bytes(value: Buffer): this {
    this.#parts.push(value);
    this.#length += value.length;
    return this;
  }

  /** The length of the payload so far, in bytes. */
  get length(): number {
    return this.#length;
  }

  finish(): Buffer {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32LE(this.#length, 0);
    header.writeUInt8(this.#type, 4);
    return Buffer.concat([header, ...this.#parts], HEADER_BYTES + this.#length);
  }
}

/** Reads the fields of a guest's frame. Throws `DRIVER_FAILED` when the frame is too short. */
export class FrameReader {
  readonly #payload: Buffer;
  #at = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  u8(): number {
    return this.#field(1).readUInt8();
  }

  u16(): number {
    return this.#field(2).readUInt16LE();
  }

  u32(): number {
    return this.#field(4).readUInt32LE();
  }

  i32(): number {
    return this.#field(4).readInt32LE();
  }

  u64(): number {
    const value = this.#field(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolError(`the number ${value}`);
    return Number(value);
  }

  bytes(count: number): Buffer {
    return this.#field(count);
  }

  rest(): Buffer {
    return this.#field(this.#payload.length - this.#at);
  }

  #field(bytes: number): Buffer {
    const end = this.#at + bytes;
    if (end > this.#payload.length) throw protocolError("a frame that is too short");
    const field = this.#payload.subarray(this.#at, end);
    this.#at = end;
    return field;
  }
}

/**
 * Takes a stream of bytes apart into frames. It never holds more than one frame, and copies each
 * byte at most once, however small the pieces are in which it comes.
 */
export class FrameParser {
  readonly #onFrame: (type: number, payload: Buffer) => void;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #payload: Buffer | undefined;
  #payloadFilled = 0;

  constructor(onFrame: (type: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** Hands every complete frame on. Throws `DRIVER_FAILED` on a length over the limit. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#headerFilled < HEADER_BYTES ? this.#takeHeader(rest) : this.#takePayload(rest);
    }
  }

  #takeHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(
      this.#header,
      this.#headerFilled,
      0,
      HEADER_BYTES - this.#headerFilled,
    );
    this.#headerFilled += taken;
    if (this.#headerFilled < HEADER_BYTES) return chunk.subarray(taken);
    const length = this.#header.readUInt32LE(0);
    if (length > LIMITS.answerBytes) throw protocolError(`a frame of ${length} bytes`);
    if (length === 0) this.#emit(Buffer.alloc(0));
    return chunk.subarray(taken);
  }

  #takePayload(chunk: Buffer): Buffer {
    const length = this.#header.readUInt32LE(0);
    if (this.#payload === undefined && chunk.length >= length) {
      this.#emit(chunk.subarray(0, length));
      return chunk.subarray(length);
    }
    this.#payload ??= Buffer.allocUnsafe(length);
    const taken = chunk.copy(this.#payload, this.#payloadFilled);
    this.#payloadFilled += taken;
    if (this.#payloadFilled === length) this.#emit(this.#payload);
    return chunk.subarray(taken);
  }

  #emit(payload: Buffer): void {
    this.#headerFilled = 0;
    this.#payload = undefined;
    this.#payloadFilled = 0;
    this.#onFrame(this.#header.readUInt8(4), payload);
  }
}

/**
 * The bytes with which a host introduces itself.
 * @param leaseSeconds how long the host may be silent before the agent takes it for dead; 0: for ever
 */
export function encodeHello(token: Uint8Array, nonce: Buffer, leaseSeconds = 0): Buffer {
  const tail = Buffer.alloc(4);
  tail.writeUInt16LE(PROTOCOL_VERSION, 0);
  tail.writeUInt16LE(leaseSeconds, 2);
  return Buffer.concat([HELLO_MAGIC, token, nonce, tail]);
}

export interface HelloAnswer {
  readonly version: number;
  /** Whether descriptors can be passed over this stream. */
  readonly passesDescriptors: boolean;
  readonly agentVersion: number;
  /** The agent's pid as the space numbers it. */
  readonly pid: number;
}

/**
 * Looks for the answer to our HELLO. On a stream that is attached to again, what is left of an
 * earlier host's frames comes first.
 */
export class HelloFinder {
  readonly #wanted: Buffer;
  #held = Buffer.alloc(0);
  #seen = 0;

  constructor(nonce: Buffer) {
    this.#wanted = Buffer.concat([ANSWER_MAGIC, nonce]);
  }

  /**
   * The answer and the bytes behind it, or undefined while it has not come. Throws `DRIVER_FAILED`
   * when too much else came.
   */
  push(chunk: Buffer): { readonly answer: HelloAnswer; readonly rest: Buffer } | undefined {
    this.#seen += chunk.length;
    if (this.#seen > LIMITS.strayBytes) throw protocolError("no answer to HELLO in what it sent");
    const bytes = Buffer.concat([this.#held, chunk]);
    const at = bytes.indexOf(this.#wanted);
    if (at < 0 || bytes.length < at + ANSWER_BYTES) {
      // Copied, so that the end of a chunk does not keep the whole of it in memory.
      this.#held = Buffer.from(
        at < 0 ? bytes.subarray(1 - this.#wanted.length) : bytes.subarray(at),
      );
      return undefined;
    }
    const fields = new FrameReader(bytes.subarray(at + this.#wanted.length, at + ANSWER_BYTES));
    const version = fields.u16();
    const flags = fields.u16();
    const answer = {
      version,
      passesDescriptors: (flags & 1) !== 0,
      agentVersion: fields.u32(),
      pid: fields.u32(),
    };
    return { answer, rest: bytes.subarray(at + ANSWER_BYTES) };
  }
}
