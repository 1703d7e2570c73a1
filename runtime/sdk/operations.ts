/**
 * Batches of operations on a space: `space.run({ operations })`. They are carried out one after the
 * other; one that fails is recorded, and the next one is carried out all the same.
 */
import { SpacesError } from "../contract/errors.js";
import type { CallOptions } from "./connection.js";
import { sdkError } from "./errors.js";
import type { SpaceFiles } from "./files.js";
import { checkOperation } from "./operation-check.js";
import type {
  CreateFileEvent,
  DeleteFileEvent,
  EditFileEvent,
  EditFileOperation,
  MessageEvent,
  Operation,
  ReadFileEvent,
  Run,
  RunEvent,
  RunRequest,
  ShellEvent,
} from "./operation-types.js";
import type { SpaceProcesses } from "./processes.js";

interface Target {
  readonly id: string;
  readonly files: SpaceFiles;
  readonly process: SpaceProcesses;
}

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
