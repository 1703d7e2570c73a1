/**
 * Records one run while it goes on: what it is, what it prints, which calls it makes, how it ends.
 * Whoever runs a script makes one: the engine for its callers, the command line for `spaces run`.
 * What cannot be recorded never keeps a script from running.
 */
import { createHash, createHmac } from "node:crypto";
import { closeSync, rmSync, utimesSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import type { Permission } from "../contract/permissions.js";
import type { Run } from "../contract/runs.js";
import { redactable } from "../redaction.js";
import { readOrMakeKey } from "../secret-key.js";
import { activeRun, addActive, removeActive } from "./active.js";
import { isMissing, RunsDirectory } from "./directory.js";
import { JournalWriter } from "./journal-writer.js";
import { KeptOut } from "./kept-out.js";
import {
  CANCEL_POLL_MS,
  ERROR_LENGTH,
  MOST_SECRETS,
  RUN_LIMITS,
  type RunLimits,
  SIGN_MS,
} from "./limits.js";
import type { EndLine, JournalLine, RunHeader } from "./lines.js";
import { RunState } from "./run-state.js";
import { WrittenLines } from "./scrub.js";
import { redactJson, secretsOfCall, suspectsOfCall } from "./secrets.js";
import { startLine } from "./start-line.js";

/** Milliseconds for which the end of a run waits for calls that are being cancelled. */
const SETTLE_MS = 2_000;
/** Milliseconds until an end that could not be written is tried again. */
const RETRY_END_MS = 1_000;

type Stream = "stdout" | "stderr";

/** What is to be run, for its record. */
export interface NewRun
  extends Omit<RunHeader, "id" | "startedAt" | "script" | "args" | "permissions"> {
  readonly args: readonly string[];
  readonly permissions: {
    readonly grant?: readonly Permission[] | undefined;
    readonly net?: readonly string[] | true | undefined;
    readonly env?: readonly string[] | true | undefined;
  };
  readonly script: Omit<RunHeader["script"], "sha256">;
  readonly source: string;
  /** Values that are known to be secret. */
  readonly secrets?: readonly string[] | undefined;
}

export interface RecorderOptions {
  /** Absolute path of the data directory. */
  readonly dataDir: string;
  readonly limits?: RunLimits | undefined;
  /** Told once why something could not be recorded. */
  readonly onTrouble: (message: string) => void;
}

/** How a run ended. */
export interface RunEnd {
  readonly status: Exclude<Run["status"], "running" | "interrupted">;
  readonly exitCode?: number | undefined;
  readonly error?: Run["error"];
  /** Limits that whoever ran it knows of. */
  readonly limitsHit?: Run["limitsHit"] | undefined;
}

export class RunRecorder {
  readonly id = newId("run");
  readonly dataDir: string;
  readonly #directory: RunsDirectory;
  readonly #limits: RunLimits;
  readonly #parent: RunRecorder | undefined;
  readonly #state: RunState;
  readonly #journal: JournalWriter;
  readonly #lines = new WrittenLines();
  readonly #onTrouble: (message: string) => void;
  readonly #began = performance.now();
  readonly #keptOut: KeptOut;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #poll: NodeJS.Timeout;
  readonly #limitsHit = new Set<Run["limitsHit"][number]>();
  readonly #underWay = new Set<Promise<unknown>>();
  #key: Buffer | undefined;
  #keyLoading: Promise<void> | undefined;
  #outputBytes = 0;
  #calls = 0;
  #lastSign = performance.now();
  #closed = false;
  #isTold = false;

  private constructor(run: NewRun, options: RecorderOptions) {
    const { source, secrets = [], script, ...rest } = run;
    this.dataDir = options.dataDir;
    this.#limits = options.limits ?? RUN_LIMITS;
    this.#onTrouble = options.onTrouble;
    this.#directory = new RunsDirectory(options.dataDir);
    const { parent } = rest.trigger;
    this.#parent = parent === undefined ? undefined : activeRun(this.dataDir, parent);
    this.#keptOut = new KeptOut([...secrets, ...(this.#parent?.secrets ?? [])]);
    const sha256 = createHash("sha256").update(source).digest("hex");
    const startedAt = new Date().toISOString();
    const header = { id: this.id, ...rest, script: { ...script, sha256 }, startedAt };
    // As a reader of the journal finds it: without what is undefined.
    const asRead = JSON.parse(JSON.stringify(header)) as RunHeader;
    const start = startLine(asRead, redactable(this.secrets));
    this.#state = new RunState(start);
    this.#journal = new JournalWriter(this.#directory, this.id, (error) => this.#trouble(error));
    this.#keepSource(sha256, source);
    this.#write(start);
    if (this.#keptOut.isTooMuch) this.#keepNoMoreOutput();
    this.#poll = setInterval(() => this.#look(), CANCEL_POLL_MS).unref();
    addActive(this);
  }

  /** Begins the record of a run; from here on it is known as running. */
  static begin(run: NewRun, options: RecorderOptions): RunRecorder {
    return new RunRecorder(run, options);
  }

  /** Fires when somebody wants the run cancelled. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The run as it is now. */
  get run(): Run {
    return this.#state.run;
  }

  get ended(): boolean {
    return this.#closed;
  }

  /** The values that are kept out of the record. */
  get secrets(): readonly string[] {
    return this.#keptOut.secrets;
  }

  /** Whether there is a journal to read. */
  get isKept(): boolean {
    return this.#journal.exists;
  }

  /** Has the run cancelled by whoever runs it. */
  cancel(): void {
    this.#abort.abort(new SpacesError("CANCELLED", "The run was cancelled."));
  }

  /** Calls a listener after each entry, until it is disposed. */
  onEntry(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Keeps values out of the record, also where they have been recorded already. */
  keepOut(secrets: readonly string[]): void {
    const fresh = this.#keptOut.add(secrets);
    if (fresh.length === 0) return;
    if (this.#keptOut.isTooMuch) this.#keepNoMoreOutput();
    this.#scrub(fresh);
    // What a script got, whoever ran it may be given with its output.
    this.#parent?.keepOut(fresh);
  }

  /** Records a piece of output. */
  output(stream: Stream, text: string): void {
    if (this.#closed || this.#limitsHit.has("output")) return;
    this.#writeOutput(stream, this.#keptOut.push(stream, text));
  }

  /** Records where the calls go, for who does not know it at the start. */
  target(binding: Run["binding"], url: string | undefined): void {
    const { run } = this;
    if (this.#closed || (run.binding === binding && run.url === url)) return;
    this.#append({ t: "target", at: this.#now(), binding, url });
  }

  /**
   * Records that the script imported a module, and keeps its source.
   * @param path by which it was imported
   * @param known the path that the module is known by
   */
  module(path: string, source: string, known: string = path): void {
    if (this.#closed) return;
    const sha256 = createHash("sha256").update(source).digest("hex");
    if (this.#state.modules.get(path)?.sha256 === sha256) return;
    this.#keepSource(sha256, source);
    const of = known === path ? {} : { known };
    this.#append({ t: "module", at: this.#now(), path, sha256, ...of });
  }

  /**
   * Makes a call, and records it before and after.
   * @param json the input as the script gave it
   */
  async call(
    {
      name,
      json,
      input,
    }: { readonly name: string; readonly json: string; readonly input: unknown },
    make: () => Promise<unknown>,
  ): Promise<unknown> {
    if (this.#closed) return await make();
    const made = this.#call(name, json, input, make);
    this.#underWay.add(made);
    try {
      return await made;
    } finally {
      this.#underWay.delete(made);
    }
  }

  /**
   * Ends the record. Calls that are being cancelled have a moment to tell how they ended.
   * @returns the run as it ended
   */
  async end({ status, exitCode, error, limitsHit = [] }: RunEnd): Promise<Run> {
    if (this.#underWay.size > 0) {
      const waited = new AbortController();
      const settled = Promise.allSettled([...this.#underWay]).then(() => waited.abort());
      await Promise.race([
        settled,
        delay(SETTLE_MS, undefined, { signal: waited.signal }).catch(() => undefined),
      ]);
    }
    for (const stream of ["stdout", "stderr"] as const) {
      this.#writeOutput(stream, this.#keptOut.flush(stream));
    }
    for (const limit of limitsHit) this.#limitsHit.add(limit);
    this.#tellMissing();
    const end: EndLine = {
      t: "end",
      status,
      endedAt: new Date().toISOString(),
      durationMs: this.#now(),
      exitCode,
      error: error === undefined ? undefined : this.#kept(error),
      limitsHit: [...this.#limitsHit],
      calls: this.#calls,
    };
    this.#closed = true;
    clearInterval(this.#poll);
    if (this.#append(end) || !this.#journal.exists) this.#close();
    else this.#retryEnd(end);
    return this.run;
  }

  async #call(
    procedure: string,
    json: string,
    input: unknown,
    make: () => Promise<unknown>,
  ): Promise<unknown> {
    this.#calls += 1;
    const seq = this.#calls;
    const isKept = seq <= this.#limits.calls;
    if (isKept) {
      const digest =
        this.#key === undefined ? await this.#firstDigest(json) : digestOf(this.#key, json);
      this.#append({ t: "call", at: this.#now(), seq, procedure, input: digest });
    } else this.#limitsHit.add("calls");
    const settle = this.#keptOut.suspect(suspectsOfCall(procedure, input));
    const startedAt = performance.now();
    let outcome = "ok";
    try {
      const answer = await make();
      this.keepOut(secretsOfCall(procedure, input, answer));
      return answer;
    } catch (error) {
      outcome = SpacesError.isInstance(error) ? error.code : "INTERNAL";
      throw error;
    } finally {
      settle();
      if (isKept && !this.#closed) {
        const ms = rounded(performance.now() - startedAt);
        this.#append({ t: "done", at: this.#now(), seq, outcome, ms });
      }
    }
  }

  #scrub(secrets: readonly string[]): void {
    if (!this.#journal.exists) return;
    try {
      const start = this.#lines.scrub(secrets, () => {
        const fd = this.#directory.openToChange(this.id);
        return { fd, [Symbol.dispose]: () => closeSync(fd) };
      });
      if (start !== undefined) this.#state.start = start;
    } catch (error) {
      this.#trouble(error as Error);
    }
  }

  /** The first call of a run loads the key. */
  async #firstDigest(json: string): Promise<string> {
    this.#keyLoading ??= readOrMakeKey(this.dataDir).then(
      (key) => {
        this.#key = createHmac("sha256", key).update("inputs of calls").digest();
      },
      (error: unknown) => this.#trouble(error as Error),
    );
    await this.#keyLoading;
    return this.#key === undefined ? "" : digestOf(this.#key, json);
  }

  #writeOutput(stream: Stream, bytes: Buffer): void {
    if (bytes.length === 0 || this.#limitsHit.has("output")) return;
    const room = this.#limits.outputBytes - this.#outputBytes;
    const kept = bytes.length <= room ? bytes : bytes.subarray(0, characterEnd(bytes, room));
    this.#outputBytes += kept.length;
    const at = this.#now();
    if (kept.length > 0) this.#append({ t: "out", at, s: stream, text: kept.toString() });
    if (kept.length === bytes.length) return;
    this.#limitsHit.add("output");
    this.#append({
      ...{ t: "out", at, s: stream, marker: true },
      text: `\n[spaces: output beyond ${this.#limits.outputBytes} bytes was not kept]\n`,
    });
  }

  /** To look for so many secrets in each piece of output would hold up everything else. */
  #keepNoMoreOutput(): void {
    if (this.#limitsHit.has("output")) return;
    this.#limitsHit.add("output");
    const text = `\n[spaces: output was not kept any more behind ${MOST_SECRETS} secrets]\n`;
    this.#append({ t: "out", at: this.#now(), s: "stderr", text, marker: true });
  }

  /** What could not be written is told where it is missed. */
  #tellMissing(): void {
    const { missing } = this.#journal;
    if (missing === 0) return;
    const text = `\n[spaces: ${missing} entries of this record could not be written]\n`;
    this.#append({ t: "out", at: this.#now(), s: "stderr", text, marker: true });
  }

  #append(line: JournalLine): boolean {
    const written = this.#write(line);
    this.#state.take(line, 0);
    for (const listener of [...this.#listeners]) listener();
    return written;
  }

  /** @returns whether it was written */
  #write(line: JournalLine): boolean {
    const place = this.#journal.append(line);
    if (place === undefined) return false;
    this.#lines.add(line, place);
    return true;
  }

  #keepSource(sha256: string, source: string): void {
    if (!this.#journal.exists) return;
    try {
      this.#directory.keepSource(sha256, source);
    } catch (error) {
      this.#trouble(error as Error);
    }
  }

  /** Without an end on the disk the run would be taken for one that goes on. */
  #retryEnd(end: EndLine): void {
    const retry = setInterval(() => {
      if (!this.#write(end)) return;
      clearInterval(retry);
      this.#close();
    }, RETRY_END_MS).unref();
  }

  #close(): void {
    if (this.#journal.exists) this.#removeMarker();
    this.#journal.close();
    removeActive(this);
    for (const listener of [...this.#listeners]) listener();
  }

  #removeMarker(): void {
    try {
      rmSync(this.#directory.cancelMarkerOf(this.id), { force: true });
    } catch (error) {
      this.#trouble(error as Error);
    }
  }

  #look(): void {
    if (!this.#journal.exists) return;
    try {
      if (!this.signal.aborted && this.#directory.isCancelAsked(this.id)) this.cancel();
      if (performance.now() - this.#lastSign < SIGN_MS) return;
      this.#lastSign = performance.now();
      const now = new Date();
      utimesSync(this.#directory.journalOf(this.id), now, now);
    } catch (error) {
      // Somebody may have deleted the directory of a run that is under way.
      if (!isMissing(error)) this.#trouble(error as Error);
    }
  }

  #trouble(error: Error): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#onTrouble(`The run ${this.id} is not recorded in full: ${error.message}.`);
  }

  /** An error as a record keeps it. */
  #kept(error: NonNullable<Run["error"]>): NonNullable<Run["error"]> {
    const { details, message, ...rest } = redactJson(error, this.secrets);
    const isShort = details !== undefined && JSON.stringify(details).length <= ERROR_LENGTH;
    return {
      ...rest,
      message: message.slice(0, ERROR_LENGTH),
      ...(isShort ? { details } : {}),
    };
  }

  #now(): number {
    return rounded(performance.now() - this.#began);
  }
}

function digestOf(key: Buffer, json: string): string {
  return createHmac("sha256", key).update(json).digest("hex");
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** The last place up to a limit where no character is cut. */
function characterEnd(bytes: Buffer, limit: number): number {
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end;
}
