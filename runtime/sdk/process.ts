/** A process of a space that lives on by itself: what `space.process.start` and `get` give. */
import type { z } from "zod";
import type { Process as ProcessData, signalSchema } from "../contract/processes.js";
import { type CallOptions, type Connection, limited } from "./connection.js";
import { sdkError } from "./errors.js";
import { decoded, type ExitEvent, type ProcessOutput } from "./process-output.js";

/** A signal by its name, such as `SIGINT`. */
export type SignalName = z.infer<typeof signalSchema>;

export interface OutputOptions {
  /** Bytes of each output that the caller has already; 0 when absent. */
  readonly stdoutOffset?: number | undefined;
  readonly stderrOffset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What one call takes as input, with room for base64. */
const INPUT_BYTES = 512 * 1024;
/** How long one call waits for the end; the next one goes on. */
const WAIT_MS = 60_000;

/** It outlives the client and its program; `kill` ends it, `remove` has the space forget it. */
export class Process {
  readonly #connection: Connection;
  readonly #space: string;
  #data: ProcessData;

  constructor(connection: Connection, space: string, data: ProcessData) {
    this.#connection = connection;
    this.#space = space;
    this.#data = data;
  }

  get id(): string {
    return this.#data.id;
  }

  /** The pid as the space numbers it. */
  get pid(): number {
    return this.#data.pid;
  }

  /** The first arguments; long ones are cut. */
  get argv(): readonly string[] {
    return this.#data.argv;
  }

  /** ISO 8601. */
  get startedAt(): string {
    return this.#data.startedAt;
  }

  /** Whether it has a terminal. */
  get terminal(): boolean {
    return this.#data.terminal;
  }

  /** As last known; `refresh` asks again. */
  get state(): "running" | "exited" {
    return this.#data.state;
  }

  /** Of a process that is known to have ended. */
  get exitCode(): number | undefined {
    return this.#data.exitCode;
  }

  toJSON(): ProcessData {
    return this.#data;
  }

  /** Asks for the state again. @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING` */
  async refresh(options: CallOptions = {}): Promise<this> {
    this.#data = await this.#connection.call(
      (client, call) => client.processes.get(this.#target, call),
      options,
    );
    return this;
  }

  /**
   * Waits until it has ended.
   * @param options `timeoutMs` to wait at most; for as long as it takes when absent
   * @throws SpacesError `CALL_TIMEOUT`, `CANCELLED`, `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  async wait({ signal, timeoutMs }: CallOptions = {}): Promise<ExitEvent> {
    const either = limited(signal, timeoutMs);
    do {
      this.#data = await this.#connection.callUnbounded(
        (client, call) => client.processes.wait({ ...this.#target, timeoutMs: WAIT_MS }, call),
        either,
      );
    } while (this.#data.state !== "exited");
    const { exitCode, signal: killedBy } = this.#data;
    if (exitCode === undefined) throw sdkError("INTERNAL");
    return { type: "exit", exitCode, ...(killedBy === undefined ? {} : { signal: killedBy }) };
  }

  /** Kills it and everything it started. Nothing happens where it has ended. */
  async kill(options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.processes.kill(this.#target, call),
      options,
    );
  }

  /** Sends a signal to its process group. */
  async signal(signal: SignalName, options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.processes.signal({ ...this.#target, signal }, call),
      options,
    );
  }

  /** Writes to its standard input, which `start` keeps open with `input: true`. */
  async write(data: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    const bytes = Buffer.from(data as Uint8Array);
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      const piece = bytes.subarray(at, at + INPUT_BYTES).toString("base64");
      await this.#connection.call(
        (client, call) => client.processes.write({ ...this.#target, data: piece }, call),
        options,
      );
    }
  }

  /** Ends its standard input. */
  async closeInput(options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.processes.write({ ...this.#target, close: true }, call),
      options,
    );
  }

  /**
   * Its output as it comes, from the beginning or from offsets on, and at last its exit. Leaving the
   * loop leaves it running.
   * @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`, `CANCELLED`
   */
  output(options: OutputOptions = {}): AsyncGenerator<ProcessOutput, void> {
    const { signal, ...from } = options;
    const events = this.#connection.stream(
      (client, call) => client.processes.follow({ ...this.#target, ...from }, call),
      signal,
    );
    return decoded(events);
  }

  [Symbol.asyncIterator](): AsyncGenerator<ProcessOutput, void> {
    return this.output();
  }

  /** Has the space forget it and its output. @throws SpacesError `CONFLICT` while it runs */
  async remove(options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.processes.remove(this.#target, call),
      options,
    );
  }

  get #target(): { space: string; process: string } {
    return { space: this.#space, process: this.#data.id };
  }
}
