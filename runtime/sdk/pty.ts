/** Terminals of a space, as programs use them: `space.pty`. */
import type { Attachment, AttachmentEvent } from "../bindings/attachment.js";
import { type CallOptions, type Connection, limited } from "./connection.js";
import { sdkError } from "./errors.js";
import { Process } from "./process.js";
import type { ExitEvent } from "./process-output.js";
import { type CommandOptions, discard } from "./processes.js";
import { PtyReader } from "./pty-reader.js";

/** Output without anybody who reads it is kept up to here; then the oldest of it is dropped. */
const BACKLOG_BYTES = 1024 * 1024;

export interface OpenPtyOptions extends Pick<CommandOptions, "cwd" | "env">, CallOptions {
  /** Columns; 80 when absent. */
  readonly cols?: number | undefined;
  /** Rows; 24 when absent. */
  readonly rows?: number | undefined;
  /** The program that runs in it; the space's shell when absent. */
  readonly shell?: string | undefined;
  /** Arguments of the program. */
  readonly args?: readonly string[] | undefined;
}

export interface AttachPtyOptions {
  /** Bytes of output that the caller has already; 0 when absent. */
  readonly offset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class SpacePty {
  readonly #connection: Connection;
  readonly #space: string;
  readonly #shell: () => string;

  /** @param shell gives the shell of the space as it is now */
  constructor(connection: Connection, space: string, shell: () => string) {
    this.#connection = connection;
    this.#space = space;
    this.#shell = shell;
  }

  /**
   * Opens a terminal with a shell in it.
   * @throws SpacesError `SPACE_NOT_RUNNING`, `COMMAND_NOT_FOUND`; `UNSUPPORTED` where the driver has
   *   no terminals, as in virtual spaces
   */
  async open(options: OpenPtyOptions = {}): Promise<Pty> {
    const { signal, timeoutMs, cols = 80, rows = 24, args = [], cwd, env, ...rest } = options;
    const { shell = this.#shell(), ...unknown } = rest;
    const request = {
      ...unknown,
      space: this.#space,
      command: shell,
      args: [...args],
      input: true,
      terminal: { columns: cols, rows },
      env: { TERM: "xterm-256color", ...env },
      ...(cwd === undefined ? {} : { workdir: cwd }),
    };
    const started = await this.#connection.call(
      (client, call) => client.processes.start(request, call),
      { signal, timeoutMs },
    );
    const process = new Process(this.#connection, this.#space, started);
    try {
      return await this.#attach(process, { signal: limited(signal, timeoutMs) });
    } catch (error) {
      await discard(process, false);
      throw error;
    }
  }

  /**
   * Attaches to a terminal that was left with `detach`, by this program or another one.
   * @param id of the terminal's process
   * @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`; `CONFLICT` when it has no terminal
   */
  async attach(id: string, { signal, offset = 0 }: AttachPtyOptions = {}): Promise<Pty> {
    const found = await this.#connection.call(
      (client, call) => client.processes.get({ space: this.#space, process: id }, call),
      { signal },
    );
    if (!found.terminal) throw sdkError("CONFLICT", `The process ${id} has no terminal.`);
    return await this.#attach(new Process(this.#connection, this.#space, found), {
      signal,
      offset,
    });
  }

  /** The signal is for the way there; what is attached lives until it is left or ends. */
  async #attach(process: Process, { signal, offset = 0 }: AttachPtyOptions): Promise<Pty> {
    const over = new AbortController();
    const stop = (): void => over.abort(signal?.reason);
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop);
    try {
      const target = { space: this.#space, process: process.id };
      const attachment = await this.#connection.attach(target, {
        stdoutOffset: offset,
        signal: over.signal,
      });
      return new Pty(process, attachment, offset);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}

type Listener = (data: Uint8Array) => void;

/** A terminal. Disposing kills what runs in it; `detach` leaves it running. */
export class Pty implements AsyncDisposable, AsyncIterable<Uint8Array> {
  /**
   * How what runs in it ended. Rejects when the connection to it broke, and with `CANCELLED` when it
   * was left.
   */
  readonly exited: Promise<ExitEvent>;
  readonly #process: Process;
  readonly #attachment: Attachment;
  readonly #listeners = new Set<Listener>();
  readonly #readers = new Set<PtyReader>();
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #offset: number;
  #state: "open" | "left" | "ended" = "open";

