/** Standard input and output as places to copy a file from and to. */
import { SpacesError } from "../runtime/contract/errors.js";
import type { Content, Entry, Source, Target } from "./copy.js";
import type { Session } from "./session.js";

export class StdinSource implements Source {
  readonly label = "standard input";
  readonly name = undefined;
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async describe(): Promise<Entry> {
    return { segments: [], type: "file" };
  }

  async *entries(): AsyncGenerator<Entry> {
    // A file has nothing below it.
  }

  async open(): Promise<Content> {
    const stop = (): void => {
      process.stdin.destroy(new SpacesError("CANCELLED"));
    };
    if (this.#signal.aborted) throw new SpacesError("CANCELLED");
    this.#signal.addEventListener("abort", stop, { once: true });
    return {
      chunks: process.stdin as AsyncIterable<Buffer>,
      [Symbol.asyncDispose]: async () => {
        this.#signal.removeEventListener("abort", stop);
        process.stdin.destroy();
      },
    };
  }
}

export class StdoutTarget implements Target {
  readonly label = "standard output";
  readonly #session: Session;

  /** @throws SpacesError `INVALID_INPUT` with `--json`, which has standard output for itself */
  constructor(session: Session) {
    if (session.output.isJson) {
      throw new SpacesError("INVALID_INPUT", "- and --json both want standard output.", {
        suggestion: "Name a file, or leave --json out.",
      });
    }
    this.#session = session;
  }

  async isDirectory(): Promise<boolean> {
    return false;
  }

  async mkdir(): Promise<void> {
    throw new SpacesError("WRONG_FILE_TYPE", "A directory cannot be written to standard output.", {
      suggestion: "Name a directory of this machine.",
    });
  }

  async write(_segments: readonly string[], content: Content): Promise<undefined> {
    for await (const chunk of content.chunks) await this.#session.output.bytes("stdout", chunk);
  }
}
