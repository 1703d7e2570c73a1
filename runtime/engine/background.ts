/** Processes that outlive the call that started them: started, followed, fed, signalled, waited for. */
import { randomBytes } from "node:crypto";
import { SpacesError } from "../contract/errors.js";
import type { Process, ProcessEvent } from "../contract/processes.js";
import type {
  AttachedProcess,
  BackgroundProcesses,
  ProcessRecord,
  TerminalSize,
} from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import type { Activity } from "./activity.js";
import type { Connections } from "./connections.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import type { Offsets } from "./event-ids.js";
import type { Fields } from "./fields.js";
import { notRunning } from "./lifecycle.js";
import { pause } from "./operations.js";
import { endInput, ProcessAttachment, writeInput } from "./process-attachment.js";
import { eventsOf } from "./process-output.js";
import { type CommandRequest, programOf } from "./processes.js";
import { findSpace } from "./space-rows.js";

const WAIT_POLL_MS = 50;
/** Offsets behind all output, for who only writes. */
const NO_OUTPUT = { stdout: Number.MAX_SAFE_INTEGER, stderr: Number.MAX_SAFE_INTEGER };

interface StartRequest extends Pick<CommandRequest, "command" | "args" | "workdir" | "env"> {
  readonly input: boolean;
  readonly terminal?: TerminalSize | undefined;
}

export class Background {
  readonly #parts: EngineParts;
  readonly #connections: Connections;
  readonly #fields: Fields;
  readonly #activity: Activity;

  constructor(parts: EngineParts, connections: Connections, fields: Fields, activity: Activity) {
    this.#parts = parts;
    this.#connections = connections;
    this.#fields = fields;
    this.#activity = activity;
  }

