/** One command to the relay over its control socket, and the answer. Used by the relay's client. */
import { lstat, open } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { SpacesError } from "../contract/errors.js";
import { decodeReply, encodeRequest, type Reply } from "./relay-protocol.js";

/** What the address of a unix socket has room for. */
const MAX_ADDRESS_BYTES = 107;
/** Longer than anything that the relay waits for itself. */
const ANSWER_MS = 30_000;
const REQUEST = 1;
/** How it shows that no relay listens, or that it is just ending. */
const ABSENT = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "EAGAIN"]);

/** Sends one command. Gives undefined when no relay is there, or it ended before it answered. */
export async function exchange(
  path: string,
  command: number,
  payload: Buffer,
  signal?: AbortSignal,
): Promise<Reply | undefined> {
  if (!(await isTrusted(path))) return undefined;
  if (Buffer.byteLength(path) <= MAX_ADDRESS_BYTES) {
    return converse(createConnection(path), command, payload, signal);
  }
  const directory = await open(dirname(path), "r");
  try {
    const short = `/proc/self/fd/${directory.fd}/${basename(path)}`;
    return await converse(createConnection(short), command, payload, signal);
  } finally {
    await directory.close();
  }
}

/** Tokens go to relays of this user only. False when there is no socket. */
async function isTrusted(path: string): Promise<boolean> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw failed(path, error);
  });
  if (found === undefined) return false;
  const own = process.geteuid?.();
  if (found.isSocket() && (found.uid === own || found.uid === 0)) return true;
  throw new SpacesError("DRIVER_FAILED", `${path} is not a socket of this user's relay.`, {
    suggestion: "Remove the file, and see to it that nobody else can write to its directory.",
  });
}

function failed(path: string, cause: Error): SpacesError {
  const message = `The relay of port forwards at ${path} failed: ${cause.message}`;
  return new SpacesError("DRIVER_FAILED", message, { cause });
}

async function converse(
  socket: Socket,
  command: number,
  payload: Buffer,
  signal: AbortSignal | undefined,
): Promise<Reply | undefined> {
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), ANSWER_MS);
  const onAbort = () => socket.destroy();
  signal?.addEventListener("abort", onAbort);
  try {
    if (signal?.aborted !== true) socket.write(encodeRequest(command, REQUEST, payload));
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket) {
      bytes = Buffer.concat([bytes, chunk as Buffer]);
      const reply = decodeReply(bytes);
      if (reply !== undefined) return reply;
    }
    if (signal?.aborted === true) throw cancelled();
    return undefined;
  } catch (error) {
    if (SpacesError.isInstance(error)) throw error;
    if (signal?.aborted === true) throw cancelled();
    const cause = error instanceof Error ? error : new Error(String(error));
    if ("code" in cause && ABSENT.has(String(cause.code))) return undefined;
    throw failed("the control socket", cause);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

function cancelled(): SpacesError {
  return new SpacesError("CANCELLED", "The command to the relay of port forwards was cancelled.");
}
