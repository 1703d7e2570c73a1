/**
 * Ends a running command from outside, also while it never lets the worker's event loop turn, and
 * ends it when the worker's heap runs short. Used by the worker, one for each command.
 */
import { getHeapStatistics } from "node:v8";
import { HEAP_BUDGET_BYTES } from "./limits.js";

/** Polls between two looks at the heap, which cost some microseconds each. */
const POLLS_PER_HEAP_CHECK = 2048;

export class KillSwitch {
  readonly #controller = new AbortController();
  #cause: "kill" | "memory" | undefined;
  #polls = 0;

  /** @param flag becomes 1, from the other thread, when the command is to end */
  constructor(flag: Int32Array) {
    // The interpreter asks `aborted` before every statement: the only moment in which a loop that
    // never awaits anything real can learn of its end.
    Object.defineProperty(this.#controller.signal, "aborted", {
      get: () => this.#poll(flag),
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the command was ended, or undefined. */
  get cause(): "kill" | "memory" | undefined {
    return this.#cause;
  }

  /** Ends the command at its next statement or wait. */
  kill(): void {
    this.#end("kill");
  }

  #end(cause: "kill" | "memory"): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#controller.abort();
  }

  #poll(flag: Int32Array): boolean {
    if (this.#cause !== undefined) return true;
    if (flag[0] === 1) {
      this.#end("kill");
    } else if (++this.#polls % POLLS_PER_HEAP_CHECK === 0) {
      const { used_heap_size, external_memory } = getHeapStatistics();
      if (used_heap_size + external_memory > HEAP_BUDGET_BYTES) this.#end("memory");
    }
    return this.#cause !== undefined;
  }
}
