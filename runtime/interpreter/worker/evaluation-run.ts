/**
 * A sandbox that lives on between inputs: evaluates them one after the other, runs what they left
 * behind meanwhile, and goes on after each that failed or was cancelled, where it still can.
 */
import type {
  Answer,
  CompleteMessage,
  EvaluateMessage,
  OpenMessage,
  ReplyMessage,
} from "../protocol.js";
import { STOP } from "../protocol.js";
import type { Bridge } from "./bridge.js";
import type { Engine, Sandbox } from "./engine.js";
import { Guest, type GuestEnd, OK } from "./guest.js";
import { ModuleTable } from "./modules.js";
import { answerError } from "./pending-calls.js";

/** How long what was interrupted may take to die out, in milliseconds. */
const DRAIN_MS = 400;
const JOBS_PER_DRAIN = 10_000;

type SessionEnd = GuestEnd | { readonly kind: "failed"; readonly error: string };

export class EvaluationRun extends Guest<SessionEnd> {
  #run = 0;
  #ready = false;
  /** Set while our own code tidies up in the guest: it is not to be interrupted. */
  #tidying = false;
  /** The request that has no answer yet. */
  #request: number | undefined;
  /** The last call and timer before that request. */
  #marks: readonly [call: number, timer: number] = [0, 0];
  /** What came while the guest was being stopped. */
  #lateTimers: number[] = [];
  #lateReplies: ReplyMessage[] = [];
  #onFinish: () => void = () => undefined;

  /** Builds a sandbox with the prelude evaluated. */
  static prepare(engine: Engine, bridge: Bridge, memoryBytes: number): Promise<EvaluationRun> {
    return new EvaluationRun(bridge).build(engine, memoryBytes);
  }

  /** Makes the session ready, and answers that; `onFinish` is called when its end was reported. */
  open(message: OpenMessage, onFinish: () => void): void {
    this.#run = message.run;
    this.#onFinish = onFinish;
    this.#request = message.id;
    const entry = { filename: message.filename, source: undefined };
    this.modules = new ModuleTable(entry, (path) => this.bridge.readModule(path, this));
    this.hook("start", message.facts);
    this.pump();
  }

  /** Evaluates an input, and answers with what its value is shown as. */
  evaluate({ id, name, code, module, timeoutMs, facts }: EvaluateMessage): void {
    this.modules?.setInput(name, module);
    this.#begin(id, timeoutMs);
    this.hook("begin", facts);
    if (this.#request !== undefined && this.sandbox?.evaluate(name, code) === false) {
      this.engineFailed();
    }
    this.pump();
  }

  /** Answers with the JSON list of the members of an object. */
  complete({ id, question, timeoutMs }: CompleteMessage): void {
    this.#begin(id, timeoutMs);
    this.hook("complete", question);
    this.pump();
  }

  receive(reply: ReplyMessage): void {
    if (this.#isBeingStopped) {
      this.#lateReplies.push(reply);
      return;
    }
    this.settle(this.bridge.takeReplies(reply));
    this.pump();
  }

  wake(): void {
    if (!this.#isBeingStopped) {
      this.settle(this.#lateReplies.splice(0));
      for (const id of this.#lateTimers.splice(0)) {
        super.fire(id);
      }
    }
    this.pump();
  }

  protected get isActive(): boolean {
    return this.#run !== 0 && !this.#tidying;
  }

  protected override fire(id: number): void {
    if (this.#isBeingStopped) {
      this.#lateTimers.push(id);
    } else {
      super.fire(id);
    }
  }

  protected answer(operation: string, json: string): string {
    switch (operation) {
      case "settled":
        this.#ready = true;
        this.#answer({ kind: "value", text: undefined });
        return OK;
      case "value":
        this.#answer({ kind: "value", text: (JSON.parse(json) as string | null) ?? undefined });
        return OK;
      case "threw":
        if (this.diedOfMemory(json)) {
          this.end = { kind: "memory" };
          return "";
        }
        this.#answer({ kind: "failed", error: json });
        return OK;
      case "fail":
        if (!this.#ready) {
          this.end = { kind: "failed", error: json };
          return "";
        }
        this.bridge.report({ type: "uncaught", error: json }, this);
        return OK;
      default:
        return answerError(new Error(`There is no operation "${operation}".`));
    }
  }

  protected pump(): void {
    const { sandbox } = this;
    if (sandbox === undefined) {
      return;
    }
    this.runTurn(sandbox);
    if (this.end === undefined) {
      if (this.#request !== undefined && this.calls.size === 0 && this.timers.size === 0) {
        this.#answer({ kind: "neverSettles" });
      }
      this.bridge.flush(this);
    } else if (this.end.kind === "timeout" || this.end.kind === "cancelled") {
      this.#recover(sandbox, this.end.kind);
    } else {
      this.#finish(this.end);
    }
  }

  get #isBeingStopped(): boolean {
    return this.bridge.stopReason !== STOP.none;
  }

  #begin(id: number, timeoutMs: number | undefined): void {
    this.#request = id;
    this.#marks = [this.calls.lastId, this.lastTimer];
    this.deadline =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  }

  #answer(answer: Answer): void {
    const id = this.#request;
    if (id !== undefined) {
      this.#request = undefined;
      this.deadline = Number.POSITIVE_INFINITY;
      this.bridge.report({ type: "answered", id, answer }, this);
    }
  }

  /** Clears away what was interrupted and what belongs to it; ends the session where that fails. */
  #recover(sandbox: Sandbox, kind: "timeout" | "cancelled"): void {
    if (!this.#ready || !this.#drop() || !this.#drain(sandbox)) {
      this.#finish(this.end ?? { kind });
      return;
    }
    sandbox.forgetRejections();
    this.end = undefined;
    if (this.#request === undefined) {
      this.bridge.report({ type: "stopped" }, this);
    } else {
      this.#answer({ kind });
    }
  }

  /** Forgets the calls and timers of the request: what waits for them never goes on. */
  #drop(): boolean {
    if (this.#request === undefined) {
      return true;
    }
    const stopped = this.end;
    const [callMark, timerMark] = this.#marks;
    this.calls.dropAfter(callMark);
    for (const id of [...this.timers.keys()].filter((id) => id > timerMark)) {
      this.clearTimer(id);
    }
    this.end = undefined;
    this.#tidying = true;
    this.hook("drop", `[${callMark},${timerMark}]`);
    this.#tidying = false;
    if (this.end !== undefined) {
      return false;
    }
    this.end = stopped;
    return true;
  }

  /** Runs what is left of it, interrupted at every turn, until nothing is left. */
  #drain(sandbox: Sandbox): boolean {
    const until = performance.now() + DRAIN_MS;
    while (!sandbox.broken && performance.now() < until) {
      if (sandbox.runJobs(JOBS_PER_DRAIN) === 0) {
        return true;
      }
    }
    return false;
  }

  #finish(end: SessionEnd): void {
    this.bridge.finish(this.#run, end, this);
    this.dropSandbox();
    this.#onFinish();
  }
}
