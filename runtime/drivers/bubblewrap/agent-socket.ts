/** Waits until the agent of a space that is being started takes connections. Used by the driver. */
import { once } from "node:events";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Opens a file as a mere place, without its contents; Node has no name for this flag. */
const O_PATH = 0o10000000;
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
    // Through a handle: no symlink is followed, and the path may be longer than an address.
    await using place = await open(path, O_PATH | constants.O_NOFOLLOW);
    if (!(await place.stat()).isSocket()) return false;
    const socket = connect(`/proc/self/fd/${place.fd}`);
    try {
      await once(socket, "connect");
      return true;
    } finally {
      socket.destroy();
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // Not there yet, or there but not listening yet.
    if (code === "ENOENT" || code === "ECONNREFUSED") return false;
    throw error;
  }
}
