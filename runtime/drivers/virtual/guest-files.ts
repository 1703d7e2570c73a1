/**
 * The file system as one command sees it: passes every call on to the space's files, keeps bytes
 * exact, lets other commands have their turn, and closes for good when the command has ended.
 * Used by the worker alone.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type {
  BufferEncoding,
  ByteString,
  CpOptions,
  FileContent,
  FsStat,
  IFileSystem,
  MkdirOptions,
  RmOptions,
} from "just-bash";
import { decodeBytes, encodeBytes } from "./byte-text.js";
import { TURN_MS } from "./limits.js";

type ReadOptions = Parameters<IFileSystem["readFile"]>[1];
type WriteOptions = Parameters<IFileSystem["writeFile"]>[2];

// A macrotask anywhere in this thread gives all commands a turn, so one clock serves them all.
// The clock is taken here because just-bash hides it while a script runs.
const now = performance.now.bind(performance);
let lastTurn = now();

function encodingOf(options: ReadOptions | WriteOptions): BufferEncoding {
  return (typeof options === "string" ? options : options?.encoding) ?? "utf8";
}

/** Text of an explicit encoding as bytes; characters of one byte each unless it is UTF-8. */
function bytesOf(content: FileContent, options: WriteOptions): Uint8Array {
  if (typeof content !== "string") return content;
  const encoding = encodingOf(options);
  if (encoding === "utf8" || encoding === "utf-8") return encodeBytes(content);
  return Buffer.from(content, encoding);
}

/** What the files need of just-bash itself. */
export interface Library {
  /** Runs work of the host outside of the guards that just-bash puts around a script. */
  readonly trusted: <T>(work: () => Promise<T>) => Promise<T>;
  readonly bytesFromLatin1: (text: string) => ByteString;
}

/** The files of a space, and the order in which its commands change them. */
export class SpaceFiles {
  readonly files: IFileSystem;
  readonly library: Library;
  #last: Promise<void> = Promise.resolve();

  constructor(files: IFileSystem, library: Library) {
    this.files = files;
    this.library = library;
  }

  /**
   * Makes one change after all that were asked for earlier. just-bash has a queue of its own, but
   * continues a waiting change in the context of the command before it, where its guards against
   * the end of that command stop it for ever: here the queue is never used.
   */
  async change<T>(operation: () => Promise<T>): Promise<T> {
    const previous = this.#last;
    let release: (() => void) | undefined;
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await previous;
    try {
      return await operation();
    } finally {
      release?.();
    }
  }
}

export class GuestFiles implements IFileSystem {
  readonly #space: SpaceFiles;
  readonly #files: IFileSystem;
  readonly #pending = new Set<Promise<unknown>>();
  #closed = false;

  constructor(space: SpaceFiles) {
    this.#space = space;
    this.#files = space.files;
  }

  /** Refuses all further calls. Resolves when those under way have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#pending);
  }

  async #call<T>(operation: () => Promise<T>): Promise<T> {
    if (now() - lastTurn > TURN_MS) {
      await nextTurn();
      lastTurn = now();
    }
    if (this.#closed) throw new Error("EIO: the command has ended");
    // Guarded, what is under way at the end of the command would never be finished.
    const pending = this.#space.library.trusted(operation);
    this.#pending.add(pending);
    try {
      return await pending;
    } finally {
      this.#pending.delete(pending);
    }
  }

  #change<T>(operation: () => Promise<T>): Promise<T> {
    return this.#call(() =>
      this.#space.change(() => {
        // The command may have ended while it waited for its turn.
        if (this.#closed) throw new Error("EIO: the command has ended");
        return operation();
      }),
    );
  }

  readFile(path: string, options?: ReadOptions): Promise<string> {
    const encoding = encodingOf(options);
    if (encoding !== "utf8" && encoding !== "utf-8") {
      return this.#call(() => this.#files.readFile(path, options));
    }
    return this.#call(async () => decodeBytes(await this.#files.readFileBuffer(path)));
  }

  readFileBytes(path: string): Promise<ByteString> {
    // Made in one piece: just-bash would add one character after the other.
    return this.#call(async () => {
      const { buffer, byteOffset, length } = await this.#files.readFileBuffer(path);
      const text = Buffer.from(buffer, byteOffset, length).toString("latin1");
      return this.#space.library.bytesFromLatin1(text);
    });
  }

  readFileBuffer(path: string): Promise<Uint8Array> {
    return this.#call(() => this.#files.readFileBuffer(path));
  }

  writeFile(path: string, content: FileContent, options?: WriteOptions): Promise<void> {
    return this.#change(() => this.#files.writeFile(path, bytesOf(content, options)));
  }

  appendFile(path: string, content: FileContent, options?: WriteOptions): Promise<void> {
    return this.#change(() => this.#files.appendFile(path, bytesOf(content, options)));
  }

  exists(path: string): Promise<boolean> {
    return this.#call(async () => {
      if (await this.#files.exists(path)) return true;
      // What lies behind a symlink that leads out exists too. just-bash then asks for its type,
      // and reports the refusal as the error of one redirection, not of the whole script.
      try {
        await this.#files.stat(path);
        return true;
      } catch (error) {
        return error instanceof Error && error.message.startsWith("EACCES");
      }
    });
  }

  stat(path: string): Promise<FsStat> {
    return this.#call(() => this.#files.stat(path));
  }

  lstat(path: string): Promise<FsStat> {
    return this.#call(() => this.#files.lstat(path));
  }

  mkdir(path: string, options?: MkdirOptions): Promise<void> {
    return this.#change(() => this.#files.mkdir(path, options));
  }

  readdir(path: string): Promise<string[]> {
    return this.#call(() => this.#files.readdir(path));
  }

  rm(path: string, options?: RmOptions): Promise<void> {
    return this.#change(() => this.#files.rm(path, options));
  }

  cp(src: string, dest: string, options?: CpOptions): Promise<void> {
    return this.#change(() => this.#files.cp(src, dest, options));
  }

  mv(src: string, dest: string): Promise<void> {
    return this.#change(() => this.#files.mv(src, dest));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#change(() => this.#files.chmod(path, mode));
  }

  symlink(target: string, linkPath: string): Promise<void> {
    return this.#change(() => this.#files.symlink(target, linkPath));
  }

  link(existingPath: string, newPath: string): Promise<void> {
    return this.#change(() => this.#files.link(existingPath, newPath));
  }

  readlink(path: string): Promise<string> {
    return this.#call(() => this.#files.readlink(path));
  }

  realpath(path: string): Promise<string> {
    return this.#call(() => this.#files.realpath(path));
  }

  utimes(path: string, atime: Date, mtime: Date): Promise<void> {
    return this.#change(() => this.#files.utimes(path, atime, mtime));
  }

  resolvePath(base: string, path: string): string {
    return this.#files.resolvePath(base, path);
  }

  getAllPaths(): string[] {
    return this.#files.getAllPaths();
  }
}
