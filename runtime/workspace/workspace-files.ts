/**
 * The files of a space, read and written on the host in its workspace directory: nothing leads out of
 * it, whatever runs in the space at the same time. The engine's files and scripts use it.
 */
import { lstatSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import { posix } from "node:path";
import { SpacesError } from "../contract/errors.js";
import { type FileInfo, LARGEST_CONTENT_BYTES } from "../contract/files.js";
import { AnchoredWalk, type HeldPlace } from "./anchored-walk.js";
import { append } from "./append.js";
import { hashRange, openContent, rangeOf, readRange, streamContent, writeAll } from "./content.js";
import { copyFile, copyLink, copyTree } from "./copy-tree.js";
import { Directory, rawOf } from "./directory.js";
import { bytesOf, type Encoding, textOfBytes } from "./encoding.js";
import { isOneOf } from "./file-error.js";
import { describe, infoOf, modifiedAt } from "./file-info.js";
import { globMatcher } from "./glob.js";
import { relativePath } from "./inside-path.js";
import { listPage } from "./listing.js";
import { makeDirectory, type Owner, ownerOf } from "./owner.js";
import { checkCancelled, registryError } from "./registry-error.js";
import { removeTree } from "./remove-tree.js";
import type {
  ArchiveRequest,
  CallOptions,
  Download,
  ExtractRequest,
  ListRequest,
  OnPath,
  PutRequest,
  RangeRequest,
  TransferRequest,
  WriteRequest,
} from "./requests.js";
import { isMissing, required, requireInside, requireNotInto, tooLarge } from "./requirements.js";
import { renameToNew } from "./reservation.js";
import { replaceFile } from "./temporary-files.js";
import { receive } from "./upload.js";

const DEFAULT_FILE_MODE = 0o644;
const DEFAULT_DIRECTORY_MODE = 0o755;
/** Archives hold what only the owner may read. */
const ARCHIVE_MODE = 0o600;
const DEFAULT_PAGE = 1000;

/**
 * Every method throws `SpacesError`s: `INVALID_INPUT` and `PATH_DENIED` for what is no path inside,
 * `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `CONFLICT` where others change the same files, `DISK_FULL`,
 * `CANCELLED`.
 */
export class WorkspaceFiles {
  readonly #root: string;
  readonly #mount: string;
  readonly #walk: AnchoredWalk;

  /**
   * @param root absolute host path of the workspace directory
   * @param mount where it appears in the space, such as `/workspace`
   */
  constructor(root: string, mount: string) {
    this.#root = root;
    this.#mount = mount;
    this.#walk = new AnchoredWalk(root, mount);
  }

  /** Lists a page of a directory, ordered by path. */
  list(
    { path = ".", recursive = false, glob, limit = DEFAULT_PAGE, cursor }: ListRequest,
    { signal }: CallOptions = {},
  ): Promise<{ items: FileInfo[]; nextCursor?: string }> {
    const matches = glob === undefined ? () => true : globMatcher(glob);
    const after = cursor === undefined ? "" : Buffer.from(cursor, "base64url").toString("utf8");
    return this.#at(path, { follow: true }, async (place, shown) => {
      using top = Directory.open(place.host);
      const request = { path: shown, recursive, matches, limit, after, signal };
      const { items, next } = await listPage(top, request);
      if (next === undefined) return { items };
      return { items, nextCursor: Buffer.from(next).toString("base64url") };
    });
  }

  /** Describes a file, not following a symlink; with its SHA-256 where that is asked for. */
  stat(
    { path, hash = false }: OnPath & { readonly hash?: boolean | undefined },
    { signal }: CallOptions = {},
  ): Promise<FileInfo & { sha256?: string }> {
    return this.#at(path, { follow: false }, async (place, shown) => {
      const info = required(describe(place.host, shown), shown);
      if (!hash || info.type !== "file") return info;
      await using handle = await openContent(place.directory, place.host);
      const stats = await handle.stat();
      const whole = { offset: 0, length: stats.size };
      const sha256 = (await hashRange(handle, whole, signal)).digest("hex");
      return { ...infoOf(stats, shown), sha256 };
    });
  }

  /** Whether there is something of this name, be it a symlink that leads nowhere. */
  async exists({ path }: OnPath): Promise<boolean> {
    try {
      return await this.#at(path, { follow: false }, async ({ host }) => {
        return lstatSync(host, { throwIfNoEntry: false }) !== undefined;
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
      return false;
    }
  }

  /**
   * Reads a file, or a part of it.
   * @throws SpacesError `LIMIT_EXCEEDED` for more than 16 MiB; `INVALID_INPUT` for bytes that are no
   *   UTF-8 text, unless they are read as `base64`
   */
  read(
    { path, encoding, offset, length }: RangeRequest & { readonly encoding: Encoding },
    { signal }: CallOptions = {},
  ): Promise<{ content: string; encoding: Encoding; bytes: number; size: number }> {
    return this.#at(path, { follow: true }, async (place, shown) => {
      await using handle = await openContent(place.directory, place.host);
      const { size } = await handle.stat();
      const range = rangeOf(size, offset, length);
      if (range.length > LARGEST_CONTENT_BYTES) throw tooLarge(shown, range.length);
      const bytes = await readRange(handle, range, signal);
      return { content: textOfBytes(bytes, encoding, shown), encoding, bytes: bytes.length, size };
    });
  }

  /**
   * Writes a file in one step, or adds to its end.
   * @throws SpacesError `FILE_EXISTS` without `overwrite`; `LIMIT_EXCEEDED` for more than 16 MiB
   */
  async write(request: WriteRequest, { signal }: CallOptions = {}): Promise<FileInfo> {
    const bytes = bytesOf(request.content, request.encoding ?? "utf8");
    if (bytes.length > LARGEST_CONTENT_BYTES) throw tooLarge(request.path, bytes.length);
    return await this.#put(request, async (place, shown, options) => {
      checkCancelled(signal);
      const stats =
        request.append === true && options.overwrite
          ? await append(nameOf(place), bytes, options)
          : await replaceFile(nameOf(place), options, (handle) => writeAll(handle, bytes));
      return infoOf(stats, shown);
    });
  }

  /** Makes a directory. @throws SpacesError `FILE_EXISTS`, with `parents` only for what is none */
  mkdir({ path, parents = false, mode = DEFAULT_DIRECTORY_MODE }: PutRequest): Promise<FileInfo> {
    return this.#at(path, { follow: parents, make: parents }, async (place, shown, owner) => {
      try {
        makeDirectory(place.host, mode, owner);
      } catch (error) {
        const known = lstatSync(place.host, { throwIfNoEntry: false })?.isDirectory() === true;
        if (!(isOneOf(error, "EEXIST") && parents && known)) throw error;
      }
      return required(describe(place.host, shown), shown);
    });
  }

  /** Moves or renames. @throws SpacesError `FILE_EXISTS` without `overwrite` */
  move({ from, to, overwrite = false }: TransferRequest): Promise<FileInfo> {
    return this.#at(from, { follow: false }, (source, shownFrom) =>
      this.#at(to, { follow: false }, async (target, shown) => {
        requireInside(source, shownFrom);
        requireInside(target, shown);
        const found = lstatSync(source.host);
        requireNotInto(source, target, shown);
        const replaced = lstatSync(target.host, { throwIfNoEntry: false });
        if (!overwrite) {
          renameToNew(source.host, target.host, found.isDirectory() ? "directory" : "file");
        } else if (
          replaced?.ino === found.ino &&
          replaced.dev === found.dev &&
          source.path !== target.path
        ) {
          // Two names of one file: to the kernel there is nothing to do, and both would stay.
          unlinkSync(source.host);
        } else {
          renameSync(source.host, target.host);
        }
        return required(describe(target.host, shown), shown);
      }),
    );
  }

  /**
   * Copies a file, or with `recursive` a directory, whose symlinks are copied as symlinks. What was
   * copied before a failure is removed, unless it was put into a directory that existed.
   * @throws SpacesError `FILE_EXISTS` without `overwrite`; `PATH_DENIED` for a special file
   */
  copy(
    { from, to, overwrite = false, recursive = false }: TransferRequest,
    { signal }: CallOptions = {},
  ): Promise<FileInfo> {
    return this.#at(from, { follow: !recursive }, (source) =>
      this.#at(to, { follow: false }, async (target, shown, owner) => {
        const options = { owner, overwrite, signal };
        const found = lstatSync(source.host);
        if (found.isSymbolicLink()) {
          await copyLink(nameOf(source), nameOf(target), options);
        } else if (found.isDirectory() && recursive) {
          requireInside(target, shown);
          requireNotInto(source, target, shown);
          await copyTree(nameOf(source), nameOf(target), options);
        } else {
          await copyFile(nameOf(source), nameOf(target), options);
        }
        return required(describe(target.host, shown), shown);
      }),
    );
  }

  /**
   * Removes a file, a symlink, or with `recursive` a directory and all that is in it.
   * @throws SpacesError `DIRECTORY_NOT_EMPTY`; `FILE_NOT_FOUND` without `force`
   */
  async remove(
    {
      path,
      recursive = false,
      force = false,
    }: OnPath & { readonly recursive?: boolean | undefined; readonly force?: boolean | undefined },
    { signal }: CallOptions = {},
  ): Promise<void> {
    try {
      await this.#at(path, { follow: false }, async (place, shown) => {
        requireInside(place, shown);
        if (!lstatSync(place.host).isDirectory()) unlinkSync(place.host);
        else if (recursive) await removeTree(nameOf(place), signal);
        else rmdirSync(place.host);
      });
    } catch (error) {
      if (!force || !isMissing(error)) throw error;
    }
  }

  /** Opens a file to be sent, and hashes what will be sent. */
  download(
    { path, offset, length }: RangeRequest,
    { signal }: CallOptions = {},
  ): Promise<Download> {
    return this.#at(path, { follow: true }, async (place, shown) => {
      const handle = await openContent(place.directory, place.host);
      try {
        const stats = await handle.stat();
        const range = rangeOf(stats.size, offset, length);
        const digest = (await hashRange(handle, range, signal)).digest();
        checkCancelled(signal);
        const body = streamContent(handle, { range, digest, path: shown, signal });
        return { body, bytes: range.length, digest, modifiedAt: modifiedAt(stats) };
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  /**
   * Writes a file from a stream, in one step and only when its hash is right.
   * @throws SpacesError `HASH_MISMATCH`; `FILE_EXISTS` without `overwrite`
   */
  async upload(
    { sha256, ...request }: PutRequest & { readonly sha256?: string | undefined },
    body: ReadableStream,
    { signal }: CallOptions = {},
  ): Promise<FileInfo & { sha256: string }> {
    try {
      return await this.#put(request, async (place, path, options) => {
        let actual = "";
        const stats = await replaceFile(nameOf(place), options, async (handle) => {
          actual = await receive(body, handle, { sha256, path, signal });
        });
        return { ...infoOf(stats, path), sha256: actual };
      });
    } catch (error) {
      // A body that was refused before it was read: its sender need not wait.
      if (!body.locked) await body.cancel(error).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Writes a directory into a gzipped tar archive, in these files or those of another space. What
   * cannot be put in, and what changed meanwhile, is told in `skipped`.
   * @throws SpacesError `FILE_EXISTS` without `overwrite`; `INVALID_INPUT` for a pattern with too
   *   many alternatives
   */
  async archive(
    { path = ".", to, exclude, overwrite }: ArchiveRequest,
    target: WorkspaceFiles,
    { signal }: CallOptions = {},
  ) {
    const { writeArchive } = await import("./archive.js");
    const matchers = exclude.map(globMatcher);
    const excluded = (name: string) => matchers.some((matches) => matches(name));
    return await this.#at(path, { follow: true }, async (place) => {
      using top = Directory.open(place.host);
      const request = { path: to, overwrite, mode: ARCHIVE_MODE };
      return await target.#put(request, async (file, shown, options) => {
        const self = nameOf(file);
        let summary: Awaited<ReturnType<typeof writeArchive>> | undefined;
        const { size } = await replaceFile(self, options, async (handle) => {
          summary = await writeArchive(top, handle, { excluded, self, signal });
        });
        if (summary === undefined) throw new Error("The archive was not written.");
        return { path: shown, size, ...summary };
      });
    });
  }

  /**
   * Writes what a tar archive, in these files or those of another space, holds into a directory,
   * which is made where it is missing. What cannot be written is told in `skipped`.
   * @throws SpacesError `INVALID_INPUT` for what is no whole archive, `FILE_EXISTS` without
   *   `overwrite`, `DISK_FULL`, `LIMIT_EXCEEDED`: then nothing was written
   */
  async extract(
    { path = ".", from, overwrite, clean }: ExtractRequest,
    source: WorkspaceFiles,
    { signal }: CallOptions = {},
  ) {
    const { extractArchive } = await import("./extract.js");
    return await source.#at(from, { follow: true }, async (file, shownArchive) => {
      await using archive = await openContent(file.directory, file.host);
      return await this.#at(path, { follow: true, make: true }, async (place, shown, owner) => {
        const isBelow = `${file.path}/`.startsWith(place.isRoot ? "/" : `${place.path}/`);
        if (clean && isBelow && source.#root === this.#root) {
          throw new SpacesError(
            "INVALID_INPUT",
            `${shownArchive}: The archive is in ${shown}, which is to be cleaned.`,
            { suggestion: "Move the archive out of the directory, or do not clean it." },
          );
        }
        using found = openIfThere(place);
        const make = () => {
          if (found === undefined) makeMissing(place.host, owner);
          return Directory.open(place.host);
        };
        const destination = { found, near: place.directory, make };
        const options = { archive, path: shownArchive, owner, overwrite, clean, signal };
        return await extractArchive(destination, options);
      });
    });
  }

  /** Finds the place of a file that is to be written. */
  #put<T>(
    { path, overwrite = true, parents = true, mode = DEFAULT_FILE_MODE }: PutRequest,
    use: (
      place: HeldPlace,
      shown: string,
      options: { owner: Owner | undefined; mode: number; overwrite: boolean },
    ) => Promise<T>,
  ): Promise<T> {
    // A name must be new as it stands: through a symlink it would be another one that is new.
    return this.#at(path, { follow: overwrite, make: parents }, (place, shown, owner) => {
      requireInside(place, shown);
      return use(place, shown, { owner, mode, overwrite });
    });
  }

  /** Finds a place and gives it to `use`, and what goes wrong there as an error of the registry. */
  async #at<T>(
    path: string,
    { follow, make = false }: { readonly follow: boolean; readonly make?: boolean },
    use: (place: HeldPlace, shown: string, owner: Owner | undefined) => Promise<T>,
  ): Promise<T> {
    const relative = relativePath(path, this.#mount);
    const shown = posix.join(this.#mount, relative);
    try {
      const owner = ownerOf(this.#root);
      using place = this.#walk.hold(relative, "open", {
        follow,
        make: make ? (directory, name) => makeMissing(directory.at(name), owner) : undefined,
      });
      return await use(place, shown, owner);
    } catch (error) {
      throw registryError(error, shown);
    }
  }
}

function nameOf({ directory, name }: HeldPlace) {
  return { directory, rawName: rawOf(name) };
}

/** The directory at a place; undefined where there is nothing yet. */
function openIfThere(place: HeldPlace): Directory | undefined {
  try {
    return Directory.open(place.host);
  } catch (error) {
    if (!isOneOf(error, "ENOENT")) throw error;
    return undefined;
  }
}

/** Makes a directory on the way to a file; another may have been faster. */
function makeMissing(host: string, owner: Owner | undefined): void {
  try {
    makeDirectory(host, DEFAULT_DIRECTORY_MODE, owner);
  } catch (error) {
    if (!isOneOf(error, "EEXIST")) throw error;
  }
}
