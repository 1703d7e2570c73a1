/**
 * Walks a path below a root directory without ever leaving it, also while others rename things:
 * each step opens one name relative to an open directory and follows no symlink by itself. Used by
 * `AnchoredFiles`. Linux only: Node offers no `openat`, but `/proc/self/fd/<n>/<name>` is one.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
} from "node:fs";
import { posix } from "node:path";

/** Linux's flag for a handle that only stands for a place; Node has no name for it. */
export const O_PATH = 0o10000000;
const OPEN_PLACE = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const MAX_SYMLINKS = 40;

/** Whether this machine can walk so. */
export const canAnchor = process.platform === "linux" && existsSync("/proc/self/fd");

/** An error as the file systems of just-bash word it. */
export function fileError(code: string, text: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${text}, ${operation} '${path}'`), { code });
}

/** The place of a name: valid during the call that it is given to. */
export interface Place {
  /** A host path for calls that do not follow a last symlink. */
  readonly host: string;
  /** The path inside of the root, without symlinks. */
  readonly path: string;
  /** Whether this is the root itself. */
  readonly isRoot: boolean;
}

interface Step {
  readonly name: string;
  readonly handle: number;
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
    if (path.includes("\0")) throw fileError("EINVAL", "invalid argument", operation, path);
    const root = openSync(this.#root, OPEN_PLACE);
    const steps: Step[] = [];
    try {
      const rest = segmentsOf(posix.normalize(`/${path}`));
      let links = 0;
      for (;;) {
        const name = rest.shift();
        const top = steps.at(-1)?.handle ?? root;
        const directory = `/${steps.map((step) => step.name).join("/")}`;
        if (name === undefined) {
          return use({
            host: `/proc/self/fd/${top}/.`,
            path: directory,
            isRoot: steps.length === 0,
          });
        }
        const host = `/proc/self/fd/${top}/${name}`;
        const last = rest.length === 0;
        if (lstatSync(host, { throwIfNoEntry: !last })?.isSymbolicLink() === true) {
          if (last && !follow)
            return use({ host, path: posix.join(directory, name), isRoot: false });
          const target = this.inside(readlinkSync(host), directory);
          if (target === undefined) {
            throw fileError("EACCES", "permission denied, the symlink leads out", operation, path);
          }
          if (++links > MAX_SYMLINKS)
            throw fileError("ELOOP", "too many symlinks", operation, path);
          // Begins again at the root: the target may pass through other links.
          rest.unshift(...segmentsOf(target));
          while (steps.length > 0) closeSync(steps.pop()?.handle ?? -1);
        } else if (last) {
          return use({ host, path: posix.join(directory, name), isRoot: false });
        } else {
          steps.push({ name, handle: openSync(host, OPEN_PLACE) });
        }
      }
    } catch (error) {
      throw inside(error, operation, path);
    } finally {
      for (const { handle } of steps) closeSync(handle);
      closeSync(root);
    }
  }
}

/** Replaces the host's path in an error by the one inside. */
function inside(error: unknown, operation: string, path: string): unknown {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return error;
  const text = /^\w+: ([^,]*)/.exec(error.message)?.[1] ?? "input/output error";
  return fileError(String(error.code), text, operation, path);
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
