/** The time by which schedules go; tests bring one of their own. */

export interface Clock {
  /** Milliseconds since 1970, by the clock on the wall: it may jump either way. */
  now(): number;
  /** Milliseconds that only ever go forward, for what has to last. */
  elapsed(): number;
  /** Calls back once, later. Disposing calls that off; a process does not stay for it. */
  after(ms: number, act: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
