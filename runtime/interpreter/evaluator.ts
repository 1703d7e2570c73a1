/**
 * An interactive session seen from the main thread: gives inputs to a worker one after the other,
 * carries their calls, modules and output, stops them, and says what came of each. The worker is not
 * trusted. `interpreter.ts` makes it.
 */
import { SpacesError } from "../contract/errors.js";
import { type BadEnd, describeEnd, fromRegistry } from "./end-errors.js";
import { GuestTraffic, isTraffic, type SessionWorker } from "./guest-traffic.js";
import { HostCalls } from "./host-calls.js";
import type { Original } from "./input.js";
import { COMPLETION_MS, KEPT_INPUTS, type ResolvedLimits, SESSION_GRACE_MS } from "./limits.js";
import { ModuleReader } from "./module-reader.js";
import type { WorkerMessage } from "./protocol.js";
import { type Answer, type MainMessage, parseWorkerMessage, STOP } from "./protocol.js";
import type { WorkerListener } from "./sandbox-worker.js";
import { errorAt, type Places, parseScriptError } from "./script-error.js";
import type { SessionEnd } from "./session.js";
import { checkSource, type SourceLoader, withoutMark } from "./source.js";
import type {
  EvaluateOptions,
  Evaluation,
  InteractiveSession,
  ScriptError,
  SessionRequest,
} from "./types.js";

/** Name of the inputs in stacks, without their number. */
const NAME = "repl";

export interface EvaluatorOptions {
  readonly request: SessionRequest;
  readonly facts: string;
  readonly limits: ResolvedLimits;
  readonly loader: SourceLoader;
  /** Called once when the session is over; its worker may be dead. */
  readonly onEnd: () => void;
}

interface Ended {
  readonly kind: "ended";
  readonly end: SessionEnd;
}

interface Request {
  readonly id: number;
  readonly timeoutMs: number | undefined;
  readonly answer: (answer: Answer | Ended) => void;
}

type Stop = "timeout" | "cancelled";

interface KeptInput {
  readonly label: string;
  readonly original: Original;
}

export class Evaluator implements WorkerListener, InteractiveSession {
  readonly #worker: SessionWorker;
  readonly #options: EvaluatorOptions;
  readonly #calls: HostCalls;
  readonly #modules: ModuleReader;
  readonly #traffic: GuestTraffic;
  readonly #inputs = new Map<string, KeptInput>();
  #run = 0;
  #lastId = 0;
  #lastInput = 0;
  #request: Request | undefined;
  #stopping: Stop | undefined;
  /** Called when a stop between inputs has been obeyed. */
  #onCalm: (() => void) | undefined;
  #calm: Promise<void> = Promise.resolve();
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #deadline: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #end: SessionEnd | undefined;

