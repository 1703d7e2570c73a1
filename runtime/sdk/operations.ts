/**
 * Batches of operations on a space: `space.run({ operations })`. They are carried out one after the
 * other; one that fails is recorded, and the next one is carried out all the same.
 */
import { type SerializedError, SpacesError } from "../contract/errors.js";
import type { CallOptions } from "./connection.js";
import { sdkError } from "./errors.js";
import type { FileEncoding, SpaceFiles } from "./files.js";
import type { SpaceProcesses } from "./processes.js";

interface OperationBase {
  /** Comes back as `operationId` of the operation's event. */
  readonly id?: string | undefined;
}

/** A remark in the record; it does nothing. */
export interface MessageOperation extends OperationBase {
  readonly type: "message";
  readonly content: string;
}

export interface CreateFileOperation extends OperationBase {
  readonly type: "createFile";
  readonly path: string;
  readonly content: string;
  /** `utf8` when absent. */
  readonly encoding?: FileEncoding | undefined;
  /** Replaces a file that exists; it is refused when absent. */
  readonly overwrite?: boolean | undefined;
}

export interface ReadFileOperation extends OperationBase {
  readonly type: "readFile";
  readonly path: string;
  /** `utf8` when absent. */
  readonly encoding?: FileEncoding | undefined;
}

/** Replaces the first occurrence of each text, in order: all of them or none. */
export interface EditFileOperation extends OperationBase {
  readonly type: "editFile";
  readonly path: string;
  readonly edits: readonly { readonly oldContent: string; readonly newContent: string }[];
}

/** Deletes a file; a directory is refused. */
export interface DeleteFileOperation extends OperationBase {
  readonly type: "deleteFile";
  readonly path: string;
}

export interface ShellOperation extends OperationBase {
  readonly type: "shell";
  /** A command line for the space's shell. */
  readonly command: string;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds after which it is killed; 30 s when absent. */
  readonly timeoutMs?: number | undefined;
}

export type Operation =
  | MessageOperation
  | CreateFileOperation
  | ReadFileOperation
  | EditFileOperation
  | DeleteFileOperation
  | ShellOperation;

interface EventBase {
  readonly operationId?: string | undefined;
  /** When it ended, ISO 8601. */
  readonly timestamp: string;
  readonly durationMs: number;
  readonly success: boolean;
  /** Why it failed. */
  readonly error?: SerializedError | undefined;
}

export interface MessageEvent extends EventBase {
  readonly type: "message";
  readonly content: string;
}

export interface CreateFileEvent extends EventBase {
  readonly type: "createFile";
  readonly path: string;
  readonly bytesWritten?: number | undefined;
}

export interface ReadFileEvent extends EventBase {
  readonly type: "readFile";
  readonly path: string;
  readonly content?: string | undefined;
  readonly encoding?: FileEncoding | undefined;
  /** Bytes of the file. */
  readonly size?: number | undefined;
}

export interface EditFileEvent extends EventBase {
  readonly type: "editFile";
  readonly path: string;
  readonly editsApplied?: number | undefined;
}

export interface DeleteFileEvent extends EventBase {
  readonly type: "deleteFile";
  readonly path: string;
}

/** Succeeds when the command ended with 0, in time. */
export interface ShellEvent extends EventBase {
  readonly type: "shell";
  readonly command: string;
  readonly exitCode?: number | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly timedOut?: boolean | undefined;
  /** Whether output was cut at the limit. */
  readonly truncated?: boolean | undefined;
}

/** What came of an operation. */
export type RunEvent =
  | MessageEvent
  | CreateFileEvent
  | ReadFileEvent
  | EditFileEvent
  | DeleteFileEvent
  | ShellEvent;

export interface RunRequest {
  readonly operations: readonly Operation[];
}

export interface Run {
  readonly spaceId: string;
  /** `failed` when at least one operation did. */
  readonly status: "completed" | "failed";
  /** One for each operation, in order. */
  readonly events: readonly RunEvent[];
  /** ISO 8601. */
  readonly startedAt: string;
  readonly completedAt: string;
}

