/**
 * Lists directories page by page, in the order of their paths. A page begins after a path and not at
 * a count, so that files which come and go neither repeat nor hide others; it needs neither the
 * whole of a directory in memory nor the depth of a tree on the stack. Used by `WorkspaceFiles`.
 */
import type { Dirent } from "node:fs";
import { opendir } from "node:fs/promises";
import { Readable } from "node:stream";
import type { FileInfo } from "../contract/files.js";
import { Descent } from "./descent.js";
import { type Directory, textOf } from "./directory.js";
import { isOneOf } from "./file-error.js";
import { describe } from "./file-info.js";
import { checkCancelled } from "./registry-error.js";
import { isTemporary } from "./temporary-files.js";

/** Names that one page looks at before it ends early, with less on it than was asked for. */
const MOST_SCANNED = 200_000;
/** Names of one directory that are kept at a time; the rest is read again when these are used up. */
const MOST_KEPT = 10_000;
/** Nothing deeper can be named in a call. */
const LONGEST_PATH_BYTES = 4096;

export interface ListingRequest {
  /** The listed directory as the space sees it. */
  readonly path: string;
  readonly recursive: boolean;
  /** Whether a path, relative to the listed directory, is wanted. */
  readonly matches: (path: string) => boolean;
  /** Items at most. */
  readonly limit: number;
  /** Relative path after which the page begins; empty for the first one. */
  readonly after: string;
  readonly signal: AbortSignal | undefined;
}

export interface Page {
  readonly items: FileInfo[];
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

/** A name to be listed, or a directory to be gone into: its key is the name and a slash. */
interface Entry {
  readonly key: string;
  readonly rawName: string;
  readonly enter: boolean;
}

/** A directory on the way. */
interface Level {
  /** Relative path of its names: empty, or ending with a slash. */
  readonly prefix: string;
  /** Where the page begins, relative to the prefix. */
  readonly after: string;
  /** Whether `after` is where the page begins, which may be below one of the names. */
  resumes: boolean;
  entries: Entry[];
  next: number;
  /** Whether there is nothing after `entries`. */
  complete: boolean;
}

/** Lists a page of a directory. @throws SpacesError `CANCELLED`; an error of Node */
export async function listPage(top: Directory, request: ListingRequest): Promise<Page> {
  return await new Listing(top, request).page();
}

class Listing {
  readonly #top: Directory;
  readonly #request: ListingRequest;
  #scanned = 0;
  /** The last path that was looked at. */
  #reached = "";

  constructor(top: Directory, request: ListingRequest) {
    this.#top = top;
    this.#request = request;
  }

  async page(): Promise<Page> {
    const items: FileInfo[] = [];
    try {
      const next = await this.#fill(items);
      return { items, ...(next === undefined ? {} : { next }) };
    } catch (error) {
      // The tree was moved under this page: the next one finds its way from the workspace on.
      if (!isOneOf(error, "ESTALE") || this.#reached <= this.#request.after) throw error;
      return { items, next: this.#reached };
    }
  }

  /** Gathers the items of the page. @returns where the next page begins */
  async #fill(items: FileInfo[]): Promise<string | undefined> {
    const { after, limit } = this.#request;
    using descent = new Descent(this.#top);
    const levels = [levelOf("", after)];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const entry = level.entries[level.next];
      if (entry === undefined) {
        if (level.complete) {
          levels.pop();
          if (levels.length > 0) descent.leave();
        } else if (this.#scanned >= MOST_SCANNED && this.#reached > after) {
          return this.#reached;
        } else {
          await this.#read(descent.here, level);
        }
        continue;
      }
      level.next += 1;
      const path = level.prefix + entry.key;
      if (entry.enter) {
        if (!tryEnter(descent, entry.rawName)) continue;
        const resumed = path === after.slice(0, path.length) ? after.slice(path.length) : "";
        levels.push(levelOf(path, resumed));
      } else {
        const item = describe(descent.here.raw(entry.rawName), `${this.#request.path}/${path}`);
        if (item === undefined) continue;
        if (items.length === limit) return lastOf(items, this.#request.path);
        items.push(item);
      }
      this.#reached = path;
    }
    return undefined;
  }

  /** Reads the next entries of a directory: those after `after`, in order. */
  async #read(directory: Directory, level: Level): Promise<void> {
    const { recursive, matches, limit, path, signal } = this.#request;
    const most = recursive ? Math.max(MOST_KEPT, limit + 1) : limit + 1;
    const from = level.entries.at(-1)?.key ?? level.after;
    const base = Buffer.byteLength(path) + 1 + Buffer.byteLength(level.prefix);
    let kept: Entry[] = [];
    /** The key of the last entry that can still be among the first ones. */
    let bound: string | undefined;
    const keep = (entry: Entry): void => {
      const below = level.resumes && entry.enter && from.startsWith(entry.key);
      if (!below && entry.key <= from) return;
      if (bound !== undefined && entry.key > bound) return;
      kept.push(entry);
      if (kept.length < 2 * most) return;
      kept = kept.sort(byKey).slice(0, most);
      bound = kept.at(-1)?.key;
    };
    for await (const found of await namesOf(directory, level)) {
      checkCancelled(signal);
      this.#scanned += 1;
      const rawName = found.name;
      if (isTemporary(rawName)) continue;
      const name = textOf(rawName);
      if (matches(level.prefix + name)) keep({ key: name, rawName, enter: false });
      // A slash and one character more must still be a path.
      const fits = base + Buffer.byteLength(name) + 2 <= LONGEST_PATH_BYTES;
      if (recursive && fits && found.isDirectory()) {
        keep({ key: `${name}/`, rawName, enter: true });
      }
    }
    kept.sort(byKey);
    level.complete = bound === undefined && kept.length <= most;
    level.entries = kept.slice(0, most);
    level.next = 0;
    level.resumes = false;
  }
}

/** Opens a directory for reading; one below the listed one that may not be read counts as empty. */
async function namesOf(directory: Directory, level: Level): Promise<AsyncIterable<Dirent>> {
  try {
    return await opendir(directory.host, { encoding: "latin1", bufferSize: 1024 });
  } catch (error) {
    if (level.prefix === "" || !isOneOf(error, "EACCES", "ENOENT")) throw error;
    return Readable.from([]);
  }
}

function levelOf(prefix: string, after: string): Level {
  return { prefix, after, resumes: after !== "", entries: [], next: 0, complete: false };
}

function byKey(a: Entry, b: Entry): number {
  return a.key < b.key ? -1 : 1;
}

/** The path of the last item, relative to the listed directory. */
function lastOf(items: readonly FileInfo[], path: string): string {
  return items.at(-1)?.path.slice(path.length + 1) ?? "";
}

/** Goes into a directory, unless it is gone, is none any more, or may not be entered. */
function tryEnter(descent: Descent, rawName: string): boolean {
  try {
    descent.enter(rawName);
    return true;
  } catch (error) {
    if (isOneOf(error, "ENOENT", "ENOTDIR", "ELOOP", "EACCES")) return false;
    throw error;
  }
}
