/**
 * Tells a client how a tool call goes on: the lines that a script prints, and from time to time that
 * it is still under way, so that clients do not give up.
 */
import { visibleText } from "./foreign-text.js";

/** Milliseconds between two notices at least. */
const PAUSE_MS = 100;
/** Milliseconds without a notice after which one says that the call is under way. */
const SILENCE_MS = 10_000;
/** Characters of one notice. */
const LONGEST = 2_000;
/** Characters of all lines of a call: a client that reads none of them must not cost memory. */
const MOST = 100_000;

/** Sends one notice. @param count grows with each */
export type SendProgress = (count: number, message: string) => Promise<void>;

export class Progress implements AsyncDisposable {
  readonly #send: SendProgress | undefined;
  readonly #signal: AbortSignal;
  readonly #began = Date.now();
  readonly #heartbeat: NodeJS.Timeout | undefined;
  #count = 0;
  #told = 0;
  #waiting = "";
  #sending: Promise<void> | undefined;
  #endPause: (() => void) | undefined;
  #ended = false;

  /**
   * @param send undefined where the client asked for no progress
   * @param signal ends the sending
   */
  constructor(send: SendProgress | undefined, signal: AbortSignal) {
    this.#send = send;
    this.#signal = signal;
    if (send === undefined) return;
    this.#heartbeat = setInterval(() => this.#beat(), SILENCE_MS).unref();
  }

  /** Adds text that was printed. */
  add(text: string): void {
    if (this.#send === undefined || this.#told >= MOST) return;
    this.#told += text.length;
    this.#waiting += text;
    if (this.#told >= MOST) this.#waiting += "\n… (further output comes with the result)";
    this.#sending ??= this.#flush();
  }

  /** Sends what is left, unless the call was cancelled. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#ended = true;
    this.#endPause?.();
    if (this.#sending === undefined || this.#signal.aborted) return;
    const done = new AbortController();
    const aborted = new Promise<void>((resolve) => {
      this.#signal.addEventListener("abort", () => resolve(), { signal: done.signal });
    });
    await Promise.race([this.#sending, aborted]);
    done.abort();
  }

  async #flush(): Promise<void> {
    while (this.#waiting !== "" && !this.#signal.aborted) {
      const message = lastLines(visibleText(this.#waiting).trimEnd());
      this.#waiting = "";
      await this.#tell(message);
      if (!this.#ended) await this.#pause();
    }
    this.#sending = undefined;
  }

  /** What comes within the pause goes along with the next notice. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = undefined;
  }

  #beat(): void {
    if (this.#sending !== undefined) return;
    const seconds = Math.round((Date.now() - this.#began) / 1000);
    this.#sending = this.#tell(`under way for ${seconds} s`).then(() => this.#flush());
  }

  async #tell(message: string): Promise<void> {
    this.#heartbeat?.refresh();
    this.#count += 1;
    try {
      await this.#send?.(this.#count, message);
    } catch {
      // The client has gone; the call itself learns of that by its signal.
      this.#waiting = "";
      this.#told = MOST;
    }
  }
}

/** As many of the last lines as one notice holds. */
function lastLines(text: string): string {
  if (text.length <= LONGEST) return text;
  const last = text.slice(-LONGEST);
  return `…\n${last.slice(last.indexOf("\n") + 1)}`;
}
