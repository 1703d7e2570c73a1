/**
 * The way into a space whose guest agent listens on a unix socket of this host. The drivers that
 * run the agent share it.
 */
import { posix } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { GuestAgentProcess } from "../guest/guest-process.js";
import type { GuestSession } from "../guest/guest-session.js";
import { AgentLink } from "./agent-link.js";
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
} from "./driver.js";
import { Followers } from "./followers.js";

export interface AgentConnectionOptions {
  /** The environment that each request's is added to; empty when absent. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Asked for the error of what was under way when the agent hung up; `SPACE_NOT_RUNNING` when
   * absent, for an agent whose end is the end of its space.
   */
  readonly explainLoss?: (() => Promise<SpacesError>) | undefined;
}

/**
 * Connects to the agent of a running space.
 * @throws SpacesError `SPACE_NOT_RUNNING` when nobody listens there, `DRIVER_FAILED` when what
 *   listens is not the agent
 */
export async function connectAgent(
  endpoint: AgentEndpoint,
  space: SpaceSpec,
  options: AgentConnectionOptions = {},
): Promise<GuestConnection> {
  const open = () => AgentLink.open(endpoint, space, options.explainLoss);
  return new AgentConnection(space, options.env ?? {}, open, await open());
}

/**
 * Checks what no system call would: empty and ambiguous names.
 * @throws SpacesError `INVALID_INPUT`
 */
export function checkProgram({ argv, env }: Pick<SpawnRequest, "argv" | "env">): void {
  if (argv[0] === "") throw invalid("The program to run has an empty name.");
  for (const word of argv) {
    if (word.includes("\0")) throw invalid("An argument of the command contains a NUL character.");
  }
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name) || value.includes("\0")) {
      throw invalid(`The environment variable ${JSON.stringify(name)} cannot be set.`);
    }
  }
}

/** How long the output of a new process is held for its first follower. */
const UNFOLLOWED_MS = 2000;

class AgentConnection implements GuestConnection {
  readonly background: BackgroundProcesses;
  readonly #space: SpaceSpec;
  readonly #env: Readonly<Record<string, string>>;
  readonly #open: () => Promise<AgentLink>;
  #link: Promise<AgentLink>;
  #closed = false;
  readonly #followers = new Followers((id, from) => this.#attach(id, { ...from, input: false }));
  /** Processes that this connection has started and nobody has followed yet. */
  readonly #unfollowed = new Map<string, { guest: GuestAgentProcess; timer: NodeJS.Timeout }>();

  constructor(
    space: SpaceSpec,
    env: Readonly<Record<string, string>>,
    open: () => Promise<AgentLink>,
    link: AgentLink,
  ) {
    this.#space = space;
    this.#env = env;
    this.#open = open;
    this.#link = Promise.resolve(link);
    this.background = {
      start: (request) => this.#start(request),
      attach: (id, { input, ...from }) =>
        input ? this.#attach(id, { input, ...from }) : this.#followers.follow(id, from),
      list: () => this.#list(),
      signal: (id, signal) => this.#call((session) => session.signal(id, signal)),
      kill: (id) => this.#call((session) => session.kill(id)),
      resize: (id, { columns, rows }) => this.#call((session) => session.resize(id, columns, rows)),
      release: (id) => this.#call((session) => session.release(id)),
    };
  }

