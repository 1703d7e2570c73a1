/** Every limit of the interpreter and its default, in one place. */
import type { ScriptLimits } from "./types.js";

const MiB = 1024 * 1024;

/** The limits of one run, with nothing left open but the wall time. */
export interface ResolvedLimits {
  readonly timeoutMs: number | undefined;
  readonly memoryBytes: number;
  readonly sourceBytes: number;
  readonly outputBytes: number;
  readonly concurrentCalls: number;
}

export const DEFAULT_LIMITS: ResolvedLimits = {
  timeoutMs: undefined,
  memoryBytes: 64 * MiB,
  sourceBytes: MiB,
  outputBytes: MiB,
  concurrentCalls: 32,
};

/** Size of one WebAssembly page, in bytes. */
export const PAGE_BYTES = 65_536;
/** The engine's own static data and stack need this much; a smaller limit is raised to it. */
export const MIN_MEMORY_BYTES = 16 * MiB;
/** WebAssembly's memory ends here. */
export const MAX_MEMORY_BYTES = 2048 * MiB;

/** Stack of QuickJS; with a worker stack of 16 MB every recursion ends in a catchable error. */
export const GUEST_STACK_BYTES = 512 * 1024;
export const WORKER_RESOURCES = {
  stackSizeMb: 16,
  maxOldGenerationSizeMb: 64,
  maxYoungGenerationSizeMb: 4,
} as const;

/** What a script gets to end by itself, after its deadline, before its worker is killed. */
export const GRACE_MS = 60;
/** What an input of a session gets to die out, before the session's worker is killed. */
export const SESSION_GRACE_MS = 800;
/** Wall time of a look for members to complete, for objects can be made to answer slowly. */
export const COMPLETION_MS = 250;
/** Inputs of a session whose sources are kept for the positions of errors. */
export const KEPT_INPUTS = 100;
/** Promise jobs that run between two looks at the clock. */
export const JOBS_PER_TURN = 1000;
/** Timers that a script can have at once. */
export const MAX_TIMERS = 10_000;
/** JSON of one host call's input or answer, in UTF-16 units. */
export const MAX_CALL_LENGTH = 16 * MiB;
/** JSON of the inputs of all host calls in flight, in UTF-16 units. */
export const MAX_CALLS_LENGTH = 32 * MiB;
/** Host call names are shorter than this. */
export const MAX_NAME_LENGTH = 128;
/** Output that the worker sends in one message, in UTF-16 units. */
export const OUTPUT_BATCH = 16_384;
/** Output under way to the main thread before the worker waits, in UTF-16 units. */
export const OUTPUT_WINDOW = MiB;
/** JSON that describes an uncaught error, in UTF-16 units. */
export const MAX_ERROR_LENGTH = MiB;
/** Relative modules that one script can import. */
export const MAX_MODULES = 1000;
/** An idle worker above the minimum is let go after this time. */
export const IDLE_WORKER_MS = 30_000;

/** Completes the limits that a caller gave with the defaults. */
export function resolveLimits(limits: ScriptLimits | undefined): ResolvedLimits {
  const memoryBytes = limits?.memoryBytes ?? DEFAULT_LIMITS.memoryBytes;
  const timeoutMs = limits?.timeoutMs;
  return {
    timeoutMs: timeoutMs === undefined ? undefined : Math.max(0, timeoutMs),
    memoryBytes: Math.min(
      MAX_MEMORY_BYTES,
      Math.max(MIN_MEMORY_BYTES, Math.ceil(memoryBytes / PAGE_BYTES) * PAGE_BYTES),
    ),
    sourceBytes: limits?.sourceBytes ?? DEFAULT_LIMITS.sourceBytes,
    outputBytes: limits?.outputBytes ?? DEFAULT_LIMITS.outputBytes,
    concurrentCalls: Math.max(1, limits?.concurrentCalls ?? DEFAULT_LIMITS.concurrentCalls),
  };
}
