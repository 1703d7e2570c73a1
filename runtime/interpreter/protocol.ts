/**
 * The messages between the main thread and a sandbox worker, and the check of those that come from
 * the worker: a script that broke out of the engine could send anything.
 */
import { MAX_CALL_LENGTH, MAX_ERROR_LENGTH, MAX_NAME_LENGTH, OUTPUT_BATCH } from "./limits.js";

/** Indices into the control block that both threads share; the main thread never reads it. */
export const CONTROL = {
  /** Counts the messages sent to the worker; a blocked worker waits on it. */
  wake: 0,
  /** A value of `STOP`. */
  stop: 1,
  /** Output that the main thread has taken, in UTF-16 units, modulo 2^32. */
  outputTaken: 2,
} as const;
export const CONTROL_LENGTH = 4;

/** Why the main thread wants the script to end. */
export const STOP = { none: 0, timeout: 1, cancelled: 2 } as const;

/** What a worker is started with. */
export interface WorkerData {
  readonly control: Int32Array;
  /** The compiled engine, shared by a pool; a single worker compiles it itself. */
  readonly wasmModule: WebAssembly.Module | undefined;
  /** Whether to build the next sandbox while the worker idles. */
  readonly prebuild: boolean;
  /** Memory of the sandbox built ahead, in bytes. */
  readonly memoryBytes: number;
}

export interface RunMessage {
  readonly type: "run";
  readonly run: number;
  readonly filename: string;
  readonly source: string;
  /** JSON of what the prelude's `start` takes. */
  readonly facts: string;
  readonly timeoutMs: number | undefined;
  readonly memoryBytes: number;
}

/** Opens a session; its answer is that of the request `id`. */
export interface OpenMessage {
  readonly type: "open";
  readonly run: number;
  readonly id: number;
  /** Name of its inputs without their number. */
  readonly filename: string;
  readonly facts: string;
  readonly memoryBytes: number;
}

/** Evaluates an input in the session. */
export interface EvaluateMessage {
  readonly type: "evaluate";
  readonly id: number;
  /** Name of the input in stacks. */
  readonly name: string;
  readonly code: string;
  /** Text of the module that makes its imports. */
  readonly module: string | undefined;
  /** JSON of what the session's hook `begin` takes. */
  readonly facts: string;
  readonly timeoutMs: number | undefined;
}

/** Asks for the members of an object of the session. */
export interface CompleteMessage {
  readonly type: "complete";
  readonly id: number;
  /** JSON of what the session's hook `complete` takes. */
  readonly question: string;
  readonly timeoutMs: number;
}

/** The answer to a `call` or `module` message: JSON `[0, value]` or `[1, error]`. */
export interface ReplyMessage {
  readonly type: "reply";
  readonly id: number;
  readonly answer: string;
}

/** Wakes the worker's event loop; the reason is in the control block. */
export interface StopMessage {
  readonly type: "stop";
}

export type MainMessage =
  | RunMessage
  | OpenMessage
  | EvaluateMessage
  | CompleteMessage
  | ReplyMessage
  | StopMessage;

/** How a script ended, as the worker saw it. */
export type Outcome =
  | { readonly kind: "completed" }
  | { readonly kind: "exited"; readonly exitCode: number }
  /** `error` is the JSON that the prelude's `describe` made; the script can have forged it. */
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "cancelled" }
  | { readonly kind: "memory" }
  | { readonly kind: "neverSettles" }
  /** The engine itself failed. */
  | { readonly kind: "crashed" };

/** What came of a request to a session, which goes on. */
export type Answer =
  /** `text` is what the value is shown as; none where there is nothing to show. */
  | { readonly kind: "value"; readonly text: string | undefined }
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "timeout" | "cancelled" | "neverSettles" };

export type OutputStream = "stdout" | "stderr";
export type OutputPiece = readonly [stream: OutputStream, text: string];

export type WorkerMessage =
  | { readonly type: "call"; readonly id: number; readonly name: string; readonly input: string }
  | { readonly type: "module"; readonly id: number; readonly path: string }
  | { readonly type: "output"; readonly pieces: readonly OutputPiece[] }
  | { readonly type: "done"; readonly run: number; readonly outcome: Outcome }
  | { readonly type: "answered"; readonly id: number; readonly answer: Answer }
  /** An error of a session's code that ran between two inputs, or beside one. */
  | { readonly type: "uncaught"; readonly error: string }
  /** What ran between two inputs has been stopped, as the main thread wished. */
  | { readonly type: "stopped" };

const PIECES = 1024;
const PIECE_LENGTH = OUTPUT_BATCH + 65_536;
const CALL_NAME = /^[A-Za-z][\w.:-]*$/;
const SIMPLE_OUTCOMES = new Set([
  "completed",
  "timeout",
  "cancelled",
  "memory",
  "neverSettles",
  "crashed",
]);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown, length: number): value is string {
  return typeof value === "string" && value.length <= length;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isPiece(value: unknown): value is OutputPiece {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    (value[0] === "stdout" || value[0] === "stderr") &&
    isText(value[1], PIECE_LENGTH)
  );
}

function isOutcome(value: unknown): value is Outcome {
  if (!isRecord(value) || typeof value.kind !== "string") {
    return false;
  }
  if (value.kind === "exited") {
    const code = value.exitCode;
    return Number.isInteger(code) && Number(code) >= 0 && Number(code) <= 255;
  }
  if (value.kind === "failed") {
    return isText(value.error, MAX_ERROR_LENGTH);
  }
  return SIMPLE_OUTCOMES.has(value.kind);
}

function isAnswer(value: unknown): value is Answer {
  if (!isRecord(value)) {
    return false;
  }
  switch (value.kind) {
    case "value":
      return value.text === undefined || isText(value.text, MAX_ERROR_LENGTH);
    case "failed":
      return isText(value.error, MAX_ERROR_LENGTH);
    default:
      return (
        value.kind === "timeout" || value.kind === "cancelled" || value.kind === "neverSettles"
      );
  }
}

/** Is this name one that a host call can have? */
export function isCallName(name: unknown): name is string {
  return isText(name, MAX_NAME_LENGTH) && CALL_NAME.test(name);
}

/** The message, if it is well formed; undefined for anything else. */
export function parseWorkerMessage(value: unknown): WorkerMessage | undefined {
  if (!isRecord(value)) {
    return undefined;
  }
  switch (value.type) {
    case "call":
      return isId(value.id) && isCallName(value.name) && isText(value.input, MAX_CALL_LENGTH)
        ? { type: "call", id: value.id, name: value.name, input: value.input }
        : undefined;
    case "module":
      return isId(value.id) && isText(value.path, 4096)
        ? { type: "module", id: value.id, path: value.path }
        : undefined;
    case "output":
      return Array.isArray(value.pieces) &&
        value.pieces.length <= PIECES &&
        value.pieces.every(isPiece)
        ? { type: "output", pieces: value.pieces }
        : undefined;
    case "done":
      return isId(value.run) && isOutcome(value.outcome)
        ? { type: "done", run: value.run, outcome: value.outcome }
        : undefined;
    case "answered":
      return isId(value.id) && isAnswer(value.answer)
        ? { type: "answered", id: value.id, answer: value.answer }
        : undefined;
    case "uncaught":
      return isText(value.error, MAX_ERROR_LENGTH)
        ? { type: "uncaught", error: value.error }
        : undefined;
    case "stopped":
      return { type: "stopped" };
    default:
      return undefined;
  }
}
