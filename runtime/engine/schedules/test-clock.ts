/** A clock for tests that stands still until it is put forward, or back. */
import type { Clock } from "./clock.js";

interface Timer {
  readonly at: number;
  readonly act: () => void;
}

export class TestClock implements Clock {
  #now: number;
  #elapsed = 0;
  readonly #timers = new Set<Timer>();

  /** @param now milliseconds since 1970 */
  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  after(ms: number, act: () => void): Disposable {
    const timer = { at: this.#elapsed + ms, act };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Lets time pass without any timer: as on a machine that sleeps. */
  sleepUntil(now: number): void {
    this.#elapsed += Math.max(0, now - this.#now);
    this.#now = now;
  }

  /** Puts the clock on the wall forward or back, while no time passes. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Lets time pass; timers run when they are due. */
  pass(ms: number): void {
    const end = this.#elapsed + ms;
    for (;;) {
      const [next] = [...this.#timers]
        .filter(({ at }) => at <= end)
        .sort((one, other) => one.at - other.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      const passed = Math.max(0, next.at - this.#elapsed);
      this.#elapsed += passed;
      this.#now += passed;
      next.act();
    }
    this.#now += end - this.#elapsed;
    this.#elapsed = end;
  }
}
