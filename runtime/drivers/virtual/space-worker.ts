/**
 * The host side of one worker thread: starts it, sends it commands, and ends it when a command
 * will not end by itself. Used by the driver, which owns every worker it makes.
 */
import { Worker } from "node:worker_threads";
import { artifactUrl } from "../../artifacts.js";
import { SpacesError } from "../../contract/errors.js";
import { KILL_GRACE_MS, MAX_CONCURRENT_COMMANDS, WORKER_RESOURCE_LIMITS } from "./limits.js";
import { type EndMessage, type HostMessage, isWorkerMessage } from "./protocol.js";

/** A command as the worker takes it. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly workdir: string;
  readonly env: ReadonlyArray<readonly [string, string]>;
  readonly input: Uint8Array;
}

/** How a command ended. `error` is set where its outcome is unknown, or where it could not run. */
export interface CommandEnd {
  readonly exitCode: number;
  readonly killed: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly error?: SpacesError | undefined;
}

export interface RunningCommand {
  /** Never rejects. */
  readonly end: Promise<CommandEnd>;
  /** Ends the command. Resolves when nothing of it is left; safe to call twice. */
  kill(): Promise<void>;
}

interface Pending {
  readonly killFlag: Int32Array;
  readonly settle: (end: CommandEnd) => void;
}

const NOTHING = new Uint8Array();
const KILLED: CommandEnd = { exitCode: 137, killed: true, stdout: NOTHING, stderr: NOTHING };

function failure(error: SpacesError): CommandEnd {
  return { exitCode: 1, killed: false, stdout: NOTHING, stderr: NOTHING, error };
}

function endOf(message: EndMessage): CommandEnd {
  const { exitCode, killed, stdout, stderr, error } = message;
  if (killed) return { ...KILLED, stdout, stderr };
  return {
    exitCode,
    killed,
    stdout,
    stderr,
    ...(error === undefined ? {} : { error: SpacesError.deserialize(error) }),
  };
}

export class SpaceWorker {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #death: SpacesError | undefined;

  /** Starts a thread that does not hold the process open. It is bound to no space yet. */
  constructor() {
    this.#worker = new Worker(artifactUrl("virtual-worker.js"), {
      name: "spaces-virtual",
      argv: [],
      execArgv: [],
      env: {},
      // Kept from the host's own output, and not read: reading would hold the process open.
      stdout: true,
      stderr: true,
      resourceLimits: WORKER_RESOURCE_LIMITS,
    });
    this.#worker.on("message", (message: unknown) => this.#receive(message));
    this.#worker.on("messageerror", (error) => this.#fail("sent an unreadable message", error));
    this.#worker.on("error", (error) => this.#died(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail("ended unexpectedly", undefined);
        resolve();
      });
    });
    // Last, because a listener for messages takes a reference again.
    this.#worker.unref();
  }

  /** Whether the worker still takes commands. */
  get usable(): boolean {
    return this.#death === undefined;
  }

  /** How many commands run in it. */
  get load(): number {
    return this.#pending.size;
  }

  /**
   * Binds the worker to a space; to be called once, before the first command.
   *
   * @param workspace host directory of the workspace
   * @param mount where it appears inside
   */
  open(workspace: string, mount: string): void {
    this.#send({ type: "open", workspace, mount });
  }

  /**
   * Starts a command.
   *
   * @throws `LIMIT_EXCEEDED` when too many run already
   */
  run(command: Command): RunningCommand {
    if (this.#pending.size >= MAX_CONCURRENT_COMMANDS) {
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `${this.#pending.size} commands run in this space already; more cannot.`,
        { suggestion: "Wait until some of them have ended." },
      );
    }
    const id = ++this.#lastId;
    const killFlag = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const end = new Promise<CommandEnd>((settle) => {
      this.#pending.set(id, { killFlag, settle });
    });
    this.#worker.ref();
    this.#send({ type: "run", id, killFlag, ...command });
    let killing: Promise<void> | undefined;
    return {
      end,
      kill: () => {
        killing ??= this.#kill(id, killFlag, end);
        return killing;
      },
    };
  }

  /** Ends the thread. The commands in it end as killed, or with `reason`. */
  async terminate(reason?: SpacesError): Promise<void> {
    this.#death ??= new SpacesError("DRIVER_FAILED", "The worker of the space was ended.");
    await this.#worker.terminate();
    await this.#exited;
    this.#settleAll(reason === undefined ? KILLED : failure(reason));
  }

  async #kill(id: number, killFlag: Int32Array, end: Promise<CommandEnd>): Promise<void> {
    if (!this.#pending.has(id)) return;
    Atomics.store(killFlag, 0, 1);
    this.#send({ type: "kill", id });
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), KILL_GRACE_MS);
    });
    const first = await Promise.race([end, grace]);
    clearTimeout(timer);
    if (first !== "late") return;
    // The others cannot be told apart from it: they share its thread.
    await this.#stopForGood();
    this.#settle(id, KILLED);
    this.#settleAll(
      failure(
        new SpacesError(
          "DRIVER_FAILED",
          "The command was ended because another command of the space had to be killed by force.",
          { suggestion: "Run the command again; check first what it had done already." },
        ),
      ),
    );
  }

  async #stopForGood(): Promise<void> {
    this.#death ??= new SpacesError("DRIVER_FAILED", "The worker of the space was ended.");
    await this.#worker.terminate();
    await this.#exited;
  }

  #send(message: HostMessage): void {
    this.#worker.postMessage(message);
  }

  #receive(message: unknown): void {
    if (!isWorkerMessage(message)) {
      this.#fail("sent a message that is not one", undefined);
      void this.#worker.terminate();
    } else if (message.type === "end") {
      this.#settle(message.id, endOf(message));
    }
  }

  #settle(id: number, end: CommandEnd): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    // A worker that is being ended must hold the process until it has.
    if (this.#pending.size === 0 && this.#death === undefined) this.#worker.unref();
    pending.settle(end);
  }

  #settleAll(end: CommandEnd): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id, end);
  }

  #died(error: unknown): void {
    const outOfMemory =
      error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
    if (!outOfMemory) {
      this.#fail("failed", error);
      return;
    }
    this.#death ??= new SpacesError(
      "LIMIT_EXCEEDED",
      "The commands of the space used up the memory of its worker and were ended.",
      { suggestion: "Hold less data at once, or write it to files of the workspace." },
    );
    this.#settleAll(failure(this.#death));
  }

  /** The worker is lost, and with it what its commands had done. */
  #fail(what: string, cause: unknown): void {
    if (this.#death !== undefined) return;
    // The text of the cause may name paths of the host, and scripts read messages.
    this.#death = new SpacesError("DRIVER_FAILED", `The worker of the space ${what}.`, {
      suggestion: "Run the command again; check first what it had done already.",
      cause,
    });
    this.#settleAll(failure(this.#death));
  }
}