interface Target {
  readonly id: string;
  readonly files: SpaceFiles;
  readonly process: SpaceProcesses;
}

/** What each operation may carry; another key would be dropped without a word. */
const KEYS: { readonly [T in Operation["type"]]: readonly string[] } = {
  message: ["content"],
  createFile: ["path", "content", "encoding", "overwrite"],
  readFile: ["path", "encoding"],
  editFile: ["path", "edits"],
  deleteFile: ["path"],
  shell: ["command", "cwd", "env", "timeoutMs"],
};

/** What no later operation would fare better with: the run breaks off. */
const BREAKING: ReadonlySet<string> = new Set([
  "SPACE_NOT_FOUND",
  "SPACE_EXPIRED",
  "UNAUTHENTICATED",
  "SERVER_UNREACHABLE",
  "SHUTTING_DOWN",
  "STORE_UNAVAILABLE",
  "CANCELLED",
  "CALL_TIMEOUT",
  "INTERNAL",
]);

/**
 * Carries out operations in order.
 * @throws SpacesError `INVALID_INPUT` for what is no operation, before any is carried out; what makes
 *   going on pointless, such as `SPACE_NOT_FOUND`, `SERVER_UNREACHABLE` or `CANCELLED`, with the
 *   `events` so far in the error's details
 */
export async function runOperations(
  space: Target,
  { operations }: RunRequest,
  options: CallOptions,
): Promise<Run> {
  if (!Array.isArray(operations)) {
    throw sdkError("INVALID_INPUT", "operations: must be a list of operations");
  }
  operations.forEach(checkOperation);
  const startedAt = new Date().toISOString();
  const events: RunEvent[] = [];
  for (const operation of operations) {
    events.push(await carryOut(space, operation, options, events));
  }
  return {
    spaceId: space.id,
    status: events.every(({ success }) => success) ? "completed" : "failed",
    events,
    startedAt,
    completedAt: new Date().toISOString(),
  };
}

async function carryOut(
  space: Target,
  operation: Operation,
  options: CallOptions,
  before: readonly RunEvent[],
): Promise<RunEvent> {
  const begin = performance.now();
  const ended = () => ({
    ...(operation.id === undefined ? {} : { operationId: operation.id }),
    timestamp: new Date().toISOString(),
    durationMs: performance.now() - begin,
  });
  try {
    return { ...(await perform(space, operation, options)), ...ended() };
  } catch (error) {
    if (!SpacesError.isInstance(error)) throw error;
    if (BREAKING.has(error.code)) {
      throw sdkError(error.code, error.message, {
        suggestion: error.suggestion,
        details: { ...error.details, events: before },
        cause: error,
      });
    }
    return { ...subjectOf(operation), success: false, error: error.serialize(), ...ended() };
  }
}

type Bare<E> = E extends RunEvent ? Omit<E, "timestamp" | "durationMs" | "operationId"> : never;

async function perform(
  { files, process }: Target,
  operation: Operation,
  options: CallOptions,
): Promise<Bare<RunEvent>> {
  const { type } = operation;
  switch (type) {
    case "message":
      return { type, content: operation.content, success: true };
    case "createFile": {
      const { path, content, encoding, overwrite = false } = operation;
      await files.write(path, content, { encoding, overwrite, ...options });
      return { type, path, success: true, bytesWritten: Buffer.byteLength(content, encoding) };
    }
    case "readFile": {
      const { path, encoding = "utf8" } = operation;
      const { content, size } = await files.read(path, { encoding, ...options });
      return { type, path, success: true, content, encoding, size };
    }
    case "editFile": {
      const { path, edits } = operation;
      const { content } = await files.read(path, options);
      await files.write(path, edited(path, content, edits), options);
      return { type, path, success: true, editsApplied: edits.length };
    }
    case "deleteFile": {
      const { path } = operation;
      const found = await files.stat(path, options);
      if (found.type === "directory") {
        throw sdkError("WRONG_FILE_TYPE", `"${path}" is a directory.`, {
          suggestion: "Remove directories with `space.files.remove`.",
        });
      }
      await files.remove(path, options);
      return { type, path, success: true };
    }
    case "shell": {
      const { command, cwd, env, timeoutMs } = operation;
      const { signal } = options;
      const result = await process.exec(command, { cwd, env, timeoutMs, signal });
      const { exitCode, stdout, stderr, timedOut, truncated } = result;
      const success = exitCode === 0 && !timedOut;
      const failure = sdkError(
        timedOut ? "COMMAND_TIMEOUT" : "COMMAND_FAILED",
        timedOut ? "The command did not end in time." : `The command ended with ${exitCode}.`,
      );
      return {
        ...{ type, command, success, exitCode, stdout, stderr, timedOut, truncated },
        ...(success ? {} : { error: failure.serialize() }),
      };
    }
  }
}