  /** @param offset bytes of output that came before */
  constructor(process: Process, attachment: Attachment, offset: number) {
    this.#process = process;
    this.#attachment = attachment;
    this.#offset = offset;
    this.exited = this.#pump();
    // Who does not ask for the end learns of a broken connection by writing or reading.
    this.exited.catch(() => undefined);
  }

  /** Of its process: for `space.pty.attach`. */
  get id(): string {
    return this.#process.id;
  }

  /** Pid of what runs in it, as the space numbers it. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Bytes of output that have come: where to go on from after `detach`. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Has each piece of output told as bytes. What came before anybody listened is told first.
   * @returns ends the listening
   */
  onData(listener: Listener): () => void {
    const own: Listener = (data) => listener(data);
    this.#listeners.add(own);
    for (const data of this.#takeBacklog()) own(data);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** The output as it comes, until the end. Leaving the loop leaves the terminal open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const reader = new PtyReader();
    for (const data of this.#takeBacklog()) reader.push(data);
    if (this.#state !== "open") reader.end();
    this.#readers.add(reader);
    try {
      for (let data = await reader.next(); data !== undefined; data = await reader.next()) {
        yield data;
      }
    } finally {
      this.#readers.delete(reader);
      reader.drop();
    }
    // A broken connection is no end.
    if (this.#state === "ended") await this.exited;
  }

  /** Types. Text is sent as UTF-8; `\x03` is Ctrl-C. @throws SpacesError `CONFLICT` when it is over */
  async write(data: string | Uint8Array): Promise<void> {
    this.#needOpen();
    await this.#attachment.write(typeof data === "string" ? Buffer.from(data) : data);
  }

  /** Gives it another size, in characters. @throws SpacesError `CONFLICT` when it is over */
  async resize(cols: number, rows: number): Promise<void> {
    this.#needOpen();
    await this.#attachment.resize({ columns: cols, rows });
  }

  /** Kills what runs in it, with everything that was started there. */
  async kill(): Promise<void> {
    if (this.#state !== "open") return;
    await this.#process.kill();
    await this.exited;
  }

  /** Lets go of it and leaves it running; `space.pty.attach` comes back to it. */
  async detach(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "left";
    this.#endReaders();
    await this.#attachment[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "left";
    this.#endReaders();
    await discard(this.#process, false);
    await this.#attachment[Symbol.asyncDispose]();
  }

  async #pump(): Promise<ExitEvent> {
    try {
      for await (const event of this.#attachment.events) {
        if (event.type !== "exit") await this.#tell(event);
        else return await this.#finish(event);
      }
    } finally {
      this.#endReaders();
      if (this.#state === "open") {
        this.#state = "ended";
        await this.#attachment[Symbol.asyncDispose]();
      }
    }
    throw sdkError("CANCELLED", `The terminal ${this.id} was left.`);
  }

  async #finish({ exitCode, signal }: ExitEvent): Promise<ExitEvent> {
    if (this.#state === "open") {
      this.#state = "ended";
      await this.#attachment[Symbol.asyncDispose]();
      await discard(this.#process, true);
    }
    return { type: "exit", exitCode, ...(signal === undefined ? {} : { signal }) };
  }

  async #tell(event: Exclude<AttachmentEvent, ExitEvent>): Promise<void> {
    if (event.type === "lost") {
      this.#offset += event.bytes;
      return;
    }
    const { data } = event;
    this.#offset = event.offset + data.length;
    if (this.#listeners.size === 0 && this.#readers.size === 0) return this.#keep(data);
    for (const listener of this.#listeners) listener(data);
    await Promise.all([...this.#readers].map((reader) => reader.push(data)));
  }

  #keep(data: Uint8Array): void {
    this.#backlog.push(data);
    this.#backlogBytes += data.length;
    while (this.#backlogBytes > BACKLOG_BYTES && this.#backlog.length > 1) {
      this.#backlogBytes -= this.#backlog.shift()?.length ?? 0;
    }
  }

  #takeBacklog(): Uint8Array[] {
    const taken = this.#backlog;
    this.#backlog = [];
    this.#backlogBytes = 0;
    return taken;
  }

  #endReaders(): void {
    for (const reader of this.#readers) reader.end();
  }

  #needOpen(): void {
    if (this.#state === "open") return;
    const what = this.#state === "left" ? "was left" : "has ended";
    throw sdkError("CONFLICT", `The terminal ${this.id} ${what}.`, {
      suggestion: "Open another one, or attach to it again while it runs.",
    });
  }
}
