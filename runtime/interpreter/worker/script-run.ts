/**
 * One script in one sandbox: runs its event loop, and decides how it ended. Made before its script
 * is known, so that a sandbox can wait ready.
 */
import type { Outcome, ReplyMessage, RunMessage } from "../protocol.js";
import type { Bridge } from "./bridge.js";
import type { Engine } from "./engine.js";
import { Guest, OK } from "./guest.js";
import { ModuleTable } from "./modules.js";
import { answerError } from "./pending-calls.js";

export class ScriptRun extends Guest<Outcome> {
  #run = 0;
  #settled = false;
  #finished = false;
  #onFinish: () => void = () => undefined;

  /** Builds a sandbox with the prelude evaluated, ready for one script. */
  static prepare(engine: Engine, bridge: Bridge, memoryBytes: number): Promise<ScriptRun> {
    return new ScriptRun(bridge).build(engine, memoryBytes);
  }

  /** Starts the script; `onFinish` is called when its end has been reported. */
  start(message: RunMessage, onFinish: () => void): void {
    this.#run = message.run;
    this.#onFinish = onFinish;
    if (message.timeoutMs !== undefined) {
      this.deadline = performance.now() + message.timeoutMs;
    }
    this.modules = new ModuleTable(message, (path) => this.bridge.readModule(path, this));
    this.hook("start", message.facts);
    this.pump();
  }

  receive(reply: ReplyMessage): void {
    this.settle(this.bridge.takeReplies(reply));
    this.pump();
  }

  wake(): void {
    this.pump();
  }

  /** A sandbox that is built ahead: a stop still set was meant for the script before it. */
  protected get isActive(): boolean {
    return this.#run !== 0;
  }

  protected answer(operation: string, json: string): string {
    switch (operation) {
      case "settled":
        this.#settled = true;
        return OK;
      case "fail":
        this.end = { kind: "failed", error: json };
        return "";
      default:
        return answerError(new Error(`There is no operation "${operation}".`));
    }
  }

  protected pump(): void {
    const { sandbox } = this;
    if (this.#finished || sandbox === undefined) {
      return;
    }
    this.runTurn(sandbox);
    if (this.end === undefined && this.calls.size === 0 && this.timers.size === 0) {
      this.end = { kind: this.#settled ? "completed" : "neverSettles" };
    }
    if (this.end === undefined) {
      this.bridge.flush(this);
    } else {
      this.#finish(this.end);
    }
  }

  #finish(outcome: Outcome): void {
    this.#finished = true;
    this.bridge.finish(this.#run, this.#classify(outcome), this);
    this.dropSandbox();
    this.#onFinish();
  }

  #classify(outcome: Outcome): Outcome {
    // The job that would have settled the script may have been lost for want of memory.
    const lost = outcome.kind === "neverSettles" && this.sandbox?.memoryRefused === true;
    return lost || (outcome.kind === "failed" && this.diedOfMemory(outcome.error))
      ? { kind: "memory" }
      : outcome;
  }
}