/** What an event repeats of its operation. */
function subjectOf(operation: Operation): Pick<Bare<RunEvent>, never> & SubjectOf {
  switch (operation.type) {
    case "message":
      return { type: operation.type, content: operation.content };
    case "shell":
      return { type: operation.type, command: operation.command };
    default:
      return { type: operation.type, path: operation.path };
  }
}

type SubjectOf =
  | Pick<MessageEvent, "type" | "content">
  | Pick<ShellEvent, "type" | "command">
  | Pick<CreateFileEvent, "type" | "path">
  | Pick<ReadFileEvent, "type" | "path">
  | Pick<EditFileEvent, "type" | "path">
  | Pick<DeleteFileEvent, "type" | "path">;

function edited(path: string, content: string, edits: EditFileOperation["edits"]): string {
  let text = content;
  for (const { oldContent, newContent } of edits) {
    const at = text.indexOf(oldContent);
    if (at === -1 || oldContent === "") {
      throw sdkError(
        "CONFLICT",
        `"${path}" has no text ${JSON.stringify(oldContent.slice(0, 50))} to replace.`,
        { suggestion: "Read the file, and give the text as it is there." },
      );
    }
    text = text.slice(0, at) + newContent + text.slice(at + oldContent.length);
  }
  return text;
}

/** Programs in JavaScript, and models, give what types do not allow. */
function checkOperation(operation: unknown, index: number): void {
  const where = `operations.${index}`;
  if (typeof operation !== "object" || operation === null) {
    throw sdkError("INVALID_INPUT", `${where}: must be an operation`);
  }
  const { type, id, ...rest } = operation as Record<string, unknown>;
  if (typeof type !== "string" || !Object.hasOwn(KEYS, type)) {
    throw sdkError("INVALID_INPUT", `${where}.type: there is no operation "${String(type)}"`, {
      suggestion: `Use one of ${Object.keys(KEYS).join(", ")}.`,
    });
  }
  if (id !== undefined && typeof id !== "string") {
    throw sdkError("INVALID_INPUT", `${where}.id: must be text`);
  }
  const known = KEYS[type as Operation["type"]];
  const foreign = Object.keys(rest).find((key) => !known.includes(key));
  if (foreign !== undefined) {
    throw sdkError("INVALID_INPUT", `${where}: "${type}" has no option "${foreign}"`, {
      suggestion: `It takes ${known.join(", ")}.`,
    });
  }
  for (const key of ["path", "content", "command"].filter((name) => known.includes(name))) {
    if (typeof rest[key] !== "string") {
      throw sdkError("INVALID_INPUT", `${where}.${key}: must be text`);
    }
  }
  if (type === "editFile" && !isEdits(rest.edits)) {
    throw sdkError("INVALID_INPUT", `${where}.edits: must be a list of oldContent and newContent`);
  }
}

function isEdits(edits: unknown): boolean {
  const isEdit = (edit: unknown): boolean => {
    if (typeof edit !== "object" || edit === null) return false;
    const { oldContent, newContent } = edit as Record<string, unknown>;
    return typeof oldContent === "string" && typeof newContent === "string";
  };
  return Array.isArray(edits) && edits.length > 0 && edits.every(isEdit);
}
