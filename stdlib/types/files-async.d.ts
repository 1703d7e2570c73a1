/** The module `files/async`: the functions of `files`, each returning a promise. */
// Made from files.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "files/async" {
  import type {
    AppendOptions,
    ArchiveOptions,
    ArchivePlace,
    ArchiveResult,
    CopyOptions,
    ExtractOptions,
    ExtractResult,
    FileInfo,
    ListFilesOptions,
    MkdirOptions,
    MoveOptions,
    ReadOptions,
    RemoveOptions,
    StatOptions,
    WriteOptions,
  } from "files";

  /**
   * The text of a file, or of a range of it. Paths are absolute below `/workspace`, or relative to it.
   *
   * @example
   * const config = await files.read("dev", "app/config.toml");
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param options `offset` and `length` in bytes. A file above 16 MiB is read in such ranges.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`,
   *   `LIMIT_EXCEEDED`, `INVALID_INPUT` for what is no UTF-8 text
   */
  export function read(space: string, path: string, options?: ReadOptions): Promise<string>;

  /**
   * The bytes of a file, or of a range of it.
   *
   * @example
   * const magic = await files.read_bytes("dev", "logo.png", { length: 8 });
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
  ): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * The value that a JSON file holds.
   *
   * @example
   * const { version } = await files.read_json<{ version: string }>("dev", "package.json");
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @throws SpacesError as `read()`; `INVALID_INPUT` for what is no JSON
   */
  export function read_json<Value = unknown>(space: string, path: string): Promise<Value>;

  /**
   * Writes a file in one step: others see all of it or nothing.
   *
   * @example
   * await files.write("dev", "app/.env", "PORT=3000\n", { mode: 0o600 });
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
  ): Promise<FileInfo>;

  /**
   * Writes a value as indented JSON.
   *
   * @example
   * await files.write_json("dev", "settings.json", { debug: true });
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
  ): Promise<FileInfo>;

  /**
   * Adds to the end of a file, which is made where there is none.
   *
   * @example
   * await files.append("dev", "build.log", "done\n");
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
  ): Promise<FileInfo>;

  /**
   * What is in a directory, ordered by path.
   *
   * @example
   * for (const file of await files.list("dev", "src", { recursive: true })) console.log(file.path);
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
  ): Promise<FileInfo[]>;

  /**
   * Describes a file, directory or symlink; a symlink is not followed.
   *
   * @example
   * console.log(await files.stat("dev", "app.tar", { hash: true }).sha256);
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @param options `hash`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `PATH_DENIED`
   */
  export function stat(space: string, path: string, options?: StatOptions): Promise<FileInfo>;

  /**
   * Whether there is such a file, directory or symlink.
   *
   * @example
   * if (!await files.exists("dev", "node_modules")) spaces.run("dev", "npm ci", { timeout: 300 });
   *
   * @param space Name or id of the space.
   * @param path Path of the file.
   * @throws SpacesError `SPACE_NOT_FOUND`, `PATH_DENIED`
   */
  export function exists(space: string, path: string): Promise<boolean>;

  /**
   * Makes a directory.
   *
   * @example
   * await files.mkdir("dev", "data/raw", { parents: true });
   *
   * @param space Name or id of the space.
   * @param path Path of the directory.
   * @param options `parents`, `mode`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `PATH_DENIED`
   */
  export function mkdir(space: string, path: string, options?: MkdirOptions): Promise<FileInfo>;

  /**
   * Moves or renames a file or directory within a space.
   *
   * @example
   * await files.move("dev", "report.tmp", "report.txt", { overwrite: true });
   *
   * @param space Name or id of the space.
   * @param from Path of what is moved.
   * @param to Its new path.
   * @param options `overwrite`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `PATH_DENIED`
   */
  export function move(
    space: string,
    from: string,
    to: string,
    options?: MoveOptions,
  ): Promise<FileInfo>;

  /**
   * Copies a file or directory within a space.
   *
   * @example
   * await files.copy("dev", "src", "backup/src", { recursive: true });
   *
   * @param space Name or id of the space.
   * @param from Path of what is copied.
   * @param to Path of the copy.
   * @param options `recursive`, `overwrite`.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`,
   *   `PATH_DENIED`, `DISK_FULL`
   */
  export function copy(
    space: string,
    from: string,
    to: string,
    options?: CopyOptions,
  ): Promise<FileInfo>;

  /**
   * Removes a file, directory or symlink; what a symlink points to stays. Also exported as `delete`.
   *
   * @example
   * await files.delete("dev", "dist", { recursive: true, force: true });
   *
   * @param space Name or id of the space.
   * @param path Path of what is removed.
   * @param options `recursive`, `force`.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FILE_NOT_FOUND`, `DIRECTORY_NOT_EMPTY`, `PATH_DENIED`
   */
  export function remove(space: string, path: string, options?: RemoveOptions): Promise<true>;

  /**
   * Writes a directory as a gzipped tar archive, with modes, times and symlinks. The space may run or
   * not; what cannot be put in, or changes meanwhile, is told in `skipped`.
   *
   * @example
   * await files.archive("dev", ".", { space: "backups", path: "dev.tgz" }, { exclude: ["node_modules"] });
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
  ): Promise<ArchiveResult>;

  /**
   * Writes what a tar archive, gzipped or not, holds into a directory. Nothing is written where the
   * archive is not whole or has no room; what is not written is told in `skipped`.
   *
   * @example
   * await files.extract("dev", ".", { space: "backups", path: "dev.tgz" }, { clean: true });
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
  ): Promise<ExtractResult>;

  export { remove as delete };

  /** All of the module; a misspelt function is an error that names the right one. */
  const files: Omit<typeof import("files/async"), "default">;
  export default files;
}
