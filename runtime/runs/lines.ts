/**
 * What the journal of a run says, line by line. A journal is a file of JSON lines that only grows:
 * `start`, then what happened in the order in which it did, then `end`; the number of a line is the
 * `seq` of its event.
 *
 * A call is written before it is made (`call`) and when it has settled (`done`), so that after a
 * crash it is known which calls were done and which may have been. To continue a run by replaying
 * it, a later step needs in addition what the outside gave it: the answers of the calls beside their
 * outcome, the texts that `sleep`, clocks and random numbers decided, and the order of timers. The
 * sources, the arguments and the order of the answers are here.
 */
import type { Run } from "../contract/runs.js";

/** What is known of a run when it starts. */
export type RunHeader = Pick<
  Run,
  | "id"
  | "script"
  | "args"
  | "input"
  | "actor"
  | "binding"
  | "url"
  | "trigger"
  | "space"
  | "permissions"
  | "limits"
  | "startedAt"
>;

export interface StartLine {
  readonly t: "start";
  /** The version of this format. */
  readonly v: 1;
  /** The process that runs it, see `process-identity.ts`. */
  readonly holder: string;
  /** 1 where arguments or input are not as they were given: they held secrets, or were too long. */
  readonly altered: 0 | 1;
  readonly run: RunHeader;
}

/** Times (`at`) are milliseconds since the start of the run. */
export interface OutLine {
  readonly t: "out";
  readonly at: number;
  readonly s: "stdout" | "stderr";
  readonly text: string;
  /** Stands where output was dropped; it is no output of the script's. */
  readonly marker?: true;
}

export interface CallLine {
  readonly t: "call";
  readonly at: number;
  readonly seq: number;
  readonly procedure: string;
  readonly input: string;
}

export interface DoneLine {
  readonly t: "done";
  readonly at: number;
  readonly seq: number;
  readonly outcome: string;
  readonly ms: number;
}

/** Where the calls go, once that is known: `start` says `in-process` where it is not yet. */
export interface TargetLine {
  readonly t: "target";
  readonly at: number;
  readonly binding: Run["binding"];
  readonly url?: string | undefined;
}

/** The script imported a module; its source is kept. */
export interface ModuleLine {
  readonly t: "module";
  readonly at: number;
  readonly path: string;
  /** The path that it is known by, where that is another one. */
  readonly known?: string | undefined;
  readonly sha256: string;
}

export interface EndLine {
  readonly t: "end";
  readonly status: Exclude<Run["status"], "running">;
  readonly endedAt: string;
  readonly durationMs: number;
  readonly exitCode?: number | undefined;
  readonly error?: Run["error"];
  readonly limitsHit: Run["limitsHit"];
  /** All calls, also those that are not kept. */
  readonly calls: number;
}

export type JournalLine =
  | StartLine
  | OutLine
  | CallLine
  | DoneLine
  | TargetLine
  | ModuleLine
  | EndLine;
