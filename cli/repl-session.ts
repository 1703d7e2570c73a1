/**
 * The session behind `spaces repl`: gathers lines into inputs, has them evaluated, runs the commands
 * that begin with a dot, and begins anew where a sandbox is lost. `repl-terminal.ts` and
 * `repl-piped.ts` feed it.
 */
import { writeFileSync } from "node:fs";
import { closest } from "../runtime/config/closest.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type {
  Evaluation,
  InteractiveSession,
  Interpreter,
  SessionRequest,
} from "../runtime/interpreter/types.js";
import { readTextFile } from "./read-input.js";
import { isReplCommand, parseReplCommand, REPL_COMMANDS } from "./repl-commands.js";

/** The most bytes of a file that `.load` takes. */
const LOAD_LIMIT = 1_048_576;

export interface ReplOptions {
  /** Wall time of each input, in milliseconds; undefined means none. */
  readonly timeoutMs: number | undefined;
  /** Told of each input that was evaluated. */
  readonly onInput: (source: string) => void;
}

/** What came of a line. */
export type LineResult =
  | Exclude<Evaluation, { kind: "incomplete" }>
  /** The input goes on in the next line. */
  | { readonly kind: "more" }
  | { readonly kind: "nothing" }
  | { readonly kind: "help" | "editor" | "cleared" | "exit" }
  | { readonly kind: "saved"; readonly path: string };

export class ReplSession implements AsyncDisposable {
  readonly #interpreter: Interpreter;
  readonly #request: SessionRequest;
  readonly #options: ReplOptions;
  #session: InteractiveSession;
  #unfinished = "";
  /** What was evaluated without an error, for `.save`. */
  #evaluated: string[] = [];

  private constructor(
    interpreter: Interpreter,
    request: SessionRequest,
    options: ReplOptions,
    session: InteractiveSession,
  ) {
    this.#interpreter = interpreter;
    this.#request = request;
    this.#options = options;
    this.#session = session;
  }

  /** Opens the session. */
  static async open(
    interpreter: Interpreter,
    request: SessionRequest,
    options: ReplOptions,
  ): Promise<ReplSession> {
    const session = await interpreter.open(request);
    return new ReplSession(interpreter, request, options, session);
  }

  /** The sandbox in use; another one after it was lost or cleared. */
  get sandbox(): InteractiveSession {
    return this.#session;
  }

  /** Whether the lines so far are the beginning of something longer. */
  get isUnfinished(): boolean {
    return this.#unfinished !== "";
  }

  /** Takes a line: a command, or a part of an input, which is evaluated once it is finished. */
  async line(line: string): Promise<LineResult> {
    const command = this.isUnfinished ? undefined : parseReplCommand(line);
    if (command !== undefined) {
      return await this.#command(command.name, command.rest);
    }
    const source = this.#unfinished + line;
    if (source.trim() === "") return { kind: "nothing" };
    const result = await this.#evaluate(source, { whole: false });
    this.#unfinished = result.kind === "more" ? `${source}\n` : "";
    return result;
  }

  /** Takes several lines at once, after which nothing follows. */
  async whole(source: string): Promise<LineResult> {
    const all = this.#unfinished + source;
    this.#unfinished = "";
    return all.trim() === "" ? { kind: "nothing" } : await this.#evaluate(all, { whole: true });
  }

  /** Drops an input that was begun. */
  discard(): void {
    this.#unfinished = "";
  }

  /** Cancels what runs. */
  cancel(): void {
    this.#session.cancel();
  }

  /** Begins anew in a fresh sandbox. */
  async renew(): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
    this.#session = await this.#interpreter.open(this.#request);
    this.#evaluated = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }

  async #evaluate(
    source: string,
    options: { readonly whole: boolean; readonly label?: string },
  ): Promise<Exclude<Evaluation, { kind: "incomplete" }> | { readonly kind: "more" }> {
    const { timeoutMs, onInput } = this.#options;
    const result = await this.#session.evaluate(source, { timeoutMs, ...options });
    if (result.kind === "incomplete") return { kind: "more" };
    onInput(source);
    if (result.kind === "value") this.#evaluated.push(source);
    return result;
  }

  async #command(name: string, rest: string): Promise<LineResult> {
    if (!isReplCommand(name)) {
      const meant = closest(name, Object.keys(REPL_COMMANDS));
      throw new SpacesError("INVALID_INPUT", `There is no command .${name}.`, {
        suggestion:
          meant === undefined ? "Type .help to see the commands." : `Did you mean .${meant}?`,
      });
    }
    switch (name) {
      case "clear":
        await this.renew();
        return { kind: "cleared" };
      case "load":
        return await this.#load(fileOf(name, rest));
      case "save":
        return this.#save(fileOf(name, rest));
      default:
        return { kind: name };
    }
  }

  async #load(path: string): Promise<LineResult> {
    const source = readTextFile(path, LOAD_LIMIT);
    if (source === undefined) {
      throw new SpacesError("INVALID_INPUT", `There is no file "${path}".`, {
        suggestion: "Check the path; it is taken from the directory where the session was begun.",
      });
    }
    return source.trim() === ""
      ? { kind: "nothing" }
      : await this.#evaluate(source, { whole: true, label: path });
  }

  #save(path: string): LineResult {
    try {
      writeFileSync(path, this.#evaluated.map((source) => `${source.trimEnd()}\n`).join(""));
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new SpacesError("INVALID_INPUT", `${path} cannot be written: ${reason}.`, {
        suggestion: "Name a file in a directory that you may write to.",
        cause,
      });
    }
    return { kind: "saved", path };
  }
}

function fileOf(command: string, rest: string): string {
  if (rest !== "") return rest;
  throw new SpacesError("INVALID_INPUT", `.${command} needs the name of a file.`, {
    suggestion: `Write .${command} and the path of a file.`,
  });
}
