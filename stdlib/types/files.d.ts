/** The module `files`: reads and writes the files of spaces, whether they run or not. */

declare module "files" {
  /** A file, directory or symlink, as `list()` and `stat()` tell of it. */
  export interface FileInfo {
    readonly name: string;
    /** Absolute, as the space sees it. */
    readonly path: string;
    /** `other` is what can be neither read nor written, such as a socket. */
    readonly type: "file" | "directory" | "symlink" | "other";
    /** Bytes. */
    readonly size: number;
    /** Permission bits, such as `0o644`. */
    readonly mode: number;
    /** ISO 8601. */
    readonly modified_at: string;
    /** Where a symlink points to, as it is written. */
    readonly target?: string;
    /** SHA-256 of the content in hexadecimal, where `stat()` was asked for it. */
    readonly sha256?: string;
  }

  export interface ReadOptions {
    /** Bytes to leave out at the start. */
    offset?: number;
    /** Bytes to read at most; to the end by default. */
    length?: number;
  }

  export interface AppendOptions {
    /** Make the directories above it that are missing; true by default. */
    parents?: boolean;
    /** Permission bits of a new file; `0o644` by default. */
    mode?: number;
  }

  export interface WriteOptions extends AppendOptions {
    /** `false` refuses a file that exists; true by default. */
    overwrite?: boolean;
  }

  export interface ListFilesOptions {
    /** Also what is in the directories below; symlinks are listed and never entered. */
    recursive?: boolean;
    /** Only paths that match, relative to the listed directory, such as `src/*.ts`. */
    glob?: string;
    /** At most so many; all by default. */
    limit?: number;
  }

  export interface StatOptions {
    /** Also hash the content of a file. */
    hash?: boolean;
  }

  export interface MkdirOptions {
    /** Make the directories above it that are missing, and take one that exists. */
    parents?: boolean;
    /** Permission bits; `0o755` by default. */
    mode?: number;
  }

  export interface MoveOptions {
    /** Replace a file that is there; false by default. */
    overwrite?: boolean;
  }

  export interface CopyOptions extends MoveOptions {
    /** Needed for a directory. */
    recursive?: boolean;
  }

  export interface RemoveOptions {
    /** Needed for a directory that is not empty. */
    recursive?: boolean;
    /** Do nothing where there is nothing to remove. */
    force?: boolean;
  }

  /** Where an archive is, when it is in another space. */
  export interface ArchivePlace {
    /** Name or id of the space; the same one when left out. */
    space?: string;
    path: string;
  }

  export interface ArchiveOptions {
    /** Globs of what to leave out, relative to the directory, such as `node_modules`. */
    exclude?: string | readonly string[];
    /** Replace an archive that is there; false by default. */
    overwrite?: boolean;
  }

  export interface ExtractOptions {
    /** Replace files that are there; false by default. */
    overwrite?: boolean;
    /** Remove what is in the directory first; only once the archive was read to its end. */
    clean?: boolean;
  }

  /** What was taken out of an archive. */
  export interface ExtractResult {
    /** Files, directories and links. */
    readonly entries: number;
    /** Bytes of the files. */
    readonly bytes: number;
    /** What was left out, each with the reason; a last one counts those beyond 1000. */
    readonly skipped: readonly string[];
  }

  /** An archive that was made. */
  export interface ArchiveResult extends ExtractResult {
    /** Absolute, as its space sees it. */
    readonly path: string;
    /** Bytes of the archive. */
    readonly size: number;
    /** SHA-256 of the archive in hexadecimal. */
    readonly sha256: string;
  }

  /**
   * The text of a file, or of a range of it. Paths are absolute below `/workspace`, or relative to it.
   *
   * @example
   * const config = files.read("dev", "app/config.toml");
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param options `offset` and `length` in bytes. A file above 16 MiB is read in such ranges.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`,
   *   `LIMIT_EXCEEDED`, `INVALID_INPUT` for what is no UTF-8 text
   */
  export function read(space: string, path: string, options?: ReadOptions): string;

  /**
   * The bytes of a file, or of a range of it.
   *
   * @example
   * const magic = files.read_bytes("dev", "logo.png", { length: 8 });
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param options `offset` and `length` in bytes. A file above 11 MiB is read in such ranges.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`,
   *   `LIMIT_EXCEEDED`
   */
  export function read_bytes(
    space: string,
    path: string,
    options?: ReadOptions,
  ): Uint8Array<ArrayBuffer>;

  /**
   * The value that a JSON file holds.
   *
   * @example
   * const { version } = files.read_json<{ version: string }>("dev", "package.json");
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @throws SpacesError as `read()`; `INVALID_INPUT` for what is no JSON
   */
  export function read_json<Value = unknown>(space: string, path: string): Value;

  /**
   * Writes a file in one step: others see all of it or nothing.
   *
   * @example
   * files.write("dev", "app/.env", "PORT=3000\n", { mode: 0o600 });
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param content Text, which is written as UTF-8, or bytes.
   * @param options `overwrite`, `parents`, `mode`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`, `PATH_DENIED`,
   *   `LIMIT_EXCEEDED`, `DISK_FULL`
   */
  export function write(
    space: string,
    path: string,
    content: string | ArrayBuffer | ArrayBufferView,
    options?: WriteOptions,
  ): FileInfo;

