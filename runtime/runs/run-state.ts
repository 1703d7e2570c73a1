/**
 * The run that the lines of a journal tell of. The recorder keeps it up to date with each line that
 * it writes, and whoever reads a journal makes it anew from the file.
 */
import type { Run, RunCall, RunEvent } from "../contract/runs.js";
import type { CallLine, EndLine, JournalLine, StartLine } from "./lines.js";

export class RunState {
  /** Changes where a value of it turned out to be secret. */
  start: StartLine;
  /** The modules by the path by which they were imported: the path they are known by, and their source. */
  readonly modules = new Map<string, { readonly path: string; readonly sha256: string }>();
  readonly #startedMs: number;
  readonly #open = new Map<number, CallLine>();
  #calls = 0;
  #outputBytes = 0;
  #lastFinished: RunCall | undefined;
  #end: EndLine | undefined;
  #target: Pick<Run, "binding" | "url"> | undefined;
  #lastAt = 0;

  constructor(start: StartLine) {
    this.start = start;
    this.#startedMs = Date.parse(start.run.startedAt);
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Milliseconds between the start of the run and the last that it wrote. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** The SHA-256 of all sources that the run was made of. */
  get sources(): string[] {
    return [
      ...new Set([
        this.start.run.script.sha256,
        ...[...this.modules.values()].map(({ sha256 }) => sha256),
      ]),
    ];
  }

  /**
   * Takes a line in. What follows an end is no part of the run.
   * @param seq the number of the line
   * @returns the event that followers get of it, if any
   */
  take(line: JournalLine, seq: number): Exclude<RunEvent, { type: "end" }> | undefined {
    if (this.ended || line.t === "start") return undefined;
    if (line.t === "end") {
      this.#end = line;
      return undefined;
    }
    this.#lastAt = Math.max(this.#lastAt, line.at);
    switch (line.t) {
      case "out":
        if (line.marker === undefined) this.#outputBytes += Buffer.byteLength(line.text);
        return { type: line.s, seq, at: this.timeOf(line.at), text: line.text };
      case "call":
        this.#calls = Math.max(this.#calls, line.seq);
        this.#open.set(line.seq, line);
        return undefined;
      case "done": {
        const call = this.#open.get(line.seq);
        if (call === undefined) return undefined;
        this.#open.delete(line.seq);
        this.#lastFinished = { ...callOf(call, line.outcome), durationMs: line.ms };
        return { type: "call", seq, at: this.timeOf(line.at), call: this.#lastFinished };
      }
      case "target":
        this.#target = {
          binding: line.binding,
          ...(line.url === undefined ? {} : { url: line.url }),
        };
        return undefined;
      case "module":
        this.modules.set(line.path, { path: line.known ?? line.path, sha256: line.sha256 });
        return undefined;
    }
  }

  /** The calls that have not settled; of an interrupted run nobody knows their outcome. */
  get openCalls(): RunCall[] {
    const outcome = this.ended ? "unknown" : "running";
    return [...this.#open.values()].map((call) => callOf(call, outcome));
  }

  /** The run as it is now. */
  get run(): Run {
    const end = this.#end;
    const run = { ...this.start.run, ...this.#target };
    const counted = { calls: end?.calls ?? this.#calls, outputBytes: this.#outputBytes };
    if (end === undefined) return { ...run, status: "running", limitsHit: [], ...counted };
    const { status, endedAt, durationMs, exitCode, error, limitsHit } = end;
    return {
      ...run,
      ...{ status, endedAt, durationMs, limitsHit: [...limitsHit] },
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(error === undefined ? {} : { error }),
      ...counted,
      ...(status === "interrupted" ? this.#interruption() : {}),
    };
  }

  timeOf(at: number): string {
    return new Date(this.#startedMs + at).toISOString();
  }

  #interruption(): Pick<Run, "lastFinishedCall" | "openCalls"> {
    return {
      ...(this.#lastFinished === undefined ? {} : { lastFinishedCall: this.#lastFinished }),
      openCalls: this.openCalls,
    };
  }
}

function callOf({ seq, procedure, input, at }: CallLine, outcome: string): RunCall {
  return { seq, procedure, inputDigest: input, startedMs: at, outcome };
}
