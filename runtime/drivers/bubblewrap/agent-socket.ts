/** Waits until the agent of a space that is being started takes connections. Used by the driver. */
import { setTimeout as delay } from "node:timers/promises";
import { connectSocket } from "../agent-socket.js";

const RETRY_MS = 1;

/**
 * Waits for the agent, as long as `goesOn` says so. Gives whether the agent has answered.
 * @param path of its socket on the host, of any length
 */
export async function waitForAgent(path: string, goesOn: () => boolean): Promise<boolean> {
  while (!(await answers(path))) {
    if (!goesOn()) return false;
    await delay(RETRY_MS);
  }
  return true;
}

async function answers(path: string): Promise<boolean> {
  try {
    (await connectSocket(path)).destroy();
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // Not there yet, or there but not listening yet.
    if (code === "ENOENT" || code === "ECONNREFUSED") return false;
    throw error;
  }
}
