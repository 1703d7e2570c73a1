/**
 * The messages between the driver and a worker thread, and the checks that both sides make before
 * they believe one. A worker runs untrusted scripts: what it sends is checked like foreign input.
 */
import { isErrorCode, type SerializedError } from "../../contract/errors.js";
import { MAX_OUTPUT_BYTES } from "./limits.js";

/** Binds a worker to its space, once. */
export interface OpenMessage {
  readonly type: "open";
  /** Host directory of the workspace. */
  readonly workspace: string;
  /** Where it appears inside. */
  readonly mount: string;
}

export interface RunMessage {
  readonly type: "run";
  readonly id: number;
  readonly argv: readonly [string, ...string[]];
  readonly workdir: string;
  readonly env: ReadonlyArray<readonly [string, string]>;
  readonly input: Uint8Array;
  /** Becomes 1 when the command is to end; read also while it holds the worker's event loop. */
  readonly killFlag: Int32Array;
}

export interface KillMessage {
  readonly type: "kill";
  readonly id: number;
}

export type HostMessage = OpenMessage | RunMessage | KillMessage;

/** The end of a command; `error` says that it could not be run or was cut off by a limit. */
export interface EndMessage {
  readonly type: "end";
  readonly id: number;
  readonly exitCode: number;
  readonly killed: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly error?: SerializedError | undefined;
}

export type WorkerMessage = { readonly type: "ready" } | EndMessage;

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isId = (value: unknown): value is number => Number.isSafeInteger(value);
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

function isError(value: unknown): value is SerializedError {
  return (
    isFields(value) &&
    isErrorCode(value.code) &&
    typeof value.message === "string" &&
    (value.suggestion === undefined || typeof value.suggestion === "string") &&
    value.details === undefined
  );
}

/** Is this a message that a driver sends? */
export function isHostMessage(value: unknown): value is HostMessage {
  if (!isFields(value)) return false;
  switch (value.type) {
    case "open":
      return typeof value.workspace === "string" && typeof value.mount === "string";
    case "kill":
      return isId(value.id);
    case "run":
      return (
        isId(value.id) &&
        isStrings(value.argv) &&
        value.argv.length > 0 &&
        typeof value.workdir === "string" &&
        Array.isArray(value.env) &&
        value.env.every((pair) => isStrings(pair) && pair.length === 2) &&
        value.input instanceof Uint8Array &&
        value.killFlag instanceof Int32Array &&
        value.killFlag.length === 1
      );
    default:
      return false;
  }
}

/** Is this a message that a worker may send? */
export function isWorkerMessage(value: unknown): value is WorkerMessage {
  if (!isFields(value)) return false;
  if (value.type === "ready") return true;
  const { type, id, exitCode, killed, stdout, stderr, error } = value;
  return (
    type === "end" &&
    isId(id) &&
    typeof exitCode === "number" &&
    Number.isInteger(exitCode) &&
    exitCode >= 0 &&
    exitCode <= 255 &&
    typeof killed === "boolean" &&
    stdout instanceof Uint8Array &&
    stderr instanceof Uint8Array &&
    stdout.byteLength + stderr.byteLength <= MAX_OUTPUT_BYTES &&
    (error === undefined || isError(error))
  );
}
