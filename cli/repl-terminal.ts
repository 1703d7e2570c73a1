/**
 * `spaces repl` at a terminal: prompts, history, completion, Ctrl-C and Ctrl-D. What is printed while
 * a line is being typed is put above it.
 */
import { clearScreenDown, createInterface, cursorTo, type Interface } from "node:readline";
import { EXIT } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import { replHelp } from "./repl-commands.js";
import { completeInput } from "./repl-completion.js";
import type { ReplHistory } from "./repl-history.js";
import { isEvaluation, safeValue, showError } from "./repl-output.js";
import type { LineResult, ReplSession } from "./repl-session.js";
import type { Session } from "./session.js";

const PROMPT = "> ";
const MORE = "... ";
/** Names of spaces that completion looks through. */
const MOST_SPACES = 1000;

export interface TerminalOptions {
  readonly driver: string | undefined;
  readonly history: ReplHistory;
}

export class ReplTerminal {
  readonly #session: Session;
  readonly #repl: ReplSession;
  readonly #options: TerminalOptions;
  #lines: Interface;
  #history: string[] = [];
  /** Lines that were typed before what runs had ended. */
  readonly #waiting: string[] = [];
  #working = false;
  /** Lines of the editor, while it is open. */
  #editor: string[] | undefined;
  #exitAsked = false;
  #over = false;
  #resolve: (code: number) => void = () => undefined;

  constructor(session: Session, repl: ReplSession, options: TerminalOptions) {
    this.#session = session;
    this.#repl = repl;
    this.#options = options;
    try {
      this.#history = options.history.load();
    } catch (error) {
      session.output.note(`The history cannot be read: ${toSpacesError(error).message}.`);
    }
    this.#lines = this.#open();
  }

  /** Runs until the user leaves; gives the exit code. */
  run(): Promise<number> {
    const { signal } = this.#session;
    signal.addEventListener("abort", () => this.#end(EXIT.interrupted), { once: true });
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (signal.aborted) this.#end(EXIT.interrupted);
      else this.#prompt();
    });
  }

  /** Shows what code prints, or an error that comes by itself, above the line that is being typed. */
  above(show: () => void): void {
    if (this.#working || this.#over) {
      show();
      return;
    }
    cursorTo(process.stdout, 0);
    clearScreenDown(process.stdout);
    show();
    this.#lines.prompt(true);
  }

  #open(): Interface {
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      history: this.#history,
      historySize: 1000,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        void this.#complete(line).then((result) => done(null, result));
      },
    });
    lines.on("line", (line) => this.#onLine(line));
    lines.on("history", (history: string[]) => {
      this.#history = history;
    });
    lines.on("SIGINT", () => this.#onInterrupt());
    lines.on("close", () => this.#onClose());
    return lines;
  }

  #prompt(): void {
    if (this.#over || this.#working) return;
    const editing = this.#editor !== undefined;
    this.#lines.setPrompt(editing ? "" : this.#repl.isUnfinished ? MORE : PROMPT);
    this.#lines.prompt();
  }

  #onLine(line: string): void {
    this.#exitAsked = false;
    if (this.#editor !== undefined) {
      this.#editor.push(line);
      return;
    }
    this.#remember(line);
    this.#waiting.push(line);
    void this.#work();
  }

  #remember(line: string): void {
    try {
      this.#options.history.add(line);
    } catch (error) {
      this.#session.output.note(`The history cannot be kept: ${toSpacesError(error).message}.`);
    }
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      const next = line;
      await this.#show(() => this.#repl.line(next));
      if (this.#over) return;
    }
    this.#prompt();
  }

  /** Does something that takes its time, and shows what came of it. */
  async #show(action: () => Promise<LineResult>): Promise<void> {
    this.#working = true;
    try {
      await this.#showResult(await action());
    } catch (error) {
      reportError(this.#session.output, toSpacesError(error));
      // Where even a fresh sandbox cannot be had there is nothing left to type into.
      if (this.#repl.sandbox.ended) this.#end(EXIT.ours);
    } finally {
      this.#working = false;
    }
  }

  async #showResult(result: LineResult): Promise<void> {
    const { output } = this.#session;
    if (isEvaluation(result)) {
      if (this.#session.stopCode !== undefined) return;
      showError(output, result);
      if (result.kind === "value" && result.text !== undefined) {
        output.data(`${safeValue(result.text)}\n`);
      } else if (result.kind === "ended") {
        this.#end(result.exitCode);
      } else if (result.kind === "lost") {
        await this.#repl.renew();
        output.note("The sandbox was lost with all that was declared. This is a fresh one.");
      }
      return;
    }
    switch (result.kind) {
      case "help":
        output.data(replHelp());
        break;
      case "editor":
        output.note("// Write several lines. Ctrl-D evaluates them, Ctrl-C drops them.");
        this.#editor = [];
        break;
      case "cleared":
        output.note("This is a fresh sandbox.");
        break;
      case "saved":
        output.note(`Saved to ${result.path}.`);
        break;
      case "exit":
        this.#end(EXIT.ok);
        break;
    }
  }

  /** Ctrl-C: cancels what runs, else drops what is typed, else asks whether to leave. */
  #onInterrupt(): void {
    const typed = this.#lines.line !== "" || this.#repl.isUnfinished || this.#editor !== undefined;
    this.#repl.cancel();
    if (this.#working) {
      this.#waiting.length = 0;
      return;
    }
    process.stdout.write("\n");
    if (!typed && this.#exitAsked) {
      this.#end(EXIT.ok);
      return;
    }
    this.#exitAsked = !typed;
    if (!typed) this.#session.output.note("Type Ctrl-C again, Ctrl-D or .exit to leave.");
    this.#editor = undefined;
    this.#repl.discard();
    // Takes away both sides of the cursor.
    this.#lines.write(null, { ctrl: true, name: "e" });
    this.#lines.write(null, { ctrl: true, name: "u" });
    this.#prompt();
  }

  /** Ctrl-D: evaluates what the editor holds, else leaves. */
  #onClose(): void {
    const written = this.#editor;
    if (this.#over) return;
    if (written === undefined) {
      if (!this.#working) process.stdout.write("\n");
      this.#end(EXIT.ok);
      return;
    }
    // The interface is closed for good: the session goes on with another one.
    this.#editor = undefined;
    this.#lines = this.#open();
    process.stdout.write("\n");
    void this.#show(() => this.#repl.whole(written.join("\n"))).then(() => this.#work());
  }

  async #complete(line: string): Promise<[string[], string]> {
    if (this.#working || this.#editor !== undefined) return [[], ""];
    try {
      return await completeInput(line, {
        session: () => this.#repl.sandbox,
        spaces: async () => {
          const client = await this.#session.client(this.#options.driver);
          const { items } = await client.spaces.list({ limit: MOST_SPACES });
          return items.map((space) => space.name);
        },
      });
    } catch {
      // Without a binding there are no names to offer; the input itself will say what is wrong.
      return [[], ""];
    }
  }

  #end(code: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#repl.cancel();
    this.#lines.close();
    this.#resolve(code);
  }
}
