/**
 * A process in a container, started by `docker exec`: its output, its end, and its killing. Made by
 * the connection.
 */
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { GuestProcess, ProcessExit } from "../driver.js";
import { Demuxer } from "./demux.js";
import { causeStatus, reasonOf } from "./errors.js";
import { type ExecState, execStarted, execState, type Target } from "./exec.js";
import { killTree } from "./kill.js";
import { processExit, refusalError } from "./outcome.js";

/**
 * The first look for an end that the stream does not show, because a background child holds it.
 * Most commands are over before, and cost no look at all.
 */
const FIRST_LOOK_MS = 100;
const SLOWEST_LOOK_MS = 1000;
/** Output is complete when the daemon was silent for so long after the process has ended. */
const QUIET_MS = 100;
/** A child that goes on writing is heard for so long after the process has ended. */
const DRAIN_MS = 300;
const DRAIN_TICK_MS = 20;

interface Command {
  readonly target: Target;
  readonly execId: string;
  readonly socket: Duplex;
  /** The value of the environment variable by which the process's descendants are found. */
  readonly marker: string;
  readonly program: string;
  readonly workdir: string;
}

/** See `GuestProcess`. */
export class DockerProcess implements GuestProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exit: Promise<ProcessExit>;
  readonly #command: Command;
  readonly #demuxer: Demuxer;
  /** Resolves when nothing more comes from the daemon. */
  readonly #sourceEnded: Promise<void>;
  /** Resolves when all that came is delivered or withheld. */
  readonly #demuxed: Promise<void>;
  #ended = false;
  #damage: unknown;
  #started: Promise<ExecState> | undefined;
  #killing: Promise<void> | undefined;
  #abandoned: SpacesError | undefined;

  constructor(command: Command) {
    this.#command = command;
    const { socket } = command;
    this.#demuxer = new Demuxer(async () => (await this.#start()).phase !== "refused");
    this.stdout = this.#demuxer.stdout;
    this.stderr = this.#demuxer.stderr;
    this.#sourceEnded = new Promise((resolve) => {
      const end = () => {
        this.#ended = true;
        resolve();
      };
      socket.once("end", end);
      socket.once("close", () => {
        end();
        // A socket that breaks off has no end event: what came so far is all.
        if (!this.#demuxer.writableEnded) this.#demuxer.end();
      });
      // A broken socket says nothing of the process: the daemon is asked for its fate.
      socket.on("error", end);
      this.#demuxer.on("error", (error) => {
        this.#damage = error;
        socket.destroy();
        this.#demuxer.close();
        end();
      });
    });
    this.#demuxed = new Promise((resolve) => this.#demuxer.once("close", resolve));
    socket.pipe(this.#demuxer);
    this.exit = this.#awaitExit();
    // Also keeps a rejection that the caller looks at later from counting as unhandled.
    this.exit.then(
      () => this.#drain(),
      () => this.#drain(),
    );
  }

  kill(): Promise<void> {
    this.#killing ??= this.#killAll().catch((error: unknown) => {
      this.#killing = undefined;
      throw error;
    });
    return this.#killing;
  }

  /** Lets go of a process that goes on running; its `exit` rejects with the reason. */
  abandon(reason: SpacesError): void {
    this.#abandoned = reason;
    this.#command.socket.destroy();
    this.#demuxer.close();
  }

  #start(): Promise<ExecState> {
    this.#started ??= execStarted(this.#command.target, this.#command.execId);
    return this.#started;
  }

  async #awaitExit(): Promise<ProcessExit> {
    const { target, program, workdir } = this.#command;
    const state = await this.#awaitEnd();
    if (this.#damage !== undefined) throw this.#damage;
    if (state.phase !== "ended") {
      await Promise.race([this.#demuxed, delay(SLOWEST_LOOK_MS)]);
      await this.#requireRunning();
      const reason = this.#demuxer.withheld;
      throw refusalError({ spaceName: target.spaceName, program, workdir, reason });
    }
    // Killed, and not by us: perhaps together with the whole container.
    if (state.exitCode === 137 && this.#killing === undefined) await this.#requireRunningOn();
    return processExit(state.exitCode);
  }

  /** Waits for the end of the process itself, by the stream's end or else by looking now and then. */
  async #awaitEnd(): Promise<ExecState> {
    let pause = FIRST_LOOK_MS;
    let looksAfterEnd = 0;
    for (;;) {
      if (looksAfterEnd === 0) {
        const timer = new AbortController();
        const rest = delay(pause, undefined, { signal: timer.signal }).catch(() => undefined);
        await Promise.race([this.#sourceEnded, rest]);
        timer.abort();
      } else {
        await delay(pause);
      }
      if (this.#abandoned !== undefined) throw this.#abandoned;
      const state = await this.#look();
      if (state.phase === "ended" || state.phase === "refused") return state;
      if (this.#damage !== undefined) return state;
      if (!this.#ended) {
        pause = Math.min(pause * 1.5, SLOWEST_LOOK_MS);
        continue;
      }
      // The stream is over and the process is not: it closed its output, or the daemon lost it.
      looksAfterEnd += 1;
      if (state.phase === "pending" && looksAfterEnd > 10) return state;
      pause = looksAfterEnd === 1 ? 5 : Math.min(pause * 1.5, SLOWEST_LOOK_MS);
    }
  }

  async #look(): Promise<ExecState> {
    try {
      return await execState(this.#command.target, this.#command.execId);
    } catch (error) {
      if (causeStatus(error) !== 404) throw error;
      // The daemon forgets an exec together with its container, or by a restart.
      await this.#requireRunning();
      throw new SpacesError(
        "DRIVER_FAILED",
        `Docker has lost the command "${this.#command.program}" in space "${this.#command.target.spaceName}"; how it ended is unknown.`,
        { cause: error, details: { reason: reasonOf(error) } },
      );
    }
  }

  /** @throws SpacesError `SPACE_NOT_RUNNING` when the container has ended or is gone. */
  async #requireRunning(): Promise<void> {
    const { target, program } = this.#command;
    if (await isRunning(target)) return;
    throw new SpacesError(
      "SPACE_NOT_RUNNING",
      `The space "${target.spaceName}" stopped while "${program}" was running in it.`,
    );
  }

  /** The same, a little later: the processes of a container die some 30 ms before it counts as dead. */
  async #requireRunningOn(): Promise<void> {
    for (const pause of [0, 30, 60, 120]) {
      await delay(pause);
      await this.#requireRunning();
    }
  }

  async #killAll(): Promise<void> {
    const { target, marker, socket } = this.#command;
    // A program that is about to start would be missed, and would then run on.
    const state = await this.#start();
    if (state.phase === "refused") return;
    await killTree({ target, marker });
    await this.exit.catch(() => undefined);
    await this.#drain();
    socket.destroy();
  }

  /**
   * Ends both outputs once all that the process wrote is delivered. Time in which the reader is
   * slow does not count: then there may be more to come from the daemon.
   */
  async #drain(): Promise<void> {
    let total = 0;
    let quiet = 0;
    let seen = this.#demuxer.received;
    while (!this.#ended && total < DRAIN_MS && quiet < QUIET_MS) {
      const { blocked } = this.#demuxer;
      if (blocked !== undefined) {
        await blocked;
        continue;
      }
      const timer = new AbortController();
      const tick = delay(DRAIN_TICK_MS, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([this.#sourceEnded, tick]);
      timer.abort();
      // One turn of the loop: a busy process fires the timer before it reads what has long arrived.
      await turn();
      total += DRAIN_TICK_MS;
      quiet = seen === this.#demuxer.received ? quiet + DRAIN_TICK_MS : 0;
      seen = this.#demuxer.received;
    }
    if (this.#ended) return;
    this.#command.socket.destroy();
    this.#demuxer.close();
  }
}

async function isRunning(target: Target): Promise<boolean> {
  try {
    const found = await target.engine.call(
      `inspect space "${target.spaceName}"`,
      (docker, abortSignal) => docker.getContainer(target.containerId).inspect({ abortSignal }),
    );
    return found.State.Running;
  } catch (error) {
    if (causeStatus(error) === 404) return false;
    throw error;
  }
}
