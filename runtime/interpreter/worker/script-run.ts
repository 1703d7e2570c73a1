/**
 * One script in one sandbox: answers what the prelude asks, runs the event loop, and decides how
 * the script ended. Made before its script is known, so that a sandbox can wait ready.
 */
import { ERRORS, SpacesError } from "../../contract/errors.js";
import {
  GUEST_STACK_BYTES,
  JOBS_PER_TURN,
  MAX_CALL_LENGTH,
  MAX_CALLS_LENGTH,
  MAX_TIMERS,
} from "../limits.js";
import { isCallName, type Outcome, type ReplyMessage, type RunMessage, STOP } from "../protocol.js";
import type { Bridge, StopCheck } from "./bridge.js";
import type { Engine, EngineHost, ModuleText, Sandbox } from "./engine.js";
import { ModuleTable, stdlibText } from "./modules.js";
import { natives } from "./natives.js";

const OK = "[0]";
/** Output waits no longer than this while the script computes, in milliseconds. */
const OUTPUT_DELAY_MS = 50;

function answerError(error: unknown): string {
  if (SpacesError.isInstance(error)) {
    const { code, message, suggestion, details, status } = error;
    return JSON.stringify([1, { code, message, suggestion, details, status }]);
  }
  const { name, message } =
    error instanceof Error ? error : { name: "Error", message: "The call failed." };
  return JSON.stringify([2, { name, message }]);
}

function limitExceeded(message: string): SpacesError {
  return new SpacesError("LIMIT_EXCEEDED", message, {
    suggestion: ERRORS.LIMIT_EXCEEDED.suggestion,
  });
}

interface Request {
  readonly name: string;
  readonly input?: unknown;
}

export class ScriptRun implements EngineHost, StopCheck {
  readonly #bridge: Bridge;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  /** Ids of the guest's promise calls by the ids of the bridge. */
  readonly #calls = new Map<number, { readonly guestId: number; readonly length: number }>();
  /** Calls that were refused without being sent: answers that the loop delivers. */
  readonly #refused: string[] = [];
  #callsLength = 0;
  #sandbox: Sandbox | undefined;
  #modules: ModuleTable | undefined;
  #run = 0;
  #settled = false;
  #finished = false;
  #outcome: Outcome | undefined;
  #nextOutput = 0;
  #onFinish: () => void = () => undefined;
  deadline = Number.POSITIVE_INFINITY;

  private constructor(bridge: Bridge) {
    this.#bridge = bridge;
  }

