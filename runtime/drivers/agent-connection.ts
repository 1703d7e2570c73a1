/**
 * The way into a space whose guest agent listens on a unix socket of this host. The drivers that
 * run the agent share it.
 */
import { once } from "node:events";
import { open } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { GuestAgentProcess } from "../guest/guest-process.js";
import { GuestSession } from "../guest/guest-session.js";
import type {
  AgentEndpoint,
  AttachedProcess,
  AttachOptions,
  BackgroundProcesses,
  BackgroundRequest,
  GuestConnection,
  GuestProcess,
  ProcessRecord,
  SpaceSpec,
  SpawnRequest,
  TerminalSize,
} from "./driver.js";

/** Longest path that the address of a unix socket can hold. */
const MAX_SOCKET_PATH = 107;

/**
 * Connects to the agent of a running space.
 * @throws SpacesError `SPACE_NOT_RUNNING` when nobody listens there, `DRIVER_FAILED` when what
 *   listens is not the agent
 */
export async function connectAgent(
  endpoint: AgentEndpoint,
  space: SpaceSpec,
): Promise<GuestConnection> {
  return new AgentConnection(endpoint, space, await openSession(endpoint, space));
}

async function openSession(endpoint: AgentEndpoint, space: SpaceSpec): Promise<GuestSession> {
  const stream = await dial(endpoint.socket, space);
  return await GuestSession.open(stream, { token: Buffer.from(endpoint.token, "hex") });
}

async function dial(path: string, space: SpaceSpec): Promise<Socket> {
  // A longer path is reached through a handle of its directory.
  const directory = path.length > MAX_SOCKET_PATH ? await open(dirname(path)) : undefined;
  const socket = connect(
    directory === undefined ? path : `/proc/self/fd/${directory.fd}/${basename(path)}`,
  );
  try {
    await once(socket, "connect");
    return socket;
  } catch (cause) {
    socket.destroy();
    throw new SpacesError("SPACE_NOT_RUNNING", `The agent of "${space.name}" does not answer.`, {
      cause,
      suggestion: "Start the space again.",
    });
  } finally {
    await directory?.close();
  }
}

class AgentConnection implements GuestConnection {
  readonly background: BackgroundProcesses;
  readonly #endpoint: AgentEndpoint;
  readonly #space: SpaceSpec;
  readonly #session: GuestSession;

  constructor(endpoint: AgentEndpoint, space: SpaceSpec, session: GuestSession) {
    this.#endpoint = endpoint;
    this.#space = space;
    this.#session = session;
    this.background = {
      start: (request) => this.#start(request),
      attach: (id, options) => this.#attach(id, options),
      list: async () => (await this.#live().list()).filter(isBackground).map(recordOf),
      signal: (id, signal) => this.#live().signal(id, signal),
      kill: (id) => this.#live().kill(id),
      resize: (id, size) => this.#resize(id, size),
      release: (id) => this.#live().release(id),
    };
  }

  async spawn(request: SpawnRequest): Promise<GuestProcess> {
    const guest = await this.#live().spawn({
      argv: request.argv,
      env: request.env,
      workdir: request.workdir ?? this.#space.workdir,
      stdin: request.input === undefined ? "empty" : "pipe",
    });
    if (request.input !== undefined) guest.stdin.end(request.input);
    return guest;
  }

  async #start(request: BackgroundRequest): Promise<void> {
    const guest = await this.#live().spawn({
      id: request.id,
      argv: request.argv,
      env: request.env,
      workdir: request.workdir ?? this.#space.workdir,
      stdin: request.keepInput ? "pipe" : "empty",
      terminal: request.terminal,
      detached: true,
    });
    // Nobody reads here: those who want its output attach, each with a session of their own.
    await guest.detach();
  }

  async #attach(id: string, { stdout, stderr, input }: AttachOptions): Promise<AttachedProcess> {
    // A session can follow a process once; a session of its own lets anyone follow at any time.
    const session = await openSession(this.#endpoint, this.#space);
    try {
      const guest = await session.attach(id, { stdout, stderr, stdin: input });
      return attached(guest, session);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async #resize(id: string, size: TerminalSize): Promise<void> {
    await this.#live().resize(id, size.columns, size.rows);
  }

  /** The session; one that has ended means that the space has. */
  #live(): GuestSession {
    if (this.#session.open) return this.#session;
    throw new SpacesError("SPACE_NOT_RUNNING", `The agent of "${this.#space.name}" has ended.`, {
      suggestion: "Start the space again.",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close();
  }
}

type ListedProcess = Awaited<ReturnType<GuestSession["list"]>>[number];

function isBackground(process: ListedProcess): boolean {
  return process.detached;
}

function recordOf(process: ListedProcess): ProcessRecord {
  const { id, pid, argv, startedAt, terminal, exitCode, signal } = process;
  const exit = process.state === "running" ? undefined : { exitCode: exitCode ?? 1, signal };
  return { id, pid, argv, startedAt, terminal, exit };
}

function attached(guest: GuestAgentProcess, session: GuestSession): AttachedProcess {
  return {
    stdout: guest.stdout,
    stderr: guest.stderr,
    stdin: guest.stdin,
    exit: guest.exit,
    lost: guest.lost,
    kill: () => guest.kill(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}