  async spawn(request: SpawnRequest): Promise<GuestProcess> {
    const { input } = request;
    return await this.#call(async (session, link) => {
      const guest = await session.spawn({
        ...this.#program(request),
        stdin: input === undefined ? "empty" : "pipe",
      });
      if (input !== undefined) guest.stdin.end(input);
      return guarded(guest, link);
    });
  }

  async #start(request: BackgroundRequest): Promise<void> {
    await this.#call(async (session) => {
      const guest = await session.spawn({
        ...this.#program(request),
        id: request.id,
        stdin: request.keepInput ? "pipe" : "empty",
        terminal: request.terminal,
        detached: true,
        held: true,
      });
      // Those who want its output attach, each with a session of their own. Until the first does,
      // this end keeps hold of it without reading, so that nothing of its output is overwritten.
      const timer = setTimeout(() => void this.#letGo(request.id), UNFOLLOWED_MS);
      timer.unref();
      this.#unfollowed.set(request.id, { guest, timer });
    });
  }

  /** Lets a process go on that waits for its first follower. */
  async #letGo(id: string): Promise<void> {
    const held = this.#unfollowed.get(id);
    if (held === undefined) return;
    this.#unfollowed.delete(id);
    clearTimeout(held.timer);
    // When the session has ended, so has its hold on the process.
    await held.guest.detach().catch(() => undefined);
  }

  async #attach(id: string, { stdout, stderr, input }: AttachOptions): Promise<AttachedProcess> {
    if (this.#closed) throw this.#closedError();
    // A session can follow a process once; a session of its own lets anyone follow at any time.
    const link = await this.#openAnother();
    try {
      const guest = await link.session.attach(id, { stdout, stderr, stdin: input });
      // One that only writes asks for no output.
      if (stdout < Number.MAX_SAFE_INTEGER) await this.#letGo(id);
      return {
        ...guarded(guest, link),
        stdin: guest.stdin,
        lost: guest.lost,
        async [Symbol.asyncDispose]() {
          // The answer proves that the agent has read all input: it ignores what is still on its way
          // once another session has taken the input over.
          if (input && link.session.open) await link.session.ping();
          await link.session.close();
        },
      };
    } catch (error) {
      await link.session.close();
      throw await link.explain(error);
    }
  }

  /** @throws SpacesError `LIMIT_EXCEEDED` when the agent hangs up on who comes, but lives */
  async #openAnother(): Promise<AgentLink> {
    try {
      return await this.#open();
    } catch (cause) {
      if (!SpacesError.isInstance(cause) || cause.code !== "DRIVER_FAILED") throw cause;
      await this.#call((session) => session.ping());
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `The space "${this.#space.name}" takes no more connections now.`,
        { cause, suggestion: "Let go of processes that are attached to, and try again." },
      );
    }
  }

  async #list(): Promise<readonly ProcessRecord[]> {
    const all = await this.#call((session) => session.list());
    return all.filter((process) => process.detached).map(recordOf);
  }

  #program({ argv, env, workdir = this.#space.workdir }: Omit<SpawnRequest, "input">) {
    const whole = { ...this.#env, ...env };
    checkProgram({ argv, env: whole });
    if (!posix.isAbsolute(workdir)) {
      throw invalid(`The working directory ${JSON.stringify(workdir)} is not an absolute path.`);
    }
    return { argv, env: whole, workdir };
  }

  async #call<T>(use: (session: GuestSession, link: AgentLink) => Promise<T>): Promise<T> {
    const link = await this.#live();
    try {
      return await use(link.session, link);
    } catch (error) {
      throw await link.explain(error);
    }
  }

  /** The session. One that has broken off says nothing of the agent: it is asked once more. */
  async #live(): Promise<AgentLink> {
    if (this.#closed) throw this.#closedError();
    const former = this.#link;
    const opened = await former.catch(() => undefined);
    if (opened?.session.open === true) return opened;
    // Of many calls at once only the first opens a session.
    if (this.#link === former) this.#link = this.#open();
    const link = await this.#link;
    if (!this.#closed) return link;
    await link.session.close();
    throw this.#closedError();
  }

  #closedError(): SpacesError {
    return new SpacesError(
      "DRIVER_FAILED",
      `The connection to space "${this.#space.name}" was closed.`,
      { suggestion: "Connect again." },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const link = await this.#link.catch(() => undefined);
    await link?.session.close();
  }
}

/** A process whose end, when its agent hangs up, is explained by the link. */
function guarded(guest: GuestAgentProcess, link: AgentLink): GuestProcess {
  const exit = guest.exit.catch(async (error: unknown) => {
    throw await link.explain(error);
  });
  // A rejection that the caller looks at later does not count as unhandled.
  exit.catch(() => undefined);
  return { stdout: guest.stdout, stderr: guest.stderr, exit, kill: () => kill(guest, link) };
}

async function kill(guest: GuestAgentProcess, link: AgentLink): Promise<void> {
  try {
    await guest.kill();
  } catch (cause) {
    const error = await link.explain(cause);
    // Nothing is left in a space that has ended.
    if (SpacesError.isInstance(error) && error.code === "SPACE_NOT_RUNNING") return;
    throw error;
  }
}

type ListedProcess = Awaited<ReturnType<GuestSession["list"]>>[number];

function recordOf(process: ListedProcess): ProcessRecord {
  const { id, pid, argv, startedAt, terminal, exitCode, signal } = process;
  const exit = process.state === "running" ? undefined : { exitCode: exitCode ?? 1, signal };
  return { id, pid, argv, startedAt, terminal, exit };
}

function invalid(message: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message);
}
