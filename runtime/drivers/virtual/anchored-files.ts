/**
 * The workspace directory of the host as a file system of just-bash that nothing leads out of, not
 * even renames by others in the middle of a call. Used by the worker on Linux; every call is
 * synchronous inside, so that none is under way when a command ends.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { posix } from "node:path";
import type {
  BufferEncoding,
  CpOptions,
  FileContent,
  FsStat,
  IFileSystem,
  MkdirOptions,
  RmOptions,
} from "just-bash";
import { AnchoredWalk, openRegular, type Place } from "../../workspace/anchored-walk.js";
import { O_PATH } from "../../workspace/directory.js";
import { fileError } from "../../workspace/file-error.js";
import { temporaryName } from "../../workspace/temporary-files.js";
import { decodeBytes, encodeBytes } from "./byte-text.js";

const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const COPY_CHUNK_BYTES = 1024 * 1024;

function statOf(stats: Stats): FsStat {
  return {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    isSymbolicLink: stats.isSymbolicLink(),
    mode: stats.mode & 0o7777,
    size: stats.size,
    mtime: stats.mtime,
    dev: stats.dev,
    ino: stats.ino,
    identity: `${stats.dev}:${stats.ino}`,
  };
}

function withHandle<T>(handle: number, use: (handle: number) => T): T {
  try {
    return use(handle);
  } finally {
    closeSync(handle);
  }
}

export class AnchoredFiles implements IFileSystem {
  readonly #walk: AnchoredWalk;
  readonly #maxFileBytes: number;

  /**
   * @param root host directory
   * @param mount where it appears inside
   * @param maxFileBytes largest file that is read as a whole
   */
  constructor(root: string, mount: string, maxFileBytes: number) {
    this.#walk = new AnchoredWalk(realpathSync(root), mount);
    this.#maxFileBytes = maxFileBytes;
  }

  async readFileBuffer(path: string): Promise<Uint8Array> {
    return this.#walk.at(path, "open", true, (place) =>
      withHandle(openRegular(place, O_RDONLY, "read", path), (handle) => {
        if (fstatSync(handle).size > this.#maxFileBytes) {
          throw fileError("EFBIG", `file larger than ${this.#maxFileBytes} bytes`, "read", path);
        }
        return readFileSync(handle);
      }),
    );
  }

  async readFile(path: string, options?: Parameters<IFileSystem["readFile"]>[1]): Promise<string> {
    const bytes = await this.readFileBuffer(path);
    const encoding: BufferEncoding =
      (typeof options === "string" ? options : options?.encoding) ?? "utf8";
    return encoding === "utf8" || encoding === "utf-8"
      ? decodeBytes(bytes)
      : Buffer.from(bytes).toString(encoding);
  }

  async writeFile(path: string, content: FileContent): Promise<void> {
    this.#write(path, bytesOf(content), false);
  }

  async appendFile(path: string, content: FileContent): Promise<void> {
    this.#write(path, bytesOf(content), true);
  }

  #write(path: string, bytes: Uint8Array, append: boolean): void {
    const operation = append ? "append" : "write";
    const parent = posix.dirname(posix.normalize(`/${path}`));
    // Every file system of just-bash makes the directories of a file that it writes.
    if (parent !== "/") this.#makeDirectories(parent);
    this.#walk.at(path, operation, true, (place) => {
      const shared = (lstatSync(place.host, { throwIfNoEntry: false })?.nlink ?? 1) > 1;
      if (!shared) {
        const flags = O_WRONLY | O_CREAT | (append ? O_APPEND : constants.O_TRUNC);
        withHandle(openRegular(place, flags, operation, path), (handle) =>
          writeFileSync(handle, bytes),
        );
        return;
      }
      // A hard link may share its file with the world outside: this name gets a file of its own.
      withHandle(openRegular(place, O_RDONLY, operation, path), (source) =>
        replace(place, fstatSync(source).mode, (handle) => {
          if (append) copy(source, handle);
          writeFileSync(handle, bytes);
        }),
      );
    });
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch {
      return false;
    }
  }

  async stat(path: string): Promise<FsStat> {
    return this.#walk.at(path, "stat", true, ({ host }) => statOf(lstatSync(host)));
  }

  async lstat(path: string): Promise<FsStat> {
    return this.#walk.at(path, "lstat", false, ({ host }) => statOf(lstatSync(host)));
  }

  async mkdir(path: string, options?: MkdirOptions): Promise<void> {
    if (options?.recursive === true) this.#makeDirectories(path);
    else this.#walk.at(path, "mkdir", false, ({ host }) => mkdirSync(host));
  }

  #makeDirectories(path: string): void {
    const names = posix.normalize(`/${path}`).split("/").filter(Boolean);
    names.forEach((_, index) => {
      const part = `/${names.slice(0, index + 1).join("/")}`;
      this.#walk.at(part, "mkdir", true, ({ host }) => {
        const stats = lstatSync(host, { throwIfNoEntry: false });
        if (stats === undefined) mkdirSync(host);
        else if (!stats.isDirectory()) throw fileError("ENOTDIR", "not a directory", "mkdir", path);
      });
    });
  }

  async readdir(path: string): Promise<string[]> {
    return this.#names(path);
  }

  #names(path: string): string[] {
    return this.#walk.at(path, "scandir", true, ({ host }) =>
      withHandle(openSync(host, O_RDONLY | constants.O_DIRECTORY | O_NOFOLLOW), (handle) =>
        readdirSync(`/proc/self/fd/${handle}`).sort(),
      ),
    );
  }

  async rm(path: string, options: RmOptions = {}): Promise<void> {
    try {
      this.#remove(path, options.recursive === true);
    } catch (error) {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!missing || options.force !== true) throw error;
    }
  }

  #remove(path: string, recursive: boolean): void {
    const isDirectory = this.#walk.at(path, "rm", false, (place) => {
      if (place.isRoot) throw fileError("EBUSY", "resource busy or locked", "rm", path);
      return lstatSync(place.host).isDirectory();
    });
    if (!isDirectory) {
      this.#walk.at(path, "rm", false, ({ host }) => unlinkSync(host));
      return;
    }
    if (recursive) {
      for (const name of this.#names(path)) this.#remove(posix.join(path, name), true);
    }
    this.#walk.at(path, "rm", false, ({ host }) => rmdirSync(host));
  }

  async cp(src: string, dest: string, options: CpOptions = {}): Promise<void> {
    this.#copy(src, dest, options.recursive === true);
  }

  #copy(src: string, dest: string, recursive: boolean): void {
    const stats = this.#walk.at(src, "cp", !recursive, ({ host }) => lstatSync(host));
    if (stats.isSymbolicLink()) {
      const target = this.#walk.at(src, "cp", false, ({ host }) => readlinkSync(host));
      this.#link(target, dest);
    } else if (stats.isDirectory()) {
      if (!recursive) {
        throw fileError("EISDIR", "illegal operation on a directory", "cp", src);
      }
      const [from, to] = [this.#real(src), posix.normalize(`/${dest}`)];
      if (`${to}/`.startsWith(`${from}/`)) {
        throw fileError("EINVAL", "cannot copy a directory into itself", "cp", src);
      }
      const names = this.#names(src);
      this.#makeDirectories(dest);
      for (const name of names) this.#copy(posix.join(src, name), posix.join(dest, name), true);
    } else {
      this.#walk.at(src, "cp", !recursive, (from) =>
        withHandle(openRegular(from, O_RDONLY, "cp", src), (source) =>
          this.#walk.at(dest, "cp", true, (to) => {
            if (lstatSync(to.host, { throwIfNoEntry: false })?.isDirectory() === true) {
              throw fileError("EISDIR", "illegal operation on a directory", "cp", dest);
            }
            replace(to, fstatSync(source).mode, (handle) => copy(source, handle));
          }),
        ),
      );
    }
  }

  async mv(src: string, dest: string): Promise<void> {
    this.#walk.at(src, "mv", false, (from) =>
      this.#walk.at(dest, "mv", false, (to) => {
        if (from.isRoot || to.isRoot) {
          throw fileError("EBUSY", "resource busy or locked", "mv", src);
        }
        renameSync(from.host, to.host);
      }),
    );
  }

  async chmod(path: string, mode: number): Promise<void> {
    this.#walk.at(path, "chmod", true, (place) => {
      const stats = lstatSync(place.host);
      if (stats.isDirectory()) {
        const flags = O_RDONLY | constants.O_DIRECTORY | O_NOFOLLOW;
        withHandle(openSync(place.host, flags), (handle) => fchmodSync(handle, mode & 0o777));
      } else if (stats.nlink > 1) {
        throw fileError("EPERM", "operation not permitted on a hard link", "chmod", path);
      } else {
        withHandle(openPlace(place), (handle) => {
          if (!fstatSync(handle).isFile()) {
            throw fileError("EACCES", "permission denied, not a regular file", "chmod", path);
          }
          chmodSync(`/proc/self/fd/${handle}`, mode & 0o777);
        });
      }
    });
  }

  async symlink(target: string, linkPath: string): Promise<void> {
    this.#link(target, linkPath);
  }

  /** Makes a symlink that works on the host too: relative, and never one that leads out. */
  #link(target: string, path: string): void {
    this.#walk.at(path, "symlink", false, (place) => {
      const directory = posix.dirname(place.path);
      const resolved = this.#walk.inside(target, directory);
      if (resolved === undefined) {
        throw fileError("EACCES", "permission denied, the target is outside", "symlink", path);
      }
      const text = target.startsWith("/") ? posix.relative(directory, resolved) || "." : target;
      symlinkSync(text, place.host);
    });
  }

  async link(existingPath: string, newPath: string): Promise<void> {
    this.#walk.at(existingPath, "link", false, (from) =>
      withHandle(openRegular(from, O_RDONLY, "link", existingPath), () =>
        this.#walk.at(newPath, "link", false, (to) => linkSync(from.host, to.host)),
      ),
    );
  }

  async readlink(path: string): Promise<string> {
    return this.#walk.at(path, "readlink", false, ({ host }) => readlinkSync(host));
  }

  async realpath(path: string): Promise<string> {
    return this.#real(path);
  }

  #real(path: string): string {
    return this.#walk.at(path, "realpath", true, (place) => {
      lstatSync(place.host);
      return place.path;
    });
  }

  async utimes(path: string, atime: Date, mtime: Date): Promise<void> {
    this.#walk.at(path, "utimes", true, ({ host }) => lutimesSync(host, atime, mtime));
  }

  resolvePath(base: string, path: string): string {
    return posix.resolve("/", base, path);
  }

  getAllPaths(): string[] {
    return [];
  }
}

function bytesOf(content: FileContent): Uint8Array {
  return typeof content === "string" ? encodeBytes(content) : content;
}

function copy(source: number, target: number): void {
  const buffer = Buffer.allocUnsafe(COPY_CHUNK_BYTES);
  for (;;) {
    const length = readSync(source, buffer);
    if (length === 0) return;
    for (let at = 0; at < length; ) at += writeSync(target, buffer, at, length - at);
  }
}

/** Writes a new file beside a place and puts it there in one step. */
function replace(place: Place, mode: number, write: (handle: number) => void): void {
  const temporary = place.directory.at(temporaryName());
  const handle = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    withHandle(handle, () => {
      write(handle);
      fchmodSync(handle, mode & 0o777);
    });
    renameSync(temporary, place.host);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
}

/** A handle that stands for the file itself, without the right to read it. */
function openPlace(place: Place): number {
  return openSync(place.host, O_PATH | O_NOFOLLOW);
}
