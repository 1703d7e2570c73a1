/**
 * Tells when files change, also when they are replaced by a rename, removed, or come back. What is
 * watched are their directories, for a replaced file is another one. `run-watched.ts` uses it.
 */
import { type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";

/** Editors write a file in several steps: a change is told when there was none for this time. */
const QUIET_MS = 80;
/** How often is looked for a directory that has gone. */
const RETRY_MS = 300;

export class FileWatch implements Disposable {
  readonly #onChange: (paths: readonly string[]) => void;
  /** What the files were like when they were last looked at, by absolute path. */
  readonly #seen = new Map<string, string>();
  readonly #watchers = new Map<string, { readonly watcher: FSWatcher; readonly id: number }>();
  #quiet: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #disposed = false;

  /** @param onChange told which files are not what they were */
  constructor(onChange: (paths: readonly string[]) => void) {
    this.#onChange = onChange;
  }

  /** How many files are watched. */
  get size(): number {
    return this.#seen.size;
  }

  /** Watches one more file, which need not be there. What it is like now is no change. */
  add(path: string): void {
    for (const file of [resolve(path), targetOf(path)]) {
      if (file === undefined || this.#seen.has(file)) continue;
      this.#seen.set(file, look(file));
      this.#watchDirectory(dirname(file));
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    clearTimeout(this.#quiet);
    clearTimeout(this.#retry);
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchDirectory(directory: string): void {
    if (this.#disposed || this.#watchers.has(directory)) return;
    try {
      const { ino } = statSync(directory);
      const watcher = watch(directory, () => this.#noticed(directory));
      watcher.on("error", () => this.#lose(directory));
      this.#watchers.set(directory, { watcher, id: ino });
    } catch {
      // It is not there, or cannot be watched any more: it may be again.
      this.#tryAgain();
    }
  }

  #noticed(directory: string): void {
    // The watch of a directory that was removed sees nothing of the one that takes its place.
    const now = statSync(directory, { throwIfNoEntry: false })?.ino;
    if (now !== this.#watchers.get(directory)?.id) this.#lose(directory);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#compare(), QUIET_MS);
  }

  #lose(directory: string): void {
    this.#watchers.get(directory)?.watcher.close();
    this.#watchers.delete(directory);
    this.#tryAgain();
  }

  #tryAgain(): void {
    if (this.#disposed || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      for (const file of this.#seen.keys()) this.#watchDirectory(dirname(file));
      this.#compare();
    }, RETRY_MS);
  }

  #compare(): void {
    const changed: string[] = [];
    for (const [file, before] of this.#seen) {
      const now = look(file);
      if (now === before) continue;
      this.#seen.set(file, now);
      changed.push(file);
    }
    if (changed.length > 0) this.#onChange(changed);
  }
}

/** What tells one state of a file from another. */
function look(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file);
    return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
  } catch {
    // Whatever keeps it from being read, nothing can be run of it now.
    return "missing";
  }
}

/** Where a symbolic link leads to; undefined where there is nothing. */
function targetOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
