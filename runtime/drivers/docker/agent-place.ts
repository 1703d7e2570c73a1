/**
 * The host's directory of a space's agent: its program, the directory in which the container sees
 * it put its socket, and the socket itself, moved to where no container reaches. Called by the
 * driver before and after it starts a container.
 */
import { chmod, lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { socketCodeOf } from "./errors.js";

const SOCKET_NAME = "agent.sock";

/** Where the container sees what, and how the agent is started there. */
export const AGENT_PATH = "/.spaces/guest";
export const AGENT_DIRECTORY = "/.spaces/run";
export const AGENT_COMMAND = [AGENT_PATH, "serve", `${AGENT_DIRECTORY}/${SOCKET_NAME}`];

export class AgentPlace {
  /** The agent's program; mounted read-only. */
  readonly program: string;
  /** Mounted writable: the agent makes its socket here. */
  readonly shared: string;
  /** The socket of the running agent, once `adopt` has found it. */
  readonly socket: string;
  readonly #directory: string;
  readonly #answered: string;

  /** @param stateDir the space's; only its owner may enter it */
  constructor(stateDir: string) {
    this.#directory = join(stateDir, "agent");
    this.program = join(this.#directory, "guest");
    this.shared = join(this.#directory, "run");
    this.socket = join(this.#directory, SOCKET_NAME);
    this.#answered = join(this.#directory, "answered");
  }

  /**
   * Makes everything ready for a start. Does no harm while the space runs or is being started.
   * @param program host path of the agent. Copied: the package may move, the container stays.
   */
  async prepare(program: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await mkdir(this.shared, { recursive: true });
    const wanted = await readFile(program);
    if (!wanted.equals(await readOrEmpty(this.program))) await placeProgram(this.program, wanted);
    // A socket that was left behind is the agent's to replace; anything else would be in its way.
    const left = join(this.shared, SOCKET_NAME);
    if ((await typeOf(left)) === "other") await rm(left, { recursive: true, force: true });
    // The container's user may be anyone's; on the host only the directory above can be entered.
    await chmod(this.shared, 0o733);
  }

  /**
   * Takes a socket that the agent has made out of the container's sight, so that nothing in the
   * space can replace it or even connect to it. Nothing runs there before the first connection.
   */
  async adopt(): Promise<void> {
    const made = join(this.shared, SOCKET_NAME);
    if ((await typeOf(made)) !== "socket") return;
    try {
      await rename(made, this.socket);
    } catch (error) {
      // Another process of the installation was faster.
      if (socketCodeOf(error) === "ENOENT") return;
      throw error;
    }
    // Looked at again where it cannot change any more: a link would lead anywhere.
    if ((await typeOf(this.socket)) === "other") await rm(this.socket, { force: true });
  }

  /** Closes the shared directory to other users of the container, once its agent has answered. */
  async seal(): Promise<void> {
    await chmod(this.shared, 0o700);
  }

  /** Whether the agent of this container has ever answered; only then can anything have run in it. */
  async hasAnswered(containerId: string): Promise<boolean> {
    return (await readOrEmpty(this.#answered)).toString() === containerId;
  }

  async noteAnswer(containerId: string): Promise<void> {
    if (!(await this.hasAnswered(containerId))) await writeFile(this.#answered, containerId);
  }
}

/**
 * Writes a program that any user of a container may run. Renamed into place: what runs cannot be
 * written to, and a reader sees all or nothing.
 */
export async function placeProgram(path: string, program: Uint8Array): Promise<void> {
  const fresh = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await writeFile(fresh, program);
  await chmod(fresh, 0o755);
  await rename(fresh, path);
}

async function typeOf(path: string): Promise<"socket" | "other" | "none"> {
  try {
    return (await lstat(path)).isSocket() ? "socket" : "other";
  } catch (error) {
    if (socketCodeOf(error) === "ENOENT") return "none";
    throw error;
  }
}

async function readOrEmpty(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (socketCodeOf(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
