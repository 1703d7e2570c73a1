/**
 * Lets one process at a time change a space. The lock is a socket in the kernel's abstract
 * namespace: it goes with the process that holds it, however that ends. Used by the driver.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";

/** Longer than any start or stop takes. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 20;

/**
 * Does `work` while no other process does work under the same key; waits for its turn.
 * @throws SpacesError `CONFLICT` when the turn does not come within a minute, `CANCELLED`
 */
export async function exclusively<T>(
  key: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const address = `\0spaces-${createHash("sha256").update(key).digest("hex").slice(0, 40)}`;
  const deadline = Date.now() + PATIENCE_MS;
  let lock = await take(address);
  while (lock === undefined) {
    if (signal?.aborted === true) throw new SpacesError("CANCELLED");
    if (Date.now() > deadline) {
      throw new SpacesError("CONFLICT", "Another process has been busy with this space too long.");
    }
    await untilReleased(address, signal);
    lock = await take(address);
  }
  try {
    if (signal?.aborted === true) throw new SpacesError("CANCELLED");
    return await work();
  } finally {
    await lock();
  }
}

/** Takes the lock and gives what releases it; undefined while somebody else has it. */
async function take(address: string): Promise<(() => Promise<void>) | undefined> {
  const waiting = new Set<Socket>();
  const server: Server = createServer((socket) => {
    waiting.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => waiting.delete(socket));
    socket.resume();
  });
  try {
    server.listen(address);
    await once(server, "listening");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return undefined;
    throw new SpacesError("DRIVER_FAILED", "The space cannot be locked.", { cause: error });
  }
  return async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of waiting) socket.destroy();
    await closed;
  };
}

/** The holder lets go of its connections when it releases the lock, or ends. */
async function untilReleased(address: string, signal: AbortSignal | undefined): Promise<void> {
  const socket = connect(address);
  socket.setTimeout(1000, () => socket.destroy());
  const stop = () => socket.destroy();
  signal?.addEventListener("abort", stop);
  const refused = await new Promise<boolean>((resolve) => {
    let failed = false;
    socket.resume();
    socket.on("error", () => {
      failed = true;
    });
    socket.on("close", () => resolve(failed));
  });
  signal?.removeEventListener("abort", stop);
  // It was released in between, or its holder takes nobody in: look again, but not in a hurry.
  if (refused) await delay(RETRY_MS);
}
