/** The time by which schedules go; tests bring one of their own. */

export interface Clock {
  /** Milliseconds since 1970, by the clock on the wall: it may jump either way. */
  now(): number;
  /** Milliseconds that only ever go forward, for what has to last. */
  elapsed(): number;
  /** Calls back once, later. Disposing calls that off. */
  after(ms: number, act: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Waits for a time, in milliseconds. */
export function pauseFor(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** Whether something ends within a time, in milliseconds. */
export async function endsWithin(
  clock: Clock,
  work: Promise<unknown>,
  ms: number,
): Promise<boolean> {
  let timer: Disposable | undefined;
  const time = new Promise<boolean>((resolve) => {
    timer = clock.after(ms, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), time]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
