/** The processes of a space, as programs reach them: `space.process`. */

import { SpacesError } from "../contract/errors.js";
import type { CommandResult } from "../contract/processes.js";
import { type CallOptions, type Connection, isTimeUp, limited } from "./connection.js";
import { sdkError } from "./errors.js";
import { Process, type SignalName } from "./process.js";
import type { ProcessOutput } from "./process-output.js";

export interface CommandOptions {
  /**
   * With `args`, even empty ones, the command is a program that is executed directly; without, it is
   * a command line for the space's shell.
   */
  readonly args?: readonly string[] | undefined;
  /** Working directory; relative paths start at the space's. */
  readonly cwd?: string | undefined;
  /** Environment variables beside the space's own. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface ExecOptions extends CommandOptions {
  /** Milliseconds after which the command is killed with all it started; 30 s when absent. */
  readonly timeoutMs?: number | undefined;
  /** Text for standard input. */
  readonly input?: string | undefined;
  /** Kills the command; the call ends with `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface RunCommandOptions extends ExecOptions {
  /** Throws `COMMAND_FAILED` for another exit code than 0. */
  readonly check?: boolean | undefined;
}

export interface StartOptions extends CommandOptions, CallOptions {
  /** Keeps standard input open for `write`. */
  readonly input?: boolean | undefined;
  /** Runs it in a terminal of this size; all of its output is stdout then. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
}

export interface StreamOptions extends CommandOptions {
  /** Milliseconds after which the command is killed; none when absent. */
  readonly timeoutMs?: number | undefined;
  /** Text for standard input. */
  readonly input?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface KillOptions {
  /** The name of a signal. */
  readonly signal?: SignalName | undefined;
  /** Milliseconds that the call may take; the client's when absent. */
  readonly timeoutMs?: number | undefined;
}

export class SpaceProcesses {
  readonly #connection: Connection;
  readonly #space: string;

  constructor(connection: Connection, space: string) {
    this.#connection = connection;
    this.#space = space;
  }

  /**
   * Runs a command to its end and collects its output. Another exit code than 0 is a result like
   * any other, unless `check` says otherwise.
   * @throws SpacesError `COMMAND_TIMEOUT` with what there was of the result, `COMMAND_FAILED` with
   *   `check`, `COMMAND_NOT_FOUND`, `SPACE_NOT_RUNNING`, `CANCELLED`
   */
  async run(command: string, options: RunCommandOptions = {}): Promise<CommandResult> {
    const { check = false, ...rest } = options;
    const result = await this.exec(command, rest);
    if (result.timedOut) {
      throw sdkError("COMMAND_TIMEOUT", `"${shown(command)}" did not end in time.`, {
        details: { ...result },
      });
    }
    if (check && result.exitCode !== 0) {
      throw sdkError("COMMAND_FAILED", `"${shown(command)}" ended with ${result.exitCode}.`, {
        details: { ...result },
      });
    }
    return result;
  }

  /**
   * Runs a command to its end and tells how it ended, whatever that was: also by a time-out.
   * @throws SpacesError `COMMAND_NOT_FOUND`, `SPACE_NOT_RUNNING`, `CANCELLED`
   */
  async exec(command: string, options: ExecOptions = {}): Promise<CommandResult> {
    const { signal, timeoutMs, input, ...rest } = options;
    const request = {
      ...requestOf(this.#space, command, rest),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(input === undefined ? {} : { input }),
    };
    return await this.#connection.callUnbounded(
      (client, call) => client.processes.run(request, call),
      signal,
    );
  }

  /**
   * Starts a process that lives on by itself, also when this program ends.
   * @throws SpacesError `SPACE_NOT_RUNNING`, `COMMAND_NOT_FOUND`; `UNSUPPORTED` where processes
   *   cannot outlive their caller, as in virtual spaces
   */
  async start(command: string, options: StartOptions = {}): Promise<Process> {
    const { signal, timeoutMs, input = false, terminal, ...rest } = options;
    const request = { ...requestOf(this.#space, command, rest), input, terminal };
    const started = await this.#connection.call(
      (client, call) => client.processes.start(request, call),
      { signal, timeoutMs },
    );
    return new Process(this.#connection, this.#space, started);
  }

  /**
   * Runs a command and gives its output as it comes, and at last its exit. Leaving the loop early
   * kills the command.
   * @throws SpacesError `COMMAND_TIMEOUT`, `CANCELLED`, and what `start` throws
   */
  async *stream(command: string, options: StreamOptions = {}): AsyncGenerator<ProcessOutput, void> {
    const { signal, timeoutMs, input, ...rest } = options;
    const limit = limited(undefined, timeoutMs);
    const process = await this.start(command, { ...rest, input: input !== undefined, signal });
    let ended = false;
    try {
      // Who does not read all of its input has that right; who does reads it beside its output.
      if (input !== undefined) feed(process, input).catch(() => undefined);
      for await (const event of process.output({ signal: limited(signal, timeoutMs) })) {
        ended ||= event.type === "exit";
        yield event;
      }
    } catch (error) {
      if (isTimeUp(limit) && signal?.aborted !== true) {
        throw sdkError("COMMAND_TIMEOUT", `"${shown(command)}" did not end in time.`, {
          cause: error,
        });
      }
      throw error;
    } finally {
      await discard(process, ended);
    }
  }

  /** The processes that were started, also ended ones that the space still keeps. */
  async list(options: CallOptions = {}): Promise<Process[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.processes.list({ space: this.#space }, call),
      options,
    );
    return items.map((item) => new Process(this.#connection, this.#space, item));
  }

  /** @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING` */
  async get(id: string, options: CallOptions = {}): Promise<Process> {
    const found = await this.#connection.call(
      (client, call) => client.processes.get({ space: this.#space, process: id }, call),
      options,
    );
    return new Process(this.#connection, this.#space, found);
  }

  /**
   * Ends a process.
   * @param id of a process that was started
   * @param options the `signal` to send to its group, such as `SIGTERM`; without one it is killed
   *   with everything it started
   * @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  async kill(id: string, options: KillOptions = {}): Promise<void> {
    const { signal, timeoutMs } = options;
    const target = { space: this.#space, process: id };
    await this.#connection.call(
      (client, call) =>
        signal === undefined
          ? client.processes.kill(target, call)
          : client.processes.signal({ ...target, signal }, call),
      { timeoutMs },
    );
  }
}

const GONE: ReadonlySet<string> = new Set([
  "PROCESS_NOT_FOUND",
  "SPACE_NOT_RUNNING",
  "SPACE_NOT_FOUND",
  "SPACE_EXPIRED",
]);

async function feed(process: Process, input: string): Promise<void> {
  await process.write(input);
  await process.closeInput();
}

/** Kills a process that has not ended, and has the space forget it. */
export async function discard(process: Process, ended: boolean): Promise<void> {
  try {
    if (!ended) await process.kill();
    await process.remove();
  } catch (error) {
    // Someone else was faster, or the space has stopped: it is gone as well.
    if (!SpacesError.isInstance(error) || !GONE.has(error.code)) throw error;
  }
}

/** The part of a request that says what is to be executed. */
function requestOf(space: string, command: string, { args, cwd, env, ...rest }: CommandOptions) {
  return {
    // What is not known goes along, so that the contract can refuse it.
    ...rest,
    space,
    command,
    ...(args === undefined ? {} : { args: [...args] }),
    ...(cwd === undefined ? {} : { workdir: cwd }),
    ...(env === undefined ? {} : { env: { ...env } }),
  };
}

function shown(command: string): string {
  return command.length > 80 ? `${command.slice(0, 80)}…` : command;
}
