/**
 * Joins the local streams to a process in a space: its output comes here, what is typed or piped goes
 * there. `spaces shell`, `attach` and `exec` use it.
 */
import type { Attachment } from "../runtime/bindings/attachment.js";
import type { Binding } from "../runtime/bindings/binding.js";
import { DetachKeys } from "./detach-keys.js";
import { EXIT } from "./exit-codes.js";
import { printEvent, readToExit } from "./follow.js";
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
  binding: Binding,
  target: Target,
  options: AttachmentOptions,
): Promise<AttachmentEnd> {
  const over = new AbortController();
  const stop = (): void => over.abort();
  const { signal } = session;
  if (signal.aborted) return { kind: "stopped" };
  signal.addEventListener("abort", stop);
  try {
    await using attachment = await binding.attach(target, { signal: over.signal });
    const joined = new JoinedStreams(session, binding, target, attachment, over);
    return await joined.run(options);
  } catch (error) {
    if (signal.aborted) return { kind: "stopped" };
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

class JoinedStreams {
  readonly #session: Session;
  readonly #binding: Binding;
  readonly #target: Target;
  readonly #attachment: Attachment;
  /** Ends it early: it is let go, or something has failed. */
  readonly #over: AbortController;
  readonly #input: InputQueue;
  #detached = false;
  #timedOut = false;
  #failure: { readonly error: unknown } | undefined;
  #size: Size | undefined;
  #resizing = false;

  constructor(
    session: Session,
    binding: Binding,
    target: Target,
    attachment: Attachment,
    over: AbortController,
  ) {
    this.#session = session;
    this.#binding = binding;
    this.#target = target;
    this.#attachment = attachment;
    this.#over = over;
    this.#input = new InputQueue(
      async (data, close) => {
        await attachment.write(data);
        if (close) await attachment.closeInput();
      },
      (error) => this.#fail(error),
    );
  }

  async run({ input, terminal, timeoutMs }: AttachmentOptions): Promise<AttachmentEnd> {
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#expire(), timeoutMs);
    using _input = this.#take(input);
    using _size = terminal ? this.#followSize() : NOTHING;
    try {
      const exit = await readToExit(this.#attachment.events, this.#over.signal, (event) =>
        printEvent(this.#session.output, event),
      );
      if (this.#failure !== undefined) throw this.#failure.error;
      if (exit !== undefined) {
        return { kind: "exit", exitCode: exit.exitCode, timedOut: this.#timedOut };
      }
      return { kind: this.#detached ? "detached" : "stopped" };
    } finally {
      clearTimeout(timer);
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
        await this.#attachment.resize(terminal);
      }
    } catch (error) {
      await this.#failUnlessEnded(error);
    } finally {
      this.#resizing = false;
    }
  }

  #expire(): void {
    this.#timedOut = true;
    this.#binding.client.processes.kill(this.#target).catch((error: unknown) => this.#fail(error));
  }

  /** A process that has just ended has no terminal any more; following it tells how it ended. */
  async #failUnlessEnded(error: unknown): Promise<void> {
    try {
      const { state } = await this.#binding.client.processes.get(this.#target);
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
