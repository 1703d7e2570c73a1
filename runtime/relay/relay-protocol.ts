/**
 * The bytes of the relay's commands and answers, as `protocol.md` has them. Used by the relay's
 * client.
 */
import { isIP } from "node:net";
import { SpacesError } from "../contract/errors.js";

const VERSION = 1;
const TOKEN_BYTES = 32;
const MAX_ID_BYTES = 128;
const MAX_PATH_BYTES = 4095;
const MAX_PORT = 65_535;
const LENGTH_BYTES = 4;
const REPLY_HEADER_BYTES = 9;
/** Longer than the list of all forwards that a relay can have. */
const MAX_REPLY_BYTES = 1024 * 1024;

export const Command = { ping: 1, open: 2, close: 3, closeSpace: 4, list: 5, shutdown: 6 } as const;
export const Status = { done: 0, invalid: 1, otherVersion: 2, failed: 3 } as const;
const EndpointKind = { guest: 1, host: 2 } as const;
const STATES = [undefined, "opening", "listening", "waiting"] as const;

/** A port on a space's own loopback. */
export interface GuestEndpoint {
  readonly kind: "guest";
  /** Absolute path of the unix socket of the space's agent. */
  readonly socket: string;
  /** The agent's token, 32 bytes. */
  readonly token: Uint8Array;
  readonly port: number;
}

/** A port of the host itself; 0 lets the host choose one. */
export interface HostEndpoint {
  readonly kind: "host";
  /** A loopback address: `127.0.0.1` or `::1`. */
  readonly address: string;
  readonly port: number;
}

export interface RelayForwardRequest {
  /** Names the forward; opening it again replaces or mends it. */
  readonly id: string;
  /** Where to listen. */
  readonly source: GuestEndpoint | HostEndpoint;
  /** To where each accepted connection leads. */
  readonly remote: GuestEndpoint;
}

/** What the relay knows of a forward. */
export interface RelayForward {
  readonly id: string;
  /** `waiting`: the space that listened is gone; opening the forward again brings it back. */
  readonly state: "opening" | "listening" | "waiting";
  /** Where it listens, or listened last. */
  readonly port: number;
  /** How many connections are open now. */
  readonly connections: number;
  /** How many were accepted so far. */
  readonly accepted: number;
  /** How many of these did not reach the remote. */
  readonly failed: number;
  /** Bytes that went from the source to the remote. */
  readonly bytesOut: number;
  /** Bytes that came back. */
  readonly bytesIn: number;
  /** The number of the last error (errno, or one of the relay's own), 0 if there was none. */
  readonly lastErrno: number;
}

export interface Reply {
  readonly status: number;
  readonly request: number;
  readonly payload: Buffer;
}

function number(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer;
}

function invalid(message: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message);
}

function text(value: string, what: string, most: number): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length === 0 || bytes.length > most || bytes.includes(0)) {
    throw invalid(
      `The ${what} ${JSON.stringify(value)} must have 1 to ${most} bytes, without NUL.`,
    );
  }
  return Buffer.concat([number(bytes.length, 2), bytes]);
}

/** The bytes of a forward's id. @throws SpacesError `INVALID_INPUT` */
export function encodeId(id: string): Buffer {
  return text(id, "id of a forward", MAX_ID_BYTES);
}

/** The bytes of the path of an agent's socket. @throws SpacesError `INVALID_INPUT` */
export function encodePath(path: string): Buffer {
  if (!path.startsWith("/")) {
    throw invalid(
      `The path of an agent's socket must be absolute, unlike ${JSON.stringify(path)}.`,
    );
  }
  return text(path, "path of an agent's socket", MAX_PATH_BYTES);
}

function encodePort(port: number, least: number): Buffer {
  if (!Number.isInteger(port) || port < least || port > MAX_PORT) {
    throw invalid(`The port ${port} must be a whole number from ${least} to ${MAX_PORT}.`);
  }
  return number(port, 2);
}