  /**
   * Starts a process that lives on after this call.
   * @throws SpacesError `SPACE_NOT_RUNNING`, `COMMAND_NOT_FOUND`, `INVALID_INPUT` (workdir),
   *   `UNSUPPORTED` where processes cannot outlive their caller
   */
  async start(context: CallContext, space: string, request: StartRequest): Promise<Process> {
    const row = await this.#find(context, space);
    const id = randomBytes(16).toString("hex");
    await this.#use(row, (background) =>
      background.start({
        ...programOf(row, request),
        id,
        keepInput: request.input,
        terminal: request.terminal,
      }),
    );
    return await this.get(context, row.id, id);
  }

  /** The processes that were started, also ended ones that the space still keeps. */
  async list(context: CallContext, space: string): Promise<Process[]> {
    const row = await this.#find(context, space);
    return (await this.#use(row, (background) => background.list())).map(processOf);
  }

  /** @throws SpacesError `PROCESS_NOT_FOUND` */
  async get(context: CallContext, space: string, id: string): Promise<Process> {
    const found = (await this.list(context, space)).find((process) => process.id === id);
    if (found === undefined) throw unknownProcess(id);
    return found;
  }

  /**
   * The output of a process from given offsets on, as it comes, and at last its exit. The space is
   * busy meanwhile.
   * @param from bytes of each output that the caller has already
   * @throws SpacesError `PROCESS_NOT_FOUND`, before the first event
   */
  async follow(
    context: CallContext,
    space: string,
    id: string,
    from: Offsets,
    { signal }: CallOptions,
  ): Promise<AsyncGenerator<ProcessEvent, void>> {
    const row = await this.#find(context, space);
    await this.get(context, row.id, id);
    return this.#follow(row, id, from, signal);
  }

  async *#follow(
    row: SpaceRow,
    id: string,
    from: Offsets,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ProcessEvent, void> {
    await using _ = this.#activity.begin(row);
    await using guest = await this.#use(row, (background) =>
      background.attach(id, { ...from, input: false }),
    );
    for await (const event of eventsOf(guest, from, await this.#fields.secretsOf(row), signal)) {
      yield "data" in event ? { ...event, data: event.data.toString("base64") } : event;
    }
  }

  /**
   * Attaches to a process: its output from given offsets on, and its input, which is taken over from
   * whoever had it with the first write. The space is busy until the attachment is disposed.
   * @throws SpacesError `PROCESS_NOT_FOUND`
   */
  async attach(
    context: CallContext,
    space: string,
    id: string,
    from: Offsets,
    { signal }: CallOptions,
  ): Promise<ProcessAttachment> {
    const row = await this.#find(context, space);
    await this.get(context, row.id, id);
    const secrets = await this.#fields.secretsOf(row);
    const busy = this.#activity.begin(row);
    let guest: AttachedProcess;
    try {
      guest = await this.#use(row, (background) =>
        background.attach(id, { ...from, input: false }),
      );
    } catch (error) {
      await busy[Symbol.asyncDispose]();
      throw error;
    }
    const released = new AbortController();
    return new ProcessAttachment({
      position: {
        stdout: from.stdout + guest.lost.stdout,
        stderr: from.stderr + guest.lost.stderr,
      },
      events: eventsOf(guest, from, secrets, signal, released.signal),
      openInput: () =>
        this.#use(row, (background) => background.attach(id, { ...NO_OUTPUT, input: true })),
      resize: (size) => this.#use(row, (background) => background.resize(id, size)),
      signal: (name) => this.#use(row, (background) => background.signal(id, name)),
      release: async () => {
        released.abort();
        await guest[Symbol.asyncDispose]();
        await busy[Symbol.asyncDispose]();
      },
    });
  }

  /**
   * Writes to a process's standard input, taking it over from whoever had it.
   * @param close ends the input after the data
   */
  async write(
    context: CallContext,
    space: string,
    id: string,
    data: Buffer,
    close: boolean,
  ): Promise<void> {
    const row = await this.#find(context, space);
    await this.get(context, row.id, id);
    await using guest = await this.#use(row, (background) =>
      background.attach(id, { ...NO_OUTPUT, input: true }),
    );
    if (data.length > 0) await writeInput(guest, data);
    if (close) await endInput(guest);
  }

  /** Sends a signal to the process group; nothing where the process has ended. */
  async signal(context: CallContext, space: string, id: string, signal: string): Promise<void> {
    await this.#onProcess(context, space, id, (background) => background.signal(id, signal));
  }

  /** Kills a process and everything it started. */
  async kill(context: CallContext, space: string, id: string): Promise<void> {
    await this.#onProcess(context, space, id, (background) => background.kill(id));
  }

  async resize(context: CallContext, space: string, id: string, size: TerminalSize): Promise<void> {
    await this.#onProcess(context, space, id, (background) => background.resize(id, size));
  }

  /** Forgets a process that has ended. @throws SpacesError `CONFLICT` while it runs */
  async remove(context: CallContext, space: string, id: string): Promise<void> {
    await this.#onProcess(context, space, id, (background) => background.release(id));
  }

  /**
   * Waits until a process has ended.
   * @returns the process; still running when the time was up first
   */
  async wait(
    context: CallContext,
    space: string,
    id: string,
    timeoutMs: number,
    { signal }: CallOptions,
  ): Promise<Process> {
    const giveUpAt = Date.now() + timeoutMs;
    for (;;) {
      const process = await this.get(context, space, id);
      if (process.state === "exited" || Date.now() >= giveUpAt) return process;
      await pause(Math.min(WAIT_POLL_MS, giveUpAt - Date.now()), signal);
    }
  }

  async #find(context: CallContext, space: string): Promise<SpaceRow> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    if (row.status !== "running") throw notRunning(row);
    return row;
  }

  #use<R>(row: SpaceRow, use: (background: BackgroundProcesses) => Promise<R>): Promise<R> {
    return this.#connections.use(row, ({ background }) => {
      if (background !== undefined) return use(background);
      throw new SpacesError(
        "UNSUPPORTED",
        `In "${row.name}", on the driver ${row.driver}, processes cannot outlive the call that started them.`,
      );
    });
  }

  async #onProcess(
    context: CallContext,
    space: string,
    id: string,
    act: (background: BackgroundProcesses) => Promise<void>,
  ): Promise<void> {
    const row = await this.#find(context, space);
    await this.get(context, row.id, id);
    await this.#use(row, act);
  }
}

function unknownProcess(id: string): SpacesError {
  return new SpacesError("PROCESS_NOT_FOUND", `The space has no process ${id}.`);
}

function processOf({ id, pid, argv, startedAt, terminal, exit }: ProcessRecord): Process {
  return {
    id,
    pid,
    argv: [...argv],
    terminal,
    startedAt: startedAt.toISOString(),
    state: exit === undefined ? "running" : "exited",
    ...(exit === undefined ? {} : { exitCode: exit.exitCode }),
    ...(exit?.signal === undefined ? {} : { signal: exit.signal }),
  };
}
