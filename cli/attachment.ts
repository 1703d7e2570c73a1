/**
 * Joins the local streams to a process in a space: its output comes here, what is typed or piped goes
 * there. `spaces shell`, `attach` and `exec` use it.
 */
import type { Client } from "../runtime/contract/contract.js";
import { DetachKeys } from "./detach-keys.js";
import { EXIT } from "./exit-codes.js";
import { follow, printEvent } from "./follow.js";
import { InputQueue } from "./input-queue.js";
import type { Target } from "./process-ids.js";
import type { Session } from "./session.js";
import { openRawTerminal, type Size, terminalSize, watchSize } from "./terminal.js";

export interface AttachmentOptions {
  /** `keys`: the local terminal in raw mode; `stream`: standard input to its end. */
  readonly input: "keys" | "stream" | "none";
  /** Gives the process's terminal the size of the local one. */
  readonly terminal: boolean;
  /** Kills the process after this time. */
  readonly timeoutMs?: number | undefined;
}

/** How an attachment ended. */
export type AttachmentEnd =
  | { readonly kind: "exit"; readonly exitCode: number; readonly timedOut: boolean }
  | { readonly kind: "detached" }
  /** By a signal, or because nobody reads the output any more. The process goes on. */
  | { readonly kind: "stopped" };

/**
 * Stays attached to a process until it ends, or is let go.
 * @throws SpacesError what following it, or writing to it, throws; the process goes on then
 */
export async function attach(
  session: Session,
  client: Client,
  target: Target,
  options: AttachmentOptions,
): Promise<AttachmentEnd> {
  const attachment = new Attachment(session, client, target);
  return await attachment.run(options);
}

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

class Attachment {
  readonly #session: Session;
  readonly #client: Client;
  readonly #target: Target;
  readonly #over = new AbortController();
  readonly #input: InputQueue;
  #detached = false;
  #timedOut = false;
  #failure: { readonly error: unknown } | undefined;
  #size: Size | undefined;
  #resizing = false;

  constructor(session: Session, client: Client, target: Target) {
    this.#session = session;
    this.#client = client;
    this.#target = target;
    this.#input = new InputQueue(
      (data, close) => client.processes.write({ ...target, data: data.toString("base64"), close }),
      (error) => this.#fail(error),
    );
  }

  async run({ input, terminal, timeoutMs }: AttachmentOptions): Promise<AttachmentEnd> {
    const { signal } = this.#session;
    const stop = (): void => this.#over.abort();
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#expire(), timeoutMs);
    using _input = this.#take(input);
    using _size = terminal ? this.#followSize() : NOTHING;
    try {
      const exit = await follow(this.#client, this.#target, {
        signal: this.#over.signal,
        onEvent: (event) => printEvent(this.#session.output, event),
      });
      if (this.#failure !== undefined) throw this.#failure.error;
      if (exit !== undefined) {
        return { kind: "exit", exitCode: exit.exitCode, timedOut: this.#timedOut };
      }
      return { kind: this.#detached ? "detached" : "stopped" };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#over.abort();
    }
  }

  #take(input: AttachmentOptions["input"]): Disposable {
    if (input === "keys") return this.#takeKeys();
    if (input === "stream") return this.#takeStream();
    return NOTHING;
  }

  #takeKeys(): Disposable {
    const keys = new DetachKeys();
    return openRawTerminal({
      onTyped: (bytes) => {
        const { pass, detach } = keys.read(bytes);
        this.#input.push(pass);
        if (detach) void this.#detach();
      },
      onHangUp: () => this.#session.stop(EXIT.hungUp),
    });
  }

  #takeStream(): Disposable {
    void this.#readStream().catch((error: unknown) => this.#fail(error));
    return {
      [Symbol.dispose]: () => {
        process.stdin.destroy();
      },
    };
  }

  async #readStream(): Promise<void> {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      this.#input.push(chunk);
      await this.#input.room();
    }
    this.#input.end();
  }

  /** Lets go once all that was typed before has arrived. */
  async #detach(): Promise<void> {
    await this.#input.written();
    this.#detached = true;
    this.#over.abort();
  }

  #followSize(): Disposable {
    const bring = (size: Size): void => {
      this.#size = size;
      if (!this.#resizing) void this.#bringSize();
    };
    bring(terminalSize());
    return watchSize(bring);
  }

  /** Brings the newest size over, one call at a time. */
  async #bringSize(): Promise<void> {
    this.#resizing = true;
    try {
      while (this.#size !== undefined) {
        const terminal = this.#size;
        this.#size = undefined;
        await this.#client.processes.resize({ ...this.#target, terminal });
      }
    } catch (error) {
      await this.#failUnlessEnded(error);
    } finally {
      this.#resizing = false;
    }
  }

  #expire(): void {
    this.#timedOut = true;
    this.#client.processes.kill(this.#target).catch((error: unknown) => this.#fail(error));
  }

  /** A process that has just ended has no terminal any more; following it tells how it ended. */
  async #failUnlessEnded(error: unknown): Promise<void> {
    try {
      const { state } = await this.#client.processes.get(this.#target);
      if (state === "running") this.#fail(error);
    } catch (lookup) {
      this.#fail(lookup);
    }
  }

  /** Ends the attachment with an error, unless it has ended: then the error is its consequence. */
  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#failure = { error };
    this.#over.abort();
  }
}