function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

function encodeEndpoint(endpoint: GuestEndpoint | HostEndpoint, leastPort: number): Buffer {
  if (endpoint.kind === "host") {
    if (!isLoopback(endpoint.address)) {
      throw invalid(`A forward listens on a loopback address only, not on ${endpoint.address}.`);
    }
    return Buffer.concat([
      number(EndpointKind.host, 1),
      text(endpoint.address, "address", MAX_ID_BYTES),
      encodePort(endpoint.port, leastPort),
    ]);
  }
  if (endpoint.token.length !== TOKEN_BYTES) {
    throw invalid(`A guest token has ${TOKEN_BYTES} bytes, not ${endpoint.token.length}.`);
  }
  return Buffer.concat([
    number(EndpointKind.guest, 1),
    encodePath(endpoint.socket),
    endpoint.token,
    encodePort(endpoint.port, leastPort),
  ]);
}

/**
 * The payload of an `open`.
 * @throws SpacesError `INVALID_INPUT` for a bad id, path, token, address or port
 */
export function encodeForward({ id, source, remote }: RelayForwardRequest): Buffer {
  return Buffer.concat([encodeId(id), encodeEndpoint(source, 0), encodeEndpoint(remote, 1)]);
}

/** A whole request. */
export function encodeRequest(command: number, request: number, payload: Buffer): Buffer {
  const body = Buffer.concat([number(VERSION, 1), number(command, 1), number(request, 4), payload]);
  return Buffer.concat([number(body.length, LENGTH_BYTES), body]);
}

/**
 * The answer at the start of these bytes, or undefined while it is not whole.
 * @throws SpacesError `DRIVER_FAILED` when this is not the answer of a relay
 */
export function decodeReply(bytes: Buffer): Reply | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const length = bytes.readUInt32LE(0);
  if (length < REPLY_HEADER_BYTES - LENGTH_BYTES || length > MAX_REPLY_BYTES) throw garbled();
  if (bytes.length < LENGTH_BYTES + length) return undefined;
  return {
    status: bytes.readUInt8(4),
    request: bytes.readUInt32LE(5),
    payload: bytes.subarray(REPLY_HEADER_BYTES, LENGTH_BYTES + length),
  };
}

/** The one number of most answers. @throws SpacesError `DRIVER_FAILED` */
export function decodeNumber(payload: Buffer): number {
  if (payload.length !== 4) throw garbled();
  return payload.readUInt32LE(0);
}

/** The answer to `list`. @throws SpacesError `DRIVER_FAILED` */
export function decodeForwards(payload: Buffer): RelayForward[] {
  try {
    return readForwards(payload);
  } catch (error) {
    if (error instanceof RangeError) throw garbled(error);
    throw error;
  }
}

function readForwards(payload: Buffer): RelayForward[] {
  let at = 0;
  const take = (bytes: number): Buffer => {
    at += bytes;
    if (at > payload.length) throw garbled();
    return payload.subarray(at - bytes, at);
  };
  const small = (bytes: number) => take(bytes).readUIntLE(0, bytes);
  const big = () => Number(take(8).readBigUInt64LE(0));
  const forwards: RelayForward[] = [];
  for (let left = small(4); left > 0; left--) {
    const id = take(small(2)).toString();
    const state = STATES[small(1)];
    if (state === undefined) throw garbled();
    forwards.push({
      ...{ id, state, port: small(2), connections: small(4), accepted: big(), failed: big() },
      ...{ bytesOut: big(), bytesIn: big(), lastErrno: small(4) },
    });
  }
  return forwards;
}

function garbled(cause?: unknown): SpacesError {
  return new SpacesError(
    "DRIVER_FAILED",
    "The relay of port forwards sent an answer like no other.",
    {
      suggestion: "End the relay and try again: another program may have taken its socket.",
      cause,
    },
  );
}