  /**
   * Writes a value as indented JSON.
   *
   * @example
   * files.write_json("dev", "settings.json", { debug: true });
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param value What JSON can hold.
   * @param options `overwrite`, `parents`, `mode`.
   * @throws SpacesError as `write()`
   */
  export function write_json(
    space: string,
    path: string,
    value: unknown,
    options?: WriteOptions,
  ): FileInfo;

  /**
   * Adds to the end of a file, which is made where there is none.
   *
   * @example
   * files.append("dev", "build.log", "done\n");
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param content Text, which is written as UTF-8, or bytes.
   * @param options `parents`, `mode`.
   * @throws SpacesError as `write()`
   */
  export function append(
    space: string,
    path: string,
    content: string | ArrayBuffer | ArrayBufferView,
    options?: AppendOptions,
  ): FileInfo;

  /**
   * What is in a directory, ordered by path.
   *
   * @example
   * for (const file of files.list("dev", "src", { recursive: true })) console.log(file.path);
   *
   * @param space Name or id of the space.
   * @param path Path of the directory, or the options; the workspace when left out.
   * @param options `recursive`, `glob`, `limit`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`
   */
  export function list(
    space: string,
    path?: string | ListFilesOptions,
    options?: ListFilesOptions,
  ): FileInfo[];

  /**
   * Describes a file, directory or symlink; a symlink is not followed.
   *
   * @example
   * console.log(files.stat("dev", "app.tar", { hash: true }).sha256);
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param options `hash`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `PATH_DENIED`
   */
  export function stat(space: string, path: string, options?: StatOptions): FileInfo;

  /**
   * Whether there is such a file, directory or symlink.
   *
   * @example
   * if (!files.exists("dev", "node_modules")) spaces.run("dev", "npm ci", { timeout: 300 });
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @throws SpacesError `SPACE_NOT_FOUND`, `PATH_DENIED`
   */
  export function exists(space: string, path: string): boolean;

  /**
   * Makes a directory.
   *
   * @example
   * files.mkdir("dev", "data/raw", { parents: true });
   *
   * @param space Name or id of the space.
   * @param path Path of the directory.
   * @param options `parents`, `mode`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `PATH_DENIED`
   */
  export function mkdir(space: string, path: string, options?: MkdirOptions): FileInfo;

  /**
   * Moves or renames a file or directory within a space.
   *
   * @example
   * files.move("dev", "report.tmp", "report.txt", { overwrite: true });
   *
   * @param space Name or id of the space.
   * @param from Path of what is moved.
   * @param to Its new path.
   * @param options `overwrite`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `PATH_DENIED`
   */
  export function move(space: string, from: string, to: string, options?: MoveOptions): FileInfo;

  /**
   * Copies a file or directory within a space.
   *
   * @example
   * files.copy("dev", "src", "backup/src", { recursive: true });
   *
   * @param space Name or id of the space.
   * @param from Path of what is copied.
   * @param to Path of the copy.
   * @param options `recursive`, `overwrite`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`,
   *   `PATH_DENIED`, `DISK_FULL`
   */
  export function copy(space: string, from: string, to: string, options?: CopyOptions): FileInfo;

  /**
   * Removes a file, directory or symlink; what a symlink points to stays. Also exported as `delete`.
   *
   * @example
   * files.delete("dev", "dist", { recursive: true, force: true });
   *
   * @param space Name or id of the space.
   * @param path Path of what is removed.
   * @param options `recursive`, `force`.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `DIRECTORY_NOT_EMPTY`, `PATH_DENIED`
   */
  export function remove(space: string, path: string, options?: RemoveOptions): true;

  /**
   * Writes a directory as a gzipped tar archive, with modes, times and symlinks. The space may run or
   * not; what cannot be put in, or changes meanwhile, is told in `skipped`.
   *
   * @example
   * files.archive("dev", ".", { space: "backups", path: "dev.tgz" }, { exclude: ["node_modules"] });
   *
   * @param space Name or id of the space.
   * @param path Path of the directory; `.` is the workspace.
   * @param to Path of the archive, or with its space where that is another one.
   * @param options `exclude`, `overwrite`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`,
   *   `PATH_DENIED`, `DISK_FULL`
   */
  export function archive(
    space: string,
    path: string,
    to: string | ArchivePlace,
    options?: ArchiveOptions,
  ): ArchiveResult;

  /**
   * Writes what a tar archive, gzipped or not, holds into a directory. Nothing is written where the
   * archive is not whole or has no room; what is not written is told in `skipped`.
   *
   * @example
   * files.extract("dev", ".", { space: "backups", path: "dev.tgz" }, { clean: true });
   *
   * @param space Name or id of the space.
   * @param path Path of the directory, which is made where it is missing; `.` is the workspace.
   * @param from Path of the archive, or with its space where that is another one.
   * @param options `overwrite`, `clean`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `INVALID_INPUT` for what
   *   is no whole archive, `DISK_FULL`, `LIMIT_EXCEEDED`, `PATH_DENIED`
   */
  export function extract(
    space: string,
    path: string,
    from: string | ArchivePlace,
    options?: ExtractOptions,
  ): ExtractResult;

  export { remove as delete };

  /** All functions of the module; a misspelt one is an error that names the right one. */
  const files: Omit<typeof import("files"), "default">;
  export default files;
}
