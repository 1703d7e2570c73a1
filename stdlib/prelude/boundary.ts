/**
 * The only way between a script and its host: one function that takes a string and gives one, and
 * a few hooks that the host calls. Everything crosses as JSON; the worker's `bridge.ts` is the
 * other end.
 */
import { describe, SpacesError } from "./errors.js";
import {
  apply,
  BaseError,
  BasePromise,
  BaseRangeError,
  BaseSyntaxError,
  BaseTypeError,
  codeAt,
  create,
  freeze,
  parseJson,
  slice,
  stringify,
  then,
} from "./primordials.js";

/** What the worker puts on the global object for the prelude to take. */
interface HostPort {
  /** Carries one operation out. An empty answer means that the script has to end now. */
  readonly call: (operation: string, json: string) => string;
  /** Evaluates a built text of the standard library and gives its value. */
  readonly evaluate: (name: string) => unknown;
  /** Names a function that the worker calls. */
  readonly hook: (name: string, hook: (argument: unknown) => void) => void;
}

const global = globalThis as unknown as Record<string, unknown>;
const port = global["spaces:port"] as HostPort;
delete global["spaces:port"];
const { call, evaluate } = port;

/** Names a function that the worker calls with one argument. */
export const { hook } = port;

interface Facts {
  readonly args: readonly string[];
  readonly input?: unknown;
  readonly env: Record<string, string>;
  readonly space?: string;
  readonly concurrentCalls: number;
}

interface PendingCall {
  readonly id: number;
  readonly request: string;
  /** Stack at the call, given to the error, which is made when no user code is on the stack. */
  readonly stack: string | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  next: PendingCall | undefined;
}

interface Timer {
  readonly callback: (...args: unknown[]) => void;
  readonly args: unknown[];
  readonly repeats: boolean;
}

/** What the run was started with; filled in when the script is about to run. */
export const script: {
  args: readonly string[];
  input: unknown;
  env: Readonly<Record<string, string>>;
  space: string | undefined;
} = { args: [], input: undefined, env: {}, space: undefined };

/** Longer delays count as the shortest one, as they do elsewhere. */
const LONGEST_TIMER_MS = 2_147_483_647;
/** Longest text that one write carries out, in UTF-16 units. */
const WRITE_PIECE = 65_536;

let concurrentCalls = 1;
let callsInFlight = 0;
let lastCall = 0;
let firstWaiting: PendingCall | undefined;
let lastWaiting: PendingCall | undefined;
let lastTimer = 0;
const calls: Record<number, PendingCall> = create(null);
const timers: Record<number, Timer> = create(null);

/** Carries one operation to the worker, and gives the JSON of its answer. */
export function send(operation: string, json: string): string {
  const answer = call(operation, json);
  if (answer === "") {
    // The host has ended this script. Spinning makes the engine ask, and stop for good.
    for (;;);
  }
  return answer;
}

function request(name: string, input: unknown): string {
  const json = input === undefined ? undefined : stringify(input);
  return `{"name":${stringify(name)}${json === undefined ? "" : `,"input":${json}`}}`;
}

/** Builds the error that an answer carries: of the registry (1), or of the worker's Node (2). */
function toError(kind: number, wire: Record<string, unknown>): Error {
  const message = wire.message as string;
  if (kind === 1) {
    return new SpacesError(wire.code as string, message, {
      suggestion: wire.suggestion as string,
      status: wire.status as number,
      details: wire.details as Record<string, unknown>,
    });
  }
  const name = wire.name as string;
  if (name === "TypeError") {
    return new BaseTypeError(message);
  }
  if (name === "RangeError") {
    return new BaseRangeError(message);
  }
  if (name === "SyntaxError") {
    return new BaseSyntaxError(message);
  }
  const error = new BaseError(message);
  error.name = name;
  return error;
}

function unpack(answer: string): unknown {
  const reply = parseJson(answer) as [number, unknown];
  if (reply[0] === 0) {
    return reply[1];
  }
  throw toError(reply[0], reply[1] as Record<string, unknown>);
}

/**
 * Asks the host and blocks until it has answered.
 *
 * @throws SpacesError with the code that the host answered with
 */
export function callSync(name: string, input: unknown): unknown {
  return unpack(send("call", request(name, input)));
}

/**
 * Calls a function of the worker thread itself, which takes microseconds.
 *
 * @throws the error that the function threw
 */
export function native(name: string, input: unknown): unknown {
  return unpack(send("native", request(name, input)));
}

/** Asks the host without blocking. The promise rejects with a `SpacesError`. */
export function callAsync(name: string, input: unknown): Promise<unknown> {
  return new BasePromise((resolve, reject) => {
    const json = request(name, input);
    const stack = new BaseError().stack;
    lastCall += 1;
    const pending: PendingCall = {
      id: lastCall,
      request: json,
      stack,
      resolve,
      reject,
      next: undefined,
    };
    if (callsInFlight < concurrentCalls) {
      dispatch(pending);
    } else if (lastWaiting === undefined) {
      firstWaiting = pending;
      lastWaiting = pending;
    } else {
      // The queue lives in the script's own memory, so that its length is the script's expense.
      lastWaiting.next = pending;
      lastWaiting = pending;
    }
  });
}

