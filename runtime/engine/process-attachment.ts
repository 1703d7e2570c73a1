/**
 * An attachment to a process: output, input, terminal and signals through one hold on it. Bindings
 * and the server give it to terminals.
 */
import type { AttachedProcess, TerminalSize } from "../drivers/driver.js";
import type { Offsets } from "./event-ids.js";
import type { OutputEvent } from "./process-output.js";

/**
 * Milliseconds for which the input is held after a write. Another writer may take it meanwhile, and
 * then nothing that is written here arrives: so it is not held for long.
 */
const HOLD_INPUT_MS = 1_000;

interface AttachmentParts {
  readonly position: Offsets;
  readonly events: AsyncIterable<OutputEvent>;
  readonly openInput: () => Promise<AttachedProcess>;
  readonly resize: (size: TerminalSize) => Promise<void>;
  readonly signal: (name: string) => Promise<void>;
  readonly release: () => Promise<void>;
}

/** Disposing lets go of the process and leaves it running. */
export class ProcessAttachment implements AsyncDisposable {
  /** Bytes of each output before the first that comes. */
  readonly position: Offsets;
  /** Ends after `exit`. To be read once. */
  readonly events: AsyncIterable<OutputEvent>;
  readonly #parts: AttachmentParts;
  #input: Promise<AttachedProcess> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #released: Promise<void> | undefined;

  constructor(parts: AttachmentParts) {
    this.#parts = parts;
    this.position = parts.position;
    this.events = parts.events;
  }

  /** Writes to standard input. Resolves when more can be written. */
  async write(data: Uint8Array): Promise<void> {
    if (data.length > 0) await this.#withInput((guest) => writeInput(guest, data));
  }

  /** Ends standard input. */
  async closeInput(): Promise<void> {
    await this.#withInput(endInput);
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#parts.resize(size);
  }

  /** Sends a signal such as `SIGINT` to the process group. */
  async signal(name: string): Promise<void> {
    await this.#parts.signal(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#release();
    await this.#released;
  }

  async #withInput(use: (guest: AttachedProcess) => Promise<void>): Promise<void> {
    clearTimeout(this.#idle);
    this.#input ??= this.#openInput();
    try {
      await use(await this.#input);
    } catch (error) {
      this.#input = undefined;
      throw error;
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      // What fails here has ended already; the output tells of it.
      this.#releaseInput().catch(() => undefined);
    }, HOLD_INPUT_MS).unref();
  }

  async #openInput(): Promise<AttachedProcess> {
    const guest = await this.#parts.openInput();
    // The process would wait for a reader of this second copy of its output.
    for (const output of [guest.stdout, guest.stderr]) {
      output.on("error", () => undefined);
      output.resume();
    }
    return guest;
  }

  async #releaseInput(): Promise<void> {
    const input = this.#input;
    this.#input = undefined;
    await (await input)?.[Symbol.asyncDispose]();
  }

  async #release(): Promise<void> {
    clearTimeout(this.#idle);
    try {
      // One that could not be opened has told so to who wanted to write.
      await this.#releaseInput().catch(() => undefined);
    } finally {
      await this.#parts.release();
    }
  }
}

/** Writes to a process's standard input. Resolves when it has been taken. */
export function writeInput(guest: AttachedProcess, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    guest.stdin.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

/** Ends a process's standard input. */
export function endInput(guest: AttachedProcess): Promise<void> {
  return new Promise((resolve) => {
    guest.stdin.end(resolve);
  });
}
