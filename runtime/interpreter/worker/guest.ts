/**
 * A sandbox and what its code asks of the worker: host calls, natives, timers, output. Once made it
 * runs either one script (`script-run.ts`) or the inputs of a session (`evaluation-run.ts`).
 */
import { GUEST_STACK_BYTES, JOBS_PER_TURN, MAX_TIMERS } from "../limits.js";
import { type ReplyMessage, STOP } from "../protocol.js";
import type { Bridge, StopCheck } from "./bridge.js";
import type { Engine, EngineHost, ModuleText, Sandbox } from "./engine.js";
import { type ModuleTable, stdlibText } from "./modules.js";
import { natives } from "./natives.js";
import { answerError, type CallRequest, limitExceeded, PendingCalls } from "./pending-calls.js";

export const OK = "[0]";
/** Output waits no longer than this while guest code computes, in milliseconds. */
const OUTPUT_DELAY_MS = 50;

/** Why guest code has to end, or how it has ended. */
export type GuestEnd =
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "timeout" | "cancelled" | "memory" | "crashed" };

export abstract class Guest<End extends { readonly kind: string } = GuestEnd>
  implements EngineHost, StopCheck
{
  protected readonly bridge: Bridge;
  protected readonly calls: PendingCalls;
  protected readonly timers = new Map<number, NodeJS.Timeout>();
  protected modules: ModuleTable | undefined;
  /** Set once guest code has to end; from then on it is interrupted wherever it is. */
  protected end: End | GuestEnd | undefined;
  /** The guest's number of the timer that was started last. */
  protected lastTimer = 0;
  #sandbox: Sandbox | undefined;
  #nextOutput = 0;
  deadline = Number.POSITIVE_INFINITY;

  constructor(bridge: Bridge) {
    this.bridge = bridge;
    this.calls = new PendingCalls(bridge);
  }

  /** Builds the sandbox, with the prelude evaluated. */
  async build(engine: Engine, memoryBytes: number): Promise<this> {
    this.#sandbox = await engine.createSandbox({
      host: this,
      memoryBytes,
      stackBytes: GUEST_STACK_BYTES,
      prelude: stdlibText("prelude"),
    });
    return this;
  }

  /** Takes the answer to a promise call. */
  abstract receive(reply: ReplyMessage): void;
  /** Looks whether what runs has to end. */
  abstract wake(): void;
  /** Answers an operation that belongs to the way in which the sandbox is used. */
  protected abstract answer(operation: string, json: string): string;
  /** Runs all that can run now. */
  protected abstract pump(): void;
  /** Whether the main thread's wish to stop is meant for what runs in this sandbox. */
  protected abstract get isActive(): boolean;

  protected get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  protected dropSandbox(): void {
    for (const timer of this.timers.values()) {
      clearTimeout(timer);
    }
    this.timers.clear();
    this.#sandbox = undefined;
  }

  shouldStop(): boolean {
    if (this.end !== undefined) {
      return true;
    }
    if (!this.isActive) {
      return false;
    }
    const reason = this.bridge.stopReason;
    if (reason !== STOP.none) {
      this.end = { kind: reason === STOP.timeout ? "timeout" : "cancelled" };
      return true;
    }
    const now = performance.now();
    if (now >= this.deadline) {
      this.end = { kind: "timeout" };
      return true;
    }
    if (now >= this.#nextOutput) {
      this.#nextOutput = now + OUTPUT_DELAY_MS;
      this.bridge.flush(this);
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
        this.calls.send(json);
        return OK;
      case "stdout":
      case "stderr":
        this.bridge.write(operation, JSON.parse(json) as string, this);
        return OK;
      case "timer":
        return this.#startTimer(json);
      case "clear":
        this.clearTimer(Number(json));
        return OK;
      default:
        return this.answer(operation, json);
    }
  }

  loadModule(name: string): ModuleText {
    return this.modules?.load(name) ?? { error: "No script runs." };
  }

  resolveModule(importer: string, specifier: string): string {
    return this.modules?.resolve(importer, specifier) ?? specifier;
  }

  lazyText(name: string): string {
    return stdlibText(`lazy/${name}`);
  }

  protected hook(name: string, argument: string): void {
    if (this.#sandbox?.callHook(name, argument) === false) {
      this.engineFailed();
    }
  }

  /** The engine did not come to the end of what it was told to run: says why. */
  protected engineFailed(): void {
    if (!this.shouldStop()) {
      this.end = { kind: this.#sandbox?.memoryRefused === true ? "memory" : "crashed" };
    }
  }

  /** Runs promise jobs and delivers answers until there are none, or guest code has to end. */
  protected runTurn(sandbox: Sandbox): void {
    for (;;) {
      const ran = sandbox.runJobs(JOBS_PER_TURN);
      if (ran < 0 || sandbox.broken) {
        this.engineFailed();
      }
      if (this.shouldStop()) {
        return;
      }
      if (ran === JOBS_PER_TURN || sandbox.reportUnhandledRejection()) {
        continue;
      }
      const replies = this.bridge.takeReplies();
      if (replies.length === 0 && !this.calls.hasRefused) {
        return;
      }
      this.settle(replies);
    }
  }

  protected settle(replies: readonly ReplyMessage[]): void {
    const settled = this.calls.take(replies);
    if (settled !== undefined) {
      this.hook("settle", settled);
    }
  }

  protected clearTimer(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
  }

  /** A timer's time has come. */
  protected fire(id: number): void {
    this.hook("fire", String(id));
    this.pump();
  }

  /**
   * Whether what a guest says it died of is that it was refused memory: that arrives as a catchable
   * error, as null, or as an empty string, whatever the engine could still make. It counts only if
   * the engine was refused memory.
   */
  protected diedOfMemory(error: string): boolean {
    if (this.#sandbox?.memoryRefused !== true) {
      return false;
    }
    if (this.#sandbox.broken) {
      // A host call lacked memory; the guest was then interrupted, and that is all it could tell.
      return true;
    }
    const { name, message } = JSON.parse(error) as { name?: unknown; message?: unknown };
    const nothing = name === "Uncaught" && (message === "null" || message === "");
    return nothing || (name === "InternalError" && message === "out of memory");
  }

  #callHost(json: string): string {
    const request = JSON.parse(json) as CallRequest;
    const refusal = this.calls.refusal(request.name, json);
    return refusal === undefined
      ? this.bridge.call(request.name, json, this)
      : answerError(refusal);
  }

  #callNative(json: string): string {
    const { name, input } = JSON.parse(json) as CallRequest;
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
    this.bridge.sleep(milliseconds, this);
    return this.shouldStop() ? "" : OK;
  }

  #exit(input: unknown): string {
    const exitCode = Number((input as { code?: unknown } | null | undefined)?.code ?? 0);
    if (!Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255) {
      throw new RangeError(`The exit code must be a whole number from 0 to 255, not ${exitCode}.`);
    }
    this.end = { kind: "exited", exitCode };
    return "";
  }

  #startTimer(json: string): string {
    const [id, delay, repeats] = JSON.parse(json) as [number, number, boolean];
    if (this.timers.size >= MAX_TIMERS) {
      return answerError(limitExceeded(`A script can have ${MAX_TIMERS} timers at once.`));
    }
    this.lastTimer = Math.max(this.lastTimer, id);
    const fire = () => {
      if (!repeats) {
        this.timers.delete(id);
      }
      this.fire(id);
    };
    this.timers.set(id, repeats ? setInterval(fire, delay) : setTimeout(fire, delay));
    return OK;
  }
}
