/**
 * Finds the records of runs: those that this process makes, journals that no index has yet, and the
 * index in the store. Whoever finds a run whose process has died writes the end that it did not.
 */
import { closeSync, writeSync } from "node:fs";
import type { Run } from "../contract/runs.js";
import { livenessOf, PROCESS_IDENTITY } from "../process-identity.js";
import { activeRun } from "../runs/active.js";
import { RunsDirectory } from "../runs/directory.js";
import { beginState, JournalReader, type NumberedLine } from "../runs/journal-reader.js";
import { SILENT_MS } from "../runs/limits.js";
import type { EndLine } from "../runs/lines.js";
import type { RunState } from "../runs/run-state.js";
import type { Store } from "../store/store.js";

/** Rows that are written in one transaction. */
const BATCH = 100;

/** A journal as far as it has been read. */
export interface ReadJournal extends AsyncDisposable {
  readonly state: RunState;
  /** The lines that have come since; `state` has taken them in. */
  more(): AsyncGenerator<NumberedLine & { readonly event: ReturnType<RunState["take"]> }, void>;
  /** Ends the record where its process has died. @returns whether there is more to read for that */
  endIfDead(): Promise<boolean>;
}

export class RunRecords {
  readonly directory: RunsDirectory;
  readonly #store: Store;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(store: Store, dataDir: string) {
    this.#store = store;
    this.directory = new RunsDirectory(dataDir);
  }

  /** Opens the journal of a run; undefined where there is none that can be read. */
  async open(id: string): Promise<ReadJournal | undefined> {
    const reader = await JournalReader.open(this.directory, id);
    if (reader === undefined) return undefined;
    for await (const first of reader.lines()) {
      const state = beginState(first, id);
      if (state === undefined) break;
      return new OpenJournal(this.directory, reader, state);
    }
    await reader[Symbol.asyncDispose]();
    return undefined;
  }

  /** A run from its journal, read to the end. */
  async read(id: string): Promise<RunState | undefined> {
    await using journal = await this.open(id);
    if (journal === undefined) return undefined;
    do {
      for await (const _ of journal.more()) {
        // The state takes each line in.
      }
    } while (!journal.state.ended && (await journal.endIfDead()));
    return journal.state;
  }

  /** A run, wherever it is recorded; undefined where it is not. */
  async find(id: string): Promise<Run | undefined> {
    const active = activeRun(this.directory.dataDir, id);
    if (active !== undefined) return active.run;
    const row = await this.#store
      .selectFrom("runs")
      .select("record")
      .where("id", "=", id)
      .executeTakeFirst();
    if (row !== undefined) return JSON.parse(row.record) as Run;
    return (await this.read(id))?.run;
  }

  /**
   * Puts the ended runs into the index that are not there yet.
   * @returns the runs that are under way
   */
  async index(): Promise<Run[]> {
    const running: Run[] = [];
    let ended: RunState[] = [];
    for (const id of this.directory.waiting()) {
      const active = activeRun(this.directory.dataDir, id);
      const state = active === undefined ? await this.read(id) : undefined;
      if (active !== undefined) running.push(active.run);
      else if (state?.ended === false) running.push(state.run);
      else if (state !== undefined) ended.push(state);
      if (ended.length < BATCH) continue;
      await this.#add(ended);
      ended = [];
    }
    await this.#add(ended);
    return running;
  }

  /** Puts the runs into the index that it has lost, such as by a restored backup of the store. */
  async indexLost(): Promise<void> {
    const known = await this.#store.selectFrom("runs").select("id").execute();
    const ids = new Set(known.map(({ id }) => id));
    for (const id of this.directory.kept()) {
      if (ids.has(id)) continue;
      const state = await this.read(id);
      if (state?.ended === true) await this.#add([state]);
    }
  }

  /** The sources of the runs that no index has. */
  async sourcesUnderWay(): Promise<string[]> {
    const sources: string[] = [];
    for (const id of this.directory.waiting())
      sources.push(...((await this.read(id))?.sources ?? []));
    return sources;
  }

  /** Puts one run that has ended into the index; nobody waits for it but `settle`. */
  indexBehind(id: string): void {
    const indexing = this.read(id)
      .then((state) => this.#add(state?.ended === true ? [state] : []))
      // The journal stays, and whoever lists runs next finds it.
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(indexing));
    this.#underWay.add(indexing);
  }

  /** Waits for what goes on behind the scenes. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Deletes the record of a run that has ended. */
  async remove(id: string): Promise<void> {
    await this.#store.deleteFrom("runs").where("id", "=", id).execute();
    this.directory.remove(id);
  }

  async #add(states: readonly RunState[]): Promise<void> {
    if (states.length === 0) return;
    await this.#store.transaction().execute(async (transaction) => {
      for (const { run, sources } of states) {
        const row = {
          owner: run.actor.id,
          status: run.status,
          script: run.script.name ?? null,
          schedule: run.trigger.schedule ?? null,
          record: JSON.stringify(run),
          sources: JSON.stringify(sources),
          started_at: run.startedAt,
          ended_at: run.endedAt ?? null,
        };
        await transaction
          .insertInto("runs")
          .values({ id: run.id, ...row })
          .onConflict((conflict) => conflict.column("id").doUpdateSet(row))
          .execute();
      }
    });
    for (const { run } of states) {
      // What was deleted meanwhile does not come back.
      if (!this.directory.settle(run.id)) await this.remove(run.id);
    }
  }
}

class OpenJournal implements ReadJournal {
  readonly state: RunState;
  readonly #directory: RunsDirectory;
  readonly #reader: JournalReader;
  #foundDead = false;

  constructor(directory: RunsDirectory, reader: JournalReader, state: RunState) {
    this.#directory = directory;
    this.#reader = reader;
    this.state = state;
  }

  async *more(): AsyncGenerator<NumberedLine & { event: ReturnType<RunState["take"]> }, void> {
    for await (const { seq, line } of this.#reader.lines()) {
      yield { seq, line, event: this.state.take(line, seq) };
    }
  }

  async endIfDead(): Promise<boolean> {
    if (!this.#isDead()) return false;
    // Its last lines may have come between the last look and its end.
    if (!this.#foundDead) {
      this.#foundDead = true;
      return true;
    }
    const { startedAt, id } = this.state.start.run;
    const endedMs = Math.max(this.#reader.changedMs, Date.parse(startedAt) + this.state.lastAt);
    const end: EndLine = {
      t: "end",
      status: "interrupted",
      endedAt: new Date(endedMs).toISOString(),
      durationMs: Math.max(0, Math.round(endedMs - Date.parse(startedAt))),
      limitsHit: [],
      calls: this.state.run.calls,
    };
    const fd = this.#directory.openToAppend(id);
    try {
      // The last line may be cut off. Of two processes that write an end, the first one's counts.
      writeSync(fd, `${this.#reader.isTorn ? "\n" : ""}${JSON.stringify(end)}\n`);
    } finally {
      closeSync(fd);
    }
    return true;
  }

  /** Whether nobody can go on with the run. */
  #isDead(): boolean {
    const { holder, run } = this.state.start;
    const isSilent = Date.now() - this.#reader.changedMs > SILENT_MS;
    if (activeRun(this.#directory.dataDir, run.id) !== undefined) return false;
    // Another copy of this package may run it, in this very process.
    const liveness = holder === PROCESS_IDENTITY ? "unknown" : livenessOf(holder);
    return liveness === "unknown" ? isSilent : liveness === "dead";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
  }
}
