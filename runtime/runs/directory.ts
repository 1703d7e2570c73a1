/**
 * Where the records of runs lie, below the data directory:
 *
 *     runs/<id>.jsonl        journals of runs under way, and of ended ones that no index has yet
 *     runs/<id>.cancel       somebody wants the run cancelled; its process looks for it
 *     runs/kept/<id>.jsonl   journals of ended runs that the index has
 *     runs/sources/<sha256>  sources of scripts and modules
 *
 * Recorders write here without any store, so everything is small synchronous steps.
 */
import { randomBytes } from "node:crypto";
import {
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const JOURNAL = /^(run_[0-9a-v]{20})\.jsonl$/;
/** Not on Windows. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const APPEND = constants.O_WRONLY | constants.O_APPEND | NO_FOLLOW;

export class RunsDirectory {
  readonly dataDir: string;
  readonly #root: string;

  /** @param dataDir absolute path of the data directory; it need not exist yet */
  constructor(dataDir: string) {
    this.dataDir = dataDir;
    this.#root = join(dataDir, "runs");
  }

  get sourcesDir(): string {
    return join(this.#root, "sources");
  }

  get keptDir(): string {
    return join(this.#root, "kept");
  }

  /** Touched by each sweep of old records. */
  get sweptFile(): string {
    return join(this.#root, ".swept");
  }

  /** Whether anything was ever recorded. */
  get exists(): boolean {
    return lstatSync(this.#root, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  /** Where the journal of a run is while no index has it. */
  journalOf(id: string): string {
    return join(this.#root, `${id}.jsonl`);
  }

  /** Where the journal of a run is once an index has it. */
  keptJournalOf(id: string): string {
    return join(this.keptDir, `${id}.jsonl`);
  }

  sourceOf(sha256: string): string {
    return join(this.sourcesDir, sha256);
  }

  cancelMarkerOf(id: string): string {
    return join(this.#root, `${id}.cancel`);
  }

  /**
   * Makes the journal of a run, and what is missing of the directories.
   * @returns a file descriptor to append with
   * @throws Error of the file system, also where a link stands in the place of a directory
   */
  createJournal(id: string): number {
    const create = (): number =>
      openSync(this.journalOf(id), APPEND | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      this.#refuseLink();
      return create();
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    for (const directory of [this.#root, this.sourcesDir, this.keptDir]) makePrivate(directory);
    return create();
  }

  /** Opens the journal of a run under way, to append to it. */
  openToAppend(id: string): number {
    this.#refuseLink();
    return openSync(this.journalOf(id), APPEND);
  }

  /** Opens a journal to read and to overwrite parts of it, wherever it is. */
  openToChange(id: string): number {
    return openSync(this.journalOf(id), constants.O_RDWR | NO_FOLLOW);
  }

  /** Keeps a source, unless it is kept already. @param sha256 its hash in hexadecimal */
  keepSource(sha256: string, source: string): void {
    const file = this.sourceOf(sha256);
    const now = new Date();
    try {
      // What has just been used is not swept away.
      utimesSync(file, now, now);
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    const draft = `${file}.${randomBytes(6).toString("hex")}`;
    try {
      writeFileSync(draft, source, { mode: 0o600, flag: "wx" });
      renameSync(draft, file);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  }

  /** The ids of the runs whose journals no index has, the oldest first. */
  waiting(): string[] {
    return idsIn(this.#root);
  }

  /** The ids of the runs whose journals the index has, or had once. */
  kept(): string[] {
    return idsIn(this.keptDir);
  }

  /** Says that the index has the journal of an ended run. */
  settle(id: string): boolean {
    try {
      renameSync(this.journalOf(id), this.keptJournalOf(id));
    } catch (error) {
      if (!isMissing(error)) throw error;
      // Another process has settled it, or it was deleted meanwhile.
      return lstatSync(this.keptJournalOf(id), { throwIfNoEntry: false }) !== undefined;
    }
    rmSync(this.cancelMarkerOf(id), { force: true });
    return true;
  }

  /** Has the process of a run cancel it. */
  askToCancel(id: string): void {
    writeFileSync(this.cancelMarkerOf(id), "", { mode: 0o600 });
  }

  isCancelAsked(id: string): boolean {
    return lstatSync(this.cancelMarkerOf(id), { throwIfNoEntry: false }) !== undefined;
  }

  /** Deletes the journal of a run. */
  remove(id: string): void {
    for (const file of [this.journalOf(id), this.keptJournalOf(id), this.cancelMarkerOf(id)]) {
      rmSync(file, { force: true });
    }
  }

  /** What is written below a link would lie where others may read it. */
  #refuseLink(): void {
    if (!lstatSync(this.#root).isDirectory()) throw new Error(`${this.#root} is no directory`);
  }
}

function makePrivate(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (!lstatSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
  }
}

function idsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .flatMap((name) => JOURNAL.exec(name)?.[1] ?? [])
      .sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
