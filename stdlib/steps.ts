/**
 * One body for the synchronous and the promise form of a function: it is written as a generator
 * that yields the calls it wants made, and is driven here in the one way or the other.
 */
import { callAsync, callSync } from "spaces:host";

/** A call that a function wants made to the host: the call's name and its input. */
export type HostStep = readonly [name: string, input: object];

/** The body of a function: yields calls, is given their answers, returns the result. */
export type Steps<Result> = Generator<HostStep, Result, unknown>;

/**
 * Makes one call and gives its answer the type that the host's contract promises.
 * @param name Name of the call, such as `spaces.start`.
 * @param input JSON-safe input; undefined members are left out on the way.
 */
export function* call<Answer>(name: string, input: object): Steps<Answer> {
  return (yield [name, input]) as Answer;
}

/** Runs a function to its end, blocking on every call. */
export function runSync<Result>(steps: Steps<Result>): Result {
  let step = steps.next();
  while (!step.done) {
    const [name, input] = step.value;
    step = steps.next(callSync(name, input));
  }
  return step.value;
}

/** Runs a function to its end, awaiting every call. */
export async function runAsync<Result>(steps: Steps<Result>): Promise<Result> {
  let step = steps.next();
  while (!step.done) {
    const [name, input] = step.value;
    step = steps.next(await callAsync(name, input));
  }
  return step.value;
}

type Table = Record<string, (...args: never[]) => Steps<unknown>>;
type ResultOf<Body> = Body extends (...args: never[]) => Steps<infer Result> ? Result : never;

/** The functions of a table in the form that blocks. */
export type SyncTable<Bodies> = {
  readonly [Name in keyof Bodies]: (...args: unknown[]) => ResultOf<Bodies[Name]>;
};

/** The functions of a table in the form that returns promises. */
export type AsyncTable<Bodies> = {
  readonly [Name in keyof Bodies]: (...args: unknown[]) => Promise<ResultOf<Bodies[Name]>>;
};

/**
 * Turns the bodies of a table into functions that scripts can call.
 * @param bodies Functions as steps, by name.
 * @param runner `runSync` or `runAsync`.
 */
export function drive(
  bodies: Table,
  runner: (steps: Steps<unknown>) => unknown,
): Record<string, (...args: unknown[]) => unknown> {
  const functions: Record<string, (...args: unknown[]) => unknown> = {};
  const made = new Map<unknown, (...args: unknown[]) => unknown>();
  for (const [name, body] of Object.entries(bodies)) {
    // Two names of one body are one function.
    const known = made.get(body) ?? ((...args) => runner(body(...(args as never[]))));
    made.set(body, known);
    functions[name] = known;
  }
  return functions;
}
