/**
 * All bounds of the virtual driver, for the host side and the worker. Time is bounded by the
 * engine's own timeouts, so counts of commands and loop turns are not; memory and output are.
 */
import type { BashOptions } from "just-bash";

const MiB = 1024 * 1024;

/** Standard output and standard error of one command together, in bytes; the rest is cut off. */
export const MAX_OUTPUT_BYTES = 32 * MiB;

/** Standard input of one command, in bytes. */
export const MAX_INPUT_BYTES = 32 * MiB;

/** Arguments and environment of one command together, in UTF-16 units. */
export const MAX_ARGUMENT_LENGTH = 4 * MiB;

/** Commands of one space that run at once in one process. */
export const MAX_CONCURRENT_COMMANDS = 256;

/** Largest file of the workspace that a command reads, in bytes. */
export const MAX_FILE_BYTES = 32 * MiB;

/** What the in-memory part of a space (`/tmp`, `/home`) holds, in bytes. */
export const MAX_MEMORY_FILES_BYTES = 64 * MiB;

/** Heap and buffers of a worker, in bytes, at which a command is ended at its next statement. */
export const HEAP_BUDGET_BYTES = 384 * MiB;

/**
 * Growth of the whole process, in bytes, while commands run, at which workers are terminated: for
 * what allocates without reaching a next statement.
 */
export const MAX_GROWTH_BYTES = 1024 * MiB;

/** How often that growth is looked at, in milliseconds. */
export const GROWTH_POLL_MS = 20;

/**
 * V8's own limits. The heap limit lies far above the two bounds before it, on purpose: V8 aborts
 * the whole process when one large allocation meets it, so it must never be the first to act.
 */
export const WORKER_RESOURCE_LIMITS = {
  maxOldGenerationSizeMb: 4096,
  maxYoungGenerationSizeMb: 32,
  stackSizeMb: 8,
} as const;

/** Wait for a cooperative end, in milliseconds, before the worker is terminated. */
export const KILL_GRACE_MS = 150;

/** How soon a command notices, in milliseconds, that another process stopped its space. */
export const STOP_POLL_MS = 250;

/** How long a command may hold the worker's event loop, in milliseconds, before it lets others in. */
export const TURN_MS = 10;

/** The interpreter's own limits; what is not named keeps its default. */
export const EXECUTION_LIMITS: NonNullable<BashOptions["executionLimits"]> = {
  maxCommandCount: Infinity,
  maxLoopIterations: Infinity,
  maxAwkIterations: Infinity,
  maxSedIterations: Infinity,
  maxJqIterations: 1_000_000,
  maxWorkUnits: Infinity,
  maxExecutionTimeMs: Infinity,
  maxSqliteTimeoutMs: 30_000,
  maxStringLength: 32 * MiB,
  maxHeredocSize: 16 * MiB,
  // What goes into files and pipes counts here too, so it is more than what may come out.
  maxOutputSize: 128 * MiB,
  maxCallDepth: 1000,
  maxInputBytes: 256 * MiB,
  maxLiveBytes: 256 * MiB,
  maxDatabaseBytes: 64 * MiB,
  maxDatabaseResultBytes: 32 * MiB,
  maxArchiveBytes: 256 * MiB,
  maxArchiveCompressedBytes: 64 * MiB,
  maxArchiveEntryBytes: 64 * MiB,
};
