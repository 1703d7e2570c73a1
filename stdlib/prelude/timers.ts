/** The timer functions and `queueMicrotask` as globals; the worker keeps the clock. */
import { cancelTimer, fail, startTimer } from "./boundary.js";
import { BasePromise, BaseTypeError, defineProperty, then } from "./primordials.js";

const settled = BasePromise.resolve();

const functions = {
  setTimeout(callback: unknown, delay?: unknown, ...args: unknown[]) {
    return startTimer(callback, delay, false, args);
  },
  setInterval(callback: unknown, delay?: unknown, ...args: unknown[]) {
    return startTimer(callback, delay, true, args);
  },
  clearTimeout(id?: unknown) {
    cancelTimer(id);
  },
  clearInterval(id?: unknown) {
    cancelTimer(id);
  },
  queueMicrotask(callback: unknown) {
    if (typeof callback !== "function") {
      throw new BaseTypeError("The callback of queueMicrotask must be a function.");
    }
    then(settled, () => {
      try {
        callback();
      } catch (error) {
        fail(error);
      }
    });
  },
};

/** Defines the timers on the global object. */
export function installTimers(): void {
  for (const [name, value] of Object.entries(functions)) {
    defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
}
