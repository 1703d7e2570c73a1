/**
 * An open directory of a workspace: names are looked up in it and nowhere else, whatever others
 * rename meanwhile. The walk and all work on trees stand on it.
 *
 * Linux: Node offers no `openat`, but `/proc/self/fd/<n>/<name>` is one. Elsewhere a directory is
 * known by its path, which is looked at again after each opening: that finds a directory that was
 * swapped for a symlink, unless it is swapped back in the instant between.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileError, isOneOf } from "./file-error.js";

/** Linux's flag for a handle that only stands for a place; Node has no name for it. */
export const O_PATH = 0o10000000;
const OPEN_PLACE = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Whether this machine can look names up in an open directory. */
export const canAnchor = process.platform === "linux" && existsSync("/proc/self/fd");

/** A host path; bytes where the name is no text. */
export type HostPath = string | Buffer;

const ASCII = /^[\x01-\x7f]*$/;

/** A name as it is read from a directory with the encoding `latin1`, as text. */
export function textOf(rawName: string): string {
  return ASCII.test(rawName) ? rawName : Buffer.from(rawName, "latin1").toString("utf8");
}

/** A name as reading its directory with the encoding `latin1` gives it. */
export function rawOf(name: string): string {
  return ASCII.test(name) ? name : Buffer.from(name, "utf8").toString("latin1");
}

export class Directory implements Disposable {
  /** A host path of this directory; calls may follow it. */
  readonly host: string;
  readonly #handle: number | undefined;
  #identity: string | undefined;

  private constructor(host: string, handle: number | undefined) {
    this.host = host;
    this.#handle = handle;
  }

  /**
   * Opens a directory, following no symlink at the end of its path.
   * @throws an error of Node: `ENOTDIR` for what is none, also for a symlink
   */
  static open(path: HostPath): Directory {
    if (canAnchor) {
      const handle = openSync(path, OPEN_PLACE);
      return new Directory(`/proc/self/fd/${handle}`, handle);
    }
    const host = resolve(path.toString());
    if (!lstatSync(host).isDirectory()) {
      throw fileError("ENOTDIR", "not a directory", "open", "a directory of the workspace");
    }
    const directory = new Directory(host, undefined);
    directory.recheck();
    return directory;
  }

  /** Opens a directory whose way is trusted: symlinks on it, but not at its end, are followed. */
  static root(path: string): Directory {
    if (canAnchor) return Directory.open(path);
    return Directory.open(join(realpathSync(dirname(path)), basename(path)));
  }

  /** The host path of a name in it. */
  at(name: string): string {
    return `${this.host}/${name}`;
  }

  /** The host path of a name in it that was read with the encoding `latin1`. */
  raw(rawName: string): HostPath {
    if (ASCII.test(rawName)) return `${this.host}/${rawName}`;
    return Buffer.concat([Buffer.from(`${this.host}/`), Buffer.from(rawName, "latin1")]);
  }

  /** Another handle of the same directory. */
  again(): Directory {
    return Directory.open(canAnchor ? `${this.host}/.` : this.host);
  }

  /** The directory that it is in at this moment. */
  above(): Directory {
    return Directory.open(canAnchor ? `${this.host}/..` : dirname(this.host));
  }

  /** Tells this directory from all others. */
  get identity(): string {
    this.#identity ??= this.#identify();
    return this.#identity;
  }

  #identify(): string {
    const { dev, ino } =
      this.#handle === undefined
        ? lstatSync(this.host, { bigint: true })
        : fstatSync(this.#handle, { bigint: true });
    return `${dev}:${ino}`;
  }

  /**
   * Looks again whether the path of a directory that has no handle still leads to it.
   * @throws an error with the code `EACCES` when a symlink has taken its place
   */
  recheck(): void {
    if (this.#handle !== undefined || realPath(this.host) === this.host) return;
    throw fileError("EACCES", "permission denied, the symlink leads out", "open", "a directory");
  }

  [Symbol.dispose](): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
  }
}

/** A path without symlinks; undefined where it changes while it is looked at. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isOneOf(error, "EINVAL", "ENOENT", "ENOTDIR", "ELOOP")) throw error;
    return undefined;
  }
}
