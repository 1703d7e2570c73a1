/** Connects to the unix socket of a space's agent. Used by whoever waits for an agent or talks to it. */
import { once } from "node:events";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { connect, type Socket } from "node:net";

/** Opens a file as a mere place, without its contents; Node has no name for this flag. */
const O_PATH = 0o10000000;

/**
 * Connects through a handle of the socket, so that no symlink is followed, for the space may have
 * put one there, and the path may be longer than a socket's address can be.
 * @throws Error with `code` `ENOENT` or `ECONNREFUSED` where nobody listens
 */
export async function connectSocket(path: string): Promise<Socket> {
  await using place = await open(path, O_PATH | constants.O_NOFOLLOW);
  if (!(await place.stat()).isSocket()) {
    throw Object.assign(new Error(`${path} is no socket`), { code: "ECONNREFUSED" });
  }
  const socket = connect(`/proc/self/fd/${place.fd}`);
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