function dispatch(pending: PendingCall): void {
  calls[pending.id] = pending;
  callsInFlight += 1;
  send("async", `[${pending.id},${pending.request}]`);
}

/** Settles promises of `callAsync`: a list of `[id, kind, value]`. */
function settle(json: unknown): void {
  const replies = parseJson(json as string) as [number, number, unknown][];
  for (let index = 0; index < replies.length; index += 1) {
    const reply = replies[index] as [number, number, unknown];
    const pending = calls[reply[0]];
    if (pending === undefined) {
      continue;
    }
    delete calls[reply[0]];
    callsInFlight -= 1;
    if (reply[1] === 0) {
      pending.resolve(reply[2]);
    } else {
      const error = toError(reply[1], reply[2] as Record<string, unknown>);
      if (pending.stack !== undefined) {
        error.stack = pending.stack;
      }
      pending.reject(error);
    }
    sendWaiting();
  }
}

/** Sends the calls that wait, as far as there is room for them. */
function sendWaiting(): void {
  while (firstWaiting !== undefined && callsInFlight < concurrentCalls) {
    const next: PendingCall = firstWaiting;
    firstWaiting = next.next;
    if (firstWaiting === undefined) {
      lastWaiting = undefined;
    }
    dispatch(next);
  }
}

/**
 * Forgets the calls and timers that began after two marks: the numbers of the last ones that stay.
 * Their promises are never settled.
 */
function drop(json: unknown): void {
  const marks = parseJson(json as string) as [number, number];
  const callMark = marks[0];
  for (let id = callMark + 1; id <= lastCall; id += 1) {
    if (calls[id] !== undefined) {
      delete calls[id];
      callsInFlight -= 1;
    }
  }
  // Calls wait in the order of their numbers, so that those which stay come first.
  let last: PendingCall | undefined;
  for (let next = firstWaiting; next !== undefined && next.id <= callMark; next = next.next) {
    last = next;
  }
  lastWaiting = last;
  if (last === undefined) {
    firstWaiting = undefined;
  } else {
    last.next = undefined;
  }
  for (let id = marks[1] + 1; id <= lastTimer; id += 1) {
    delete timers[id];
  }
  sendWaiting();
}

/** Ends the script with an error that nothing caught. */
export function fail(reason: unknown): void {
  send("fail", describe(reason));
}

/** Writes to one of the script's outputs. */
export function write(stream: "stdout" | "stderr", text: string): void {
  let start = 0;
  while (start < text.length) {
    let end = start + WRITE_PIECE;
    if (end < text.length && (codeAt(text, end - 1) & 0xfc00) === 0xd800) {
      end -= 1;
    }
    send(stream, stringify(slice(text, start, end)) as string);
    start = end;
  }
}

/** Evaluates a built text that is too large for the prelude, and gives what it exports. */
export function loadLazy(name: string): unknown {
  return evaluate(name);
}

/** Starts a timer; the delay is in milliseconds. Gives the number that cancels it. */
export function startTimer(
  callback: unknown,
  delay: unknown,
  repeats: boolean,
  args: unknown[],
): number {
  if (typeof callback !== "function") {
    throw new BaseTypeError("The callback of a timer must be a function.");
  }
  let milliseconds = Number(delay);
  if (!(milliseconds >= 1 && milliseconds <= LONGEST_TIMER_MS)) {
    milliseconds = 1;
  }
  lastTimer += 1;
  const id = lastTimer;
  unpack(send("timer", `[${id},${milliseconds},${repeats}]`));
  timers[id] = { callback: callback as Timer["callback"], args, repeats };
  return id;
}

/** Cancels a timer; does nothing where there is none. */
export function cancelTimer(id: unknown): void {
  const number = Number(id);
  if (timers[number] !== undefined) {
    delete timers[number];
    send("clear", `${number}`);
  }
}

function fire(id: unknown): void {
  const timer = timers[Number(id)];
  if (timer === undefined) {
    return;
  }
  if (!timer.repeats) {
    delete timers[Number(id)];
  }
  try {
    apply(timer.callback, undefined, timer.args);
  } catch (error) {
    fail(error);
  }
}

function start(json: unknown): void {
  const facts = parseJson(json as string) as Facts;
  concurrentCalls = facts.concurrentCalls;
  script.args = freeze(facts.args);
  script.input = facts.input;
  script.env = freeze(facts.env);
  script.space = facts.space;
  freeze(script);
  then(import("spaces:entry"), () => void send("settled", ""), fail);
}

hook("start", start);
hook("settle", settle);
hook("drop", drop);
hook("fire", fire);
hook("fail", fail);
