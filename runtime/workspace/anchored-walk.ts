/**
 * Walks a path below a root directory without ever leaving it, also while others rename things:
 * each step opens one name relative to an open directory and follows no symlink by itself. Used by
 * `WorkspaceFiles`, and by the file system of virtual spaces.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { Directory } from "./directory.js";
import { fileError, inside, isOneOf } from "./file-error.js";

const MAX_SYMLINKS = 40;

/** The place of a name: valid until it is disposed of. */
export interface Place {
  /** A host path for calls that do not follow a last symlink. */
  readonly host: string;
  /** The path inside of the root, without symlinks. */
  readonly path: string;
  /** Whether this is the root itself. */
  readonly isRoot: boolean;
  /** The directory that the name is in; the root itself for the root. */
  readonly directory: Directory;
  /** The name in that directory; `.` for the root. */
  readonly name: string;
}

/** A place that keeps its directory open; whoever holds it disposes of it. */
export interface HeldPlace extends Place, Disposable {}

interface HoldOptions {
  /** Whether a symlink at the end is followed. */
  readonly follow: boolean;
  /** Makes a directory on the way that is missing; without it that is `ENOENT`. */
  readonly make?: ((directory: Directory, name: string) => void) | undefined;
}

const segmentsOf = (path: string) => path.split("/").filter((name) => name !== "" && name !== ".");

export class AnchoredWalk {
  readonly #root: string;
  readonly #mount: string;

  /**
   * @param root host directory
   * @param mount where it appears inside: absolute symlinks below it lead into the root
   */
  constructor(root: string, mount: string) {
    this.#root = root;
    this.#mount = posix.normalize(`/${mount}`).replace(/\/$/, "");
  }

  /**
   * A symlink's target relative to the root, or undefined where it leads out.
   *
   * @param directory the directory of the link, inside of the root
   */
  inside(target: string, directory: string): string | undefined {
    if (!target.startsWith("/")) {
      // Lexical: `..` beyond the root leads out even where the kernel would stop there.
      const depth = segmentsOf(directory);
      for (const name of segmentsOf(target)) {
        if (name !== "..") depth.push(name);
        else if (depth.pop() === undefined) return undefined;
      }
      return `/${depth.join("/")}`;
    }
    const normal = posix.normalize(target);
    if (normal === this.#mount) return "/";
    return normal.startsWith(`${this.#mount}/`) ? normal.slice(this.#mount.length) : undefined;
  }

  /**
   * Finds a place and gives it to `use`.
   *
   * @param operation for messages
   * @param follow whether a symlink at the end is followed
   * @throws like the file systems of just-bash; `EACCES` for a symlink that leads out
   */
  at<T>(path: string, operation: string, follow: boolean, use: (place: Place) => T): T {
    using place = this.hold(path, operation, { follow });
    try {
      return use(place);
    } catch (error) {
      throw inside(error, operation, path);
    }
  }

  /**
   * Finds a place and holds it. The thing itself need not exist; the directories above it must.
   *
   * @param operation for messages
   * @throws like the file systems of just-bash; `EACCES` for a symlink that leads out
   */
  hold(path: string, operation: string, { follow, make }: HoldOptions): HeldPlace {
    if (path.includes("\0")) throw fileError("EINVAL", "invalid argument", operation, path);
    let current: Directory | undefined;
    try {
      const steps: string[] = [];
      const rest = segmentsOf(posix.normalize(`/${path}`));
      let links = 0;
      for (;;) {
        current ??= Directory.root(this.#root);
        const name = rest.shift();
        if (name === undefined) return heldPlace(current, "/", ".");
        const directory = `/${steps.join("/")}`;
        const last = rest.length === 0;
        const host = current.at(name);
        const tolerant = last || make !== undefined;
        const found = lstatSync(host, { throwIfNoEntry: !tolerant });
        if (found?.isSymbolicLink() === true && !(last && !follow)) {
          if (++links > MAX_SYMLINKS)
            throw fileError("ELOOP", "too many symlinks", operation, path);
          const text = targetOf(host);
          if (text === undefined) {
            rest.unshift(name);
            continue;
          }
          const target = this.inside(text, directory);
          if (target === undefined) {
            throw fileError("EACCES", "permission denied, the symlink leads out", operation, path);
          }
          // Begins again at the root: the target may pass through other links.
          rest.unshift(...segmentsOf(target));
          steps.length = 0;
          current[Symbol.dispose]();
          current = undefined;
        } else if (last) {
          return heldPlace(current, posix.join(directory, name), name);
        } else {
          if (found === undefined) make?.(current, name);
          const next = Directory.open(host);
          current[Symbol.dispose]();
          current = next;
          steps.push(name);
        }
      }
    } catch (error) {
      current?.[Symbol.dispose]();
      throw inside(error, operation, path);
    }
  }
}

/** Where a symlink points to; undefined where it is none any more. */
function targetOf(host: string): string | undefined {
  try {
    return readlinkSync(host);
  } catch (error) {
    if (!isOneOf(error, "EINVAL")) throw error;
    return undefined;
  }
}

function heldPlace(directory: Directory, path: string, name: string): HeldPlace {
  return {
    host: directory.at(name),
    path,
    isRoot: name === ".",
    directory,
    name,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** Opens a regular file at a place, whatever has become of the place meanwhile. */
export function openRegular(place: Place, flags: number, operation: string, path: string): number {
  const handle = openSync(place.host, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o666);
  const stats = fstatSync(handle);
  if (stats.isFile()) return handle;
  closeSync(handle);
  throw stats.isDirectory()
    ? fileError("EISDIR", "illegal operation on a directory", operation, path)
    : fileError("EACCES", "permission denied, not a regular file", operation, path);
}
