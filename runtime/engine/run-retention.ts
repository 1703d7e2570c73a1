/**
 * Deletes the records of runs that have been kept long enough, and the sources that no record needs
 * any more. Engines sweep when they open, and servers from time to time.
 */
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunLimits } from "../runs/limits.js";
import type { Store } from "../store/store.js";
import type { RunRecords } from "./run-records.js";

/** Milliseconds between two sweeps, whoever of several processes does them. */
const SWEEP_EVERY_MS = 3_600_000;
/** So many journals without an index are worth the time of an engine that opens. */
const MANY_WAITING = 64;
/** Milliseconds for which a source without a record stays: its run may be about to begin. */
const SOURCE_GRACE_MS = 3_600_000;
/** Milliseconds after which a journal that cannot be read is given up. */
const UNREADABLE_MS = 86_400_000;

export class RunRetention {
  readonly #store: Store;
  readonly #records: RunRecords;
  readonly #limits: RunLimits;
  #behind: Promise<void> | undefined;

  constructor(store: Store, records: RunRecords, limits: RunLimits) {
    this.#store = store;
    this.#records = records;
    this.#limits = limits;
  }

  /** Begins what is due, for an engine that has opened; nobody waits for it but `settle`. */
  tidyBehind(): void {
    const isDue = this.#isDue();
    if (!isDue && this.#records.directory.waiting().length < MANY_WAITING) return;
    // What cannot be done now is done by the next engine that opens.
    this.#behind = this.tidy().catch(() => undefined);
  }

  /** Waits for what `tidyBehind` has begun. */
  async settle(): Promise<void> {
    await this.#behind;
  }

  /** Indexes the runs that have ended, and sweeps where that is due. */
  async tidy(): Promise<void> {
    if (this.#isDue()) await this.sweep();
    else await this.#records.index();
  }

  /** Deletes what is too old or too much. */
  async sweep(): Promise<void> {
    this.#touch();
    await this.#records.index();
    await this.#records.indexLost();
    const before = new Date(Date.now() - this.#limits.keptMs).toISOString();
    const old = await this.#store
      .selectFrom("runs")
      .select("id")
      .where("ended_at", "<", before)
      .execute();
    for (const { id } of old) await this.#records.remove(id);
    await this.#removeSurplus();
    await this.#removeUnreadable();
    await this.#removeSources();
  }

  async #removeSurplus(): Promise<void> {
    const { keptPerOwner } = this.#limits;
    const owners = await this.#store
      .selectFrom("runs")
      .select("owner")
      .groupBy("owner")
      .having((having) => having.fn.countAll(), ">", keptPerOwner)
      .execute();
    for (const { owner } of owners) {
      const newest = await this.#store
        .selectFrom("runs")
        .select("id")
        .where("owner", "=", owner)
        .orderBy("id", "desc")
        .offset(keptPerOwner)
        .limit(1)
        .executeTakeFirst();
      if (newest === undefined) continue;
      const surplus = await this.#store
        .selectFrom("runs")
        .select("id")
        .where("owner", "=", owner)
        .where("id", "<=", newest.id)
        .execute();
      for (const { id } of surplus) await this.#records.remove(id);
    }
  }

  /** A journal whose first line never came whole tells of no run. */
  async #removeUnreadable(): Promise<void> {
    const { directory } = this.#records;
    for (const id of directory.waiting()) {
      if (ageOf(directory.journalOf(id)) < UNREADABLE_MS) continue;
      if ((await this.#records.read(id)) === undefined) directory.remove(id);
    }
  }

  async #removeSources(): Promise<void> {
    const { directory } = this.#records;
    const needed = new Set(await this.#records.sourcesUnderWay());
    for (const { sources } of await this.#store.selectFrom("runs").select("sources").execute()) {
      for (const source of JSON.parse(sources) as string[]) needed.add(source);
    }
    for (const name of readdirSync(directory.sourcesDir)) {
      const file = join(directory.sourcesDir, name);
      if (!needed.has(name) && ageOf(file) > SOURCE_GRACE_MS) rmSync(file, { force: true });
    }
  }

  #isDue(): boolean {
    const { directory } = this.#records;
    // Where nothing was ever run there is nothing to sweep.
    return directory.exists && ageOf(directory.sweptFile) > SWEEP_EVERY_MS;
  }

  /** Another process that opens meanwhile leaves the sweep to this one. */
  #touch(): void {
    const { sweptFile } = this.#records.directory;
    const now = new Date();
    writeFileSync(sweptFile, "", { mode: 0o600 });
    utimesSync(sweptFile, now, now);
  }
}

/** Milliseconds since a file was changed; for ever where there is none. */
function ageOf(file: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? Number.POSITIVE_INFINITY : Date.now() - stat.mtimeMs;
}
