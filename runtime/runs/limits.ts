/** Every limit of the records of runs, in one place. Engines and servers take other values for any. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface RunLimits {
  /** Bytes of output that a record keeps; what comes after is dropped behind a marker. */
  readonly outputBytes: number;
  /** Calls that a record keeps; what comes after is only counted. */
  readonly calls: number;
  /** Runs of one actor at once that go on without their caller. */
  readonly detachedPerActor: number;
  /** Milliseconds for which the record of an ended run is kept. */
  readonly keptMs: number;
  /** Ended runs of one owner that are kept; beyond it the oldest are deleted. */
  readonly keptPerOwner: number;
}

export const RUN_LIMITS: RunLimits = {
  outputBytes: MIB,
  calls: 100_000,
  detachedPerActor: 32,
  keptMs: 30 * 86_400_000,
  keptPerOwner: 10_000,
};

/** Bytes of one line of a journal; a longer one is none that a recorder wrote. */
export const LINE_BYTES = 4 * MIB;
/** Bytes of the arguments, and of the input, that a record keeps as they are. */
export const GIVEN_BYTES = 512 * KIB;
/** Characters of an error's message, and of its details as JSON, that a record keeps. */
export const ERROR_LENGTH = 64 * KIB;
/** Secrets that are looked for in the output of a run; beyond it no further output is kept. */
export const MOST_SECRETS = 1_000;
/** Milliseconds between two looks whether somebody wants a run cancelled. */
export const CANCEL_POLL_MS = 100;
/** Milliseconds between two signs of life of a run that prints nothing. */
export const SIGN_MS = 5_000;
/** After this long without a sign, a run of another host counts as dead. */
export const SILENT_MS = 30_000;