  /** Builds a sandbox with the prelude evaluated, ready for one script. */
  static async prepare(engine: Engine, bridge: Bridge, memoryBytes: number): Promise<ScriptRun> {
    const run = new ScriptRun(bridge);
    run.#sandbox = await engine.createSandbox({
      host: run,
      memoryBytes,
      stackBytes: GUEST_STACK_BYTES,
      prelude: stdlibText("prelude"),
    });
    return run;
  }

  /** Starts the script; `onFinish` is called when its end has been reported. */
  start(message: RunMessage, onFinish: () => void): void {
    this.#run = message.run;
    this.#onFinish = onFinish;
    if (message.timeoutMs !== undefined) {
      this.deadline = performance.now() + message.timeoutMs;
    }
    this.#modules = new ModuleTable(message.filename, message.source, (path) =>
      this.#bridge.readModule(path, this),
    );
    this.#hook("start", message.facts);
    this.#pump();
  }

  /** Takes the answer to a promise call. */
  receive(reply: ReplyMessage): void {
    this.#settle(this.#bridge.takeReplies(reply));
    this.#pump();
  }

  /** Looks whether the script has to end. */
  wake(): void {
    this.#pump();
  }

  shouldStop(): boolean {
    if (this.#outcome !== undefined) {
      return true;
    }
    if (this.#run === 0) {
      // A sandbox that is built ahead: a stop still set was meant for the script before it.
      return false;
    }
    const reason = this.#bridge.stopReason;
    if (reason !== STOP.none) {
      this.#outcome = { kind: reason === STOP.timeout ? "timeout" : "cancelled" };
      return true;
    }
    const now = performance.now();
    if (now >= this.deadline) {
      this.#outcome = { kind: "timeout" };
      return true;
    }
    if (now >= this.#nextOutput) {
      this.#nextOutput = now + OUTPUT_DELAY_MS;
      this.#bridge.flush(this);
    }
    return false;
  }

  call(operation: string, json: string): string {
    if (this.shouldStop()) {
      return "";
    }
    switch (operation) {
      case "call":
        return this.#callHost(json);
      case "native":
        return this.#callNative(json);
      case "async":
        return this.#callLater(json);
      case "stdout":
      case "stderr":
        this.#bridge.write(operation, JSON.parse(json) as string, this);
        return OK;
      case "timer":
        return this.#startTimer(json);
      case "clear":
        this.#clearTimer(Number(json));
        return OK;
      case "settled":
        this.#settled = true;
        return OK;
      case "fail":
        this.#outcome = { kind: "failed", error: json };
        return "";
      default:
        return answerError(new Error(`There is no operation "${operation}".`));
    }
  }

  loadModule(name: string): ModuleText {
    return this.#modules?.load(name) ?? { error: "No script runs." };
  }

  resolveModule(importer: string, specifier: string): string {
    return this.#modules?.resolve(importer, specifier) ?? specifier;
  }

  lazyText(name: string): string {
    return stdlibText(`lazy/${name}`);
  }

  #callHost(json: string): string {
    const request = JSON.parse(json) as Request;
    const refusal = this.#refusal(request.name, json);
    return refusal === undefined
      ? this.#bridge.call(request.name, json, this)
      : answerError(refusal);
  }

  #callLater(json: string): string {
    const [guestId, request] = JSON.parse(json) as [number, Request];
    const input = json.slice(json.indexOf(",") + 1, -1);
    const refusal = this.#refusal(request.name, input);
    if (refusal !== undefined) {
      this.#refused.push(`[${guestId},${answerError(refusal).slice(1)}`);
      return OK;
    }
    const id = this.#bridge.sendCall(request.name, input);
    this.#calls.set(id, { guestId, length: input.length });
    this.#callsLength += input.length;
    return OK;
  }

  #refusal(name: string, json: string): SpacesError | undefined {
    if (!isCallName(name)) {
      return new SpacesError("INVALID_INPUT", `"${String(name).slice(0, 100)}" is no host call.`);
    }
    if (json.length > MAX_CALL_LENGTH) {
      return limitExceeded(
        `The input of ${name} is ${json.length} characters of JSON; the limit is ${MAX_CALL_LENGTH}.`,
      );
    }
    if (this.#callsLength + json.length > MAX_CALLS_LENGTH) {
      return limitExceeded(
        `The calls under way hold more than ${MAX_CALLS_LENGTH} characters of JSON.`,
      );
    }
    return undefined;
  }

  #callNative(json: string): string {
    const { name, input } = JSON.parse(json) as Request;
    try {
      if (name === "sleep") {
        return this.#sleep(input);
      }
      if (name === "exit") {
        return this.#exit(input);
      }
      const native = natives.get(name);
      if (native === undefined) {
        throw new Error(`There is no native function "${name}".`);
      }
      return `[0,${JSON.stringify(native(input)) ?? "null"}]`;
    } catch (error) {
      return answerError(error);
    }
  }

  #sleep(input: unknown): string {
    const milliseconds = Number((input as { ms?: unknown } | null | undefined)?.ms);
    if (!(milliseconds >= 0)) {
      throw new RangeError(`The time to sleep must be 0 or more, not ${milliseconds} ms.`);
    }
    this.#bridge.sleep(milliseconds, this);
    return this.shouldStop() ? "" : OK;
  }

  #exit(input: unknown): string {
    const exitCode = Number((input as { code?: unknown } | null | undefined)?.code ?? 0);
    if (!Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255) {
      throw new RangeError(`The exit code must be a whole number from 0 to 255, not ${exitCode}.`);
    }
    this.#outcome = { kind: "exited", exitCode };
    return "";
  }

  #startTimer(json: string): string {
    const [id, delay, repeats] = JSON.parse(json) as [number, number, boolean];
    if (this.#timers.size >= MAX_TIMERS) {
      return answerError(limitExceeded(`A script can have ${MAX_TIMERS} timers at once.`));
    }
    const fire = () => {
      if (!repeats) {
        this.#timers.delete(id);
      }
      this.#hook("fire", String(id));
      this.#pump();
    };
    this.#timers.set(id, repeats ? setInterval(fire, delay) : setTimeout(fire, delay));
    return OK;
  }

  #clearTimer(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  #settle(replies: readonly ReplyMessage[]): void {
    const settled = this.#refused.splice(0);
    for (const reply of replies) {
      const call = this.#calls.get(reply.id);
      if (call !== undefined) {
        this.#calls.delete(reply.id);
        this.#callsLength -= call.length;
        settled.push(`[${call.guestId},${reply.answer.slice(1)}`);
      }
    }
    if (settled.length > 0) {
      this.#hook("settle", `[${settled.join(",")}]`);
    }
  }

  #hook(name: string, argument: string): void {
    if (!this.#finished && this.#sandbox?.callHook(name, argument) === false) {
      this.#engineFailed();
    }
  }

  /** The engine did not come to the end of what it was told to run: says why. */
  #engineFailed(): void {
    if (!this.shouldStop()) {
      this.#outcome = { kind: this.#sandbox?.memoryRefused === true ? "memory" : "crashed" };
    }
  }

  /** Runs all that can run now; then either the script has ended or an event will come. */
  #pump(): void {
    const sandbox = this.#sandbox;
    if (this.#finished || sandbox === undefined) {
      return;
    }
    for (;;) {
      const ran = sandbox.runJobs(JOBS_PER_TURN);
      if (ran < 0 || sandbox.broken) {
        this.#engineFailed();
      }
      if (this.shouldStop()) {
        break;
      }
      if (ran === JOBS_PER_TURN || sandbox.reportUnhandledRejection()) {
        continue;
      }
      const replies = this.#bridge.takeReplies();
      if (replies.length === 0 && this.#refused.length === 0) {
        break;
      }
      this.#settle(replies);
    }
    if (this.#outcome === undefined && this.#calls.size === 0 && this.#timers.size === 0) {
      this.#outcome = { kind: this.#settled ? "completed" : "neverSettles" };
    }
    if (this.#outcome === undefined) {
      this.#bridge.flush(this);
    } else {
      this.#finish(this.#outcome);
    }
  }

  #finish(outcome: Outcome): void {
    this.#finished = true;
    for (const timer of this.#timers.values()) {
      clearTimeout(timer);
    }
    this.#timers.clear();
    this.#bridge.finish(this.#run, this.#classify(outcome), this);
    this.#sandbox = undefined;
    this.#onFinish();
  }

  /**
   * Death by a failed allocation arrives as a catchable error, as null, or as an empty string,
   * whatever the engine could still make. It counts only if the engine was refused memory.
   */
  #classify(outcome: Outcome): Outcome {
    if (this.#sandbox?.memoryRefused !== true) {
      return outcome;
    }
    if (outcome.kind === "neverSettles") {
      // The job that would have settled the script was lost for want of memory.
      return { kind: "memory" };
    }
    if (outcome.kind !== "failed") {
      return outcome;
    }
    if (this.#sandbox.broken) {
      // A host call lacked memory; the guest was then interrupted, and that is all it could tell.
      return { kind: "memory" };
    }
    const { name, message } = JSON.parse(outcome.error) as { name?: unknown; message?: unknown };
    const nothing = name === "Uncaught" && (message === "null" || message === "");
    return nothing || (name === "InternalError" && message === "out of memory")
      ? { kind: "memory" }
      : outcome;
  }
}
