/**
 * The lines typed into `spaces repl`, kept from session to session in
 * `$XDG_STATE_HOME/spaces/repl_history`. Several sessions may write at once.
 */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** Lines that a session begins with, at most. */
const LINES = 1000;
/** A file of this many bytes becomes the older one of two. */
const FULL_BYTES = 262_144;
/** A longer line is not kept. */
const LONGEST_LINE = 10_000;
/** A lock of this age was left by a process that has died. */
const STALE_LOCK_MS = 10_000;

/** Where the history is kept. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_STATE_HOME;
  // The XDG specification has relative paths ignored.
  const state = base && isAbsolute(base) ? base : join(homedir(), ".local", "state");
  return join(state, "spaces", "repl_history");
}

export class ReplHistory {
  readonly #path: string;
  #last: string | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The last lines, the newest first. Makes room for more where the file has grown large. */
  load(): string[] {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const text = read(`${this.#path}.old`) + read(this.#path);
    this.#turnOver();
    const lines = text.split("\n").filter((line) => line !== "");
    this.#last = lines.at(-1);
    return lines.slice(-LINES).reverse();
  }

  /** Adds a line, unless it repeats the last one, or begins with a blank so as not to be kept. */
  add(line: string): void {
    if (line === this.#last || !/^\S/.test(line) || line.length > LONGEST_LINE) return;
    this.#last = line;
    // One write at the end of the file: lines of other sessions stay whole beside it.
    appendFileSync(this.#path, `${line.replace(/[\r\n]/g, " ")}\n`, { mode: 0o600 });
  }

  /** Under a lock, for of two who do this one after the other the second would lose the older file. */
  #turnOver(): void {
    if (sizeOf(this.#path) < FULL_BYTES) return;
    const lock = `${this.#path}.lock`;
    try {
      closeSync(openSync(lock, "wx", 0o600));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - since > STALE_LOCK_MS) rmSync(lock, { force: true });
      return;
    }
    try {
      if (sizeOf(this.#path) >= FULL_BYTES) renameSync(this.#path, `${this.#path}.old`);
    } finally {
      rmSync(lock, { force: true });
    }
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
