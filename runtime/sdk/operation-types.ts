/** What a batch of operations is made of, and what is told of each: the types of `space.run({ operations })`. */
import type { SerializedError } from "../contract/errors.js";
import type { FileEncoding } from "./file-options.js";

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