  private constructor(worker: SessionWorker, options: EvaluatorOptions) {
    this.#worker = worker;
    this.#options = options;
    const { request, limits, loader } = options;
    // One more than the promise calls: a blocking call may run beside them.
    this.#calls = new HostCalls(request, limits.concurrentCalls + 1);
    const files = { filename: NAME, moduleSource: request.moduleSource };
    this.#modules = new ModuleReader(files, loader, limits.sourceBytes);
    this.#traffic = new GuestTraffic(worker, this.#calls, this.#modules, (stream, text) =>
      request.onOutput?.(stream, text),
    );
  }

  /**
   * Opens a session on a worker that the caller has acquired.
   *
   * @throws SpacesError what kept it from beginning, such as `SPACE_NOT_FOUND`
   */
  static async open(worker: SessionWorker, options: EvaluatorOptions): Promise<Evaluator> {
    const evaluator = new Evaluator(worker, options);
    const { facts, limits } = options;
    evaluator.#run = worker.begin(evaluator);
    const answer = await evaluator.#ask(undefined, (id) => ({
      type: "open",
      run: evaluator.#run,
      id,
      filename: NAME,
      facts,
      memoryBytes: limits.memoryBytes,
    }));
    if (answer.kind === "value") {
      return evaluator;
    }
    await evaluator[Symbol.asyncDispose]();
    throw toSpacesError(evaluator.#errorOf(answer, undefined));
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  evaluate(source: string, options: EvaluateOptions = {}): Promise<Evaluation> {
    return this.#inTurn(() => this.#evaluate(source, options));
  }

  async complete(path: readonly string[], prefix: string): Promise<readonly string[]> {
    if (this.#waiting > 0 || this.ended) {
      return [];
    }
    return await this.#inTurn(async () => {
      const question = JSON.stringify({ path, prefix });
      const answer = await this.#ask(COMPLETION_MS, (id) => ({
        type: "complete",
        id,
        question,
        timeoutMs: COMPLETION_MS,
      }));
      return answer.kind === "value" && answer.text !== undefined ? namesIn(answer.text) : [];
    });
  }

  cancel(): void {
    this.#stop("cancelled");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#finish({ kind: "cancelled" }, true);
  }

  onMessage(message: unknown): void {
    if (this.ended) {
      return;
    }
    const parsed = parseWorkerMessage(message);
    if (parsed === undefined || !this.#accept(parsed)) {
      void this.#finish({ kind: "hostile" }, true);
    }
  }

  onDeath(error: NodeJS.ErrnoException | undefined): void {
    const outOfMemory = error?.code === "ERR_WORKER_OUT_OF_MEMORY";
    const end: SessionEnd = outOfMemory ? { kind: "memory" } : { kind: "died", error };
    void this.#finish(this.#stopping === undefined ? end : { kind: this.#stopping }, true);
  }

  async #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    this.#waiting += 1;
    const before = this.#queue;
    const mine = before.then(action);
    this.#queue = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #evaluate(typed: string, options: EvaluateOptions): Promise<Evaluation> {
    const { limits, loader, request } = this.#options;
    const source = withoutMark(typed);
    const problem = checkSource(source, limits.sourceBytes);
    if (problem !== undefined) {
      const error = new SpacesError("INVALID_INPUT", `The input ${problem}`);
      return { kind: "failed", error: fromRegistry(error) };
    }
    const name = `${NAME}${this.#lastInput + 1}`;
    const label = options.label ?? name;
    const { readInput } = await import("./input.js");
    const input = await readInput(name, source, loader);
    if (input.kind === "incomplete" && options.whole !== true) {
      return { kind: "incomplete" };
    }
    if (input.kind !== "ready") {
      const { message, line, column } = input;
      const position = { file: label, line, column };
      return { kind: "failed", error: errorAt("SyntaxError", message, position, source) };
    }
    if (options.signal?.aborted === true) {
      const error = new SpacesError("CANCELLED", "The input was cancelled before it began.");
      return { kind: "failed", error: fromRegistry(error) };
    }
    this.#lastInput += 1;
    this.#keep(name, source, { label, original: input.original });
    const { code, module, declared, constants, kept, hasValue } = input;
    const colors = request.colors === true;
    const facts = JSON.stringify({ declared, constants, kept, hasValue, colors });
    const { timeoutMs } = options;
    const onAbort = () => this.#stop("cancelled");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const answer = await this.#ask(timeoutMs, (id) => ({
        type: "evaluate",
        id,
        name,
        code,
        module,
        facts,
        timeoutMs,
      }));
      return this.#evaluation(answer, timeoutMs);
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  #evaluation(answer: Answer | Ended, timeoutMs: number | undefined): Evaluation {
    if (answer.kind === "value") {
      return answer;
    }
    if (answer.kind === "ended" && answer.end.kind === "exited") {
      return { kind: "ended", exitCode: answer.end.exitCode };
    }
    const error = this.#errorOf(answer, timeoutMs);
    return { kind: answer.kind === "ended" ? "lost" : "failed", error };
  }

  #errorOf(
    answer: Exclude<Answer, { kind: "value" }> | Ended,
    timeoutMs: number | undefined,
  ): ScriptError {
    const end: SessionEnd | Answer = answer.kind === "ended" ? answer.end : answer;
    if (end.kind === "failed") {
      return parseScriptError(end.error, this.#modules.sources, this.#places());
    }
    const { memoryBytes } = this.#options.limits;
    return describeEnd("input", end as BadEnd, { timeoutMs, memoryBytes });
  }

  #places(): Places {
    return {
      original: (position) => {
        const { file, line, column } = position;
        const input = this.#inputs.get(file);
        if (input === undefined) return position;
        const original = input.original(line, column);
        return original && { file, ...original };
      },
      label: (file) => this.#inputs.get(file)?.label ?? file,
    };
  }

  /** Keeps the source of an input for the positions of errors, and forgets the oldest one. */
  #keep(name: string, source: string, input: KeptInput): void {
    this.#modules.sources.set(name, source);
    this.#inputs.set(name, input);
    const [oldest] = this.#inputs.keys();
    if (this.#inputs.size > KEPT_INPUTS && oldest !== undefined) {
      this.#inputs.delete(oldest);
      this.#modules.sources.delete(oldest);
    }
  }

  /** Gives the worker a request and waits for what comes of it. */
  async #ask(
    timeoutMs: number | undefined,
    message: (id: number) => MainMessage,
  ): Promise<Answer | Ended> {
    await this.#calm;
    return await new Promise((resolve) => {
      if (this.#end !== undefined) {
        resolve({ kind: "ended", end: this.#end });
        return;
      }
      this.#lastId += 1;
      this.#request = { id: this.#lastId, timeoutMs, answer: resolve };
      if (timeoutMs !== undefined) {
        this.#deadline = setTimeout(() => this.#stop("timeout"), Math.min(timeoutMs, 2 ** 31 - 1));
      }
      this.#worker.post(message(this.#lastId));
    });
  }

  /** Handles a well-formed message; false when it does not fit the state of the session. */
  #accept(message: WorkerMessage): boolean {
    if (isTraffic(message)) {
      return this.#traffic.accept(message);
    }
    switch (message.type) {
      case "answered":
        return this.#onAnswer(message.id, message.answer);
      case "stopped":
        if (this.#request === undefined && this.#stopping !== undefined) {
          this.#resume();
        }
        return true;
      case "uncaught": {
        const error = parseScriptError(message.error, this.#modules.sources, this.#places());
        this.#options.request.onUncaught?.(error);
        return true;
      }
      case "done":
        if (message.run !== this.#run || message.outcome.kind === "completed") {
          return false;
        }
        void this.#finish(message.outcome, message.outcome.kind === "crashed");
        return true;
    }
  }

  #onAnswer(id: number, answer: Answer): boolean {
    const request = this.#request;
    if (
      request?.id !== id ||
      (answer.kind === "timeout" && request.timeoutMs === undefined) ||
      (answer.kind === "cancelled" && this.#stopping !== "cancelled")
    ) {
      return false;
    }
    this.#request = undefined;
    clearTimeout(this.#deadline);
    if (this.#stopping !== undefined) {
      this.#resume();
    }
    request.answer(answer);
    return true;
  }

  #stop(reason: Stop): void {
    if (this.ended || this.#stopping !== undefined) {
      return;
    }
    this.#stopping = reason;
    if (this.#request === undefined) {
      this.#calm = new Promise((resolve) => {
        this.#onCalm = resolve;
      });
    }
    this.#worker.stop(reason === "timeout" ? STOP.timeout : STOP.cancelled);
    this.#calls.abort();
    this.#grace = setTimeout(() => void this.#finish({ kind: reason }, true), SESSION_GRACE_MS);
  }

  #resume(): void {
    clearTimeout(this.#grace);
    this.#stopping = undefined;
    this.#worker.resume();
    this.#onCalm?.();
    this.#onCalm = undefined;
  }

  async #finish(end: SessionEnd, kill: boolean): Promise<void> {
    if (this.#end !== undefined) {
      return;
    }
    this.#end = end;
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
    this.#traffic.end();
    if (kill) {
      await this.#worker.kill();
    }
    this.#options.onEnd();
    this.#onCalm?.();
    this.#request?.answer({ kind: "ended", end });
  }
}

function toSpacesError(error: ScriptError): SpacesError {
  return error.error === undefined
    ? new SpacesError("INTERNAL", `The session could not begin: ${error.message}`)
    : SpacesError.deserialize(error.error);
}

function namesIn(json: string): string[] {
  const names: unknown = JSON.parse(json);
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}
