/** The files of a space, as programs reach them: `space.files`. */
import { createHash } from "node:crypto";
import type { FileInfo } from "../contract/files.js";
import { type CallOptions, type Connection, limited } from "./connection.js";
import { sdkError } from "./errors.js";
import type {
  ArchivedFiles,
  ArchiveOptions,
  ArchivePlace,
  ExtractedFiles,
  ExtractOptions,
  FileContent,
  FileEncoding,
  HashedFileInfo,
  ListFilesOptions,
  RangeOptions,
  ReadFileOptions,
  WriteFileOptions,
} from "./file-options.js";
import {
  gathered,
  hashed,
  type StreamedContent,
  streamOf,
  streamOfBytes,
  verified,
} from "./file-streams.js";
import { itemsOf } from "./pages.js";

/** Content up to this many bytes goes in one call; more is streamed. */
const IN_ONE_CALL_BYTES = 1024 * 1024;
const PAGE = 1000;

/**
 * Files of one space. Paths are relative to its workspace, or absolute below it (`/workspace/a`).
 * Works whether the space runs or not.
 */
export class SpaceFiles {
  readonly #connection: Connection;
  readonly #space: string;

  constructor(connection: Connection, space: string) {
    this.#connection = connection;
    this.#space = space;
  }

  /**
   * Reads a file, or a range of it, as text; 16 MiB at most.
   * @param options the encoding, or more
   * @throws SpacesError `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`, `LIMIT_EXCEEDED`;
   *   `INVALID_INPUT` for bytes that are no UTF-8
   */
  async read(
    path: string,
    // A string has a `length`, too: `object` keeps it from passing for options.
    options: FileEncoding | (ReadFileOptions & object) = {},
  ): Promise<FileContent> {
    const { signal, timeoutMs, ...range } = withEncoding(options);
    return await this.#connection.call(
      (client, call) => client.files.read({ space: this.#space, path, ...range }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Reads a file of any size into memory.
   * @throws SpacesError `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`, `HASH_MISMATCH`
   */
  async readBytes(path: string, options: RangeOptions = {}): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of await this.#download(path, options)) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  }

  /**
   * Reads a file of any size as a stream. It ends with the error `HASH_MISMATCH` when what came is
   * not what the space has.
   * @throws SpacesError `FILE_NOT_FOUND`, `WRONG_FILE_TYPE`, `PATH_DENIED`
   */
  async readStream(
    path: string,
    options: RangeOptions = {},
  ): Promise<ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>> {
    return streamOf(await this.#download(path, options)) as ReadableStream<Uint8Array> &
      AsyncIterable<Uint8Array>;
  }

  /**
   * Writes a file in one step: readers see what was there before, or all of the new content. What is
   * streamed is checked against its SHA-256.
   * @param content text, bytes, or a stream of them
   * @param options the encoding of text, or more
   * @throws SpacesError `FILE_EXISTS` with `overwrite: false`, `FILE_NOT_FOUND` with `parents: false`,
   *   `WRONG_FILE_TYPE`, `PATH_DENIED`, `DISK_FULL`, `HASH_MISMATCH`
   */
  async write(
    path: string,
    content: string | Uint8Array | StreamedContent,
    options: FileEncoding | WriteFileOptions = {},
  ): Promise<HashedFileInfo> {
    const { signal, timeoutMs, encoding, ...rest } = withEncoding(options);
    if (typeof content === "string" && content.length <= IN_ONE_CALL_BYTES) {
      return await this.#connection.call(
        (client, call) =>
          client.files.write({ space: this.#space, path, content, encoding, ...rest }, call),
        { signal, timeoutMs },
      );
    }
    const upload = { path, ...rest };
    const either = limited(signal, timeoutMs);
    if (typeof content === "string") {
      return await this.#uploadBytes(upload, bytesOf(content, encoding), either);
    }
    if (content instanceof Uint8Array) return await this.#uploadBytes(upload, content, either);
    return await this.#uploadStream(upload, content, either);
  }

  /**
   * Adds to the end of a file, which is made where there is none; 16 MiB at most.
   * @throws SpacesError `WRONG_FILE_TYPE`, `PATH_DENIED`, `DISK_FULL`, `INVALID_INPUT`
   */
  async append(
    path: string,
    content: string | Uint8Array,
    options: FileEncoding | Omit<WriteFileOptions, "overwrite"> = {},
  ): Promise<FileInfo> {
    const { signal, timeoutMs, ...rest } = withEncoding(options);
    const text =
      typeof content === "string"
        ? { content }
        : { content: Buffer.from(content).toString("base64"), encoding: "base64" as const };
    const input = { space: this.#space, path, append: true, ...rest, ...text };
    return await this.#connection.call((client, call) => client.files.write(input, call), {
      signal,
      timeoutMs,
    });
  }

  /** Lists a directory: all of it, ordered by path. @throws SpacesError `FILE_NOT_FOUND` */
  async list(options: ListFilesOptions = {}): Promise<FileInfo[]> {
    const files: FileInfo[] = [];
    for await (const file of this.iterate(options)) files.push(file);
    return files;
  }

  /** Goes through a directory that may be large, one page at a time. */
  async *iterate(options: ListFilesOptions = {}): AsyncGenerator<FileInfo, void> {
    const { signal, timeoutMs, ...what } = options;
    yield* itemsOf((cursor) =>
      this.#connection.call(
        (client, call) =>
          client.files.list({ space: this.#space, ...what, limit: PAGE, cursor }, call),
        { signal, timeoutMs },
      ),
    );
  }

  /**
   * Describes a file, not following a symlink.
   * @param options `hash` also hashes the content
   * @throws SpacesError `FILE_NOT_FOUND`, `PATH_DENIED`
   */
  async stat(
    path: string,
    options: CallOptions & { readonly hash?: boolean | undefined } = {},
  ): Promise<HashedFileInfo> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.files.stat({ space: this.#space, path, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /** Whether there is such a file or directory. */
  async exists(path: string, options: CallOptions = {}): Promise<boolean> {
    const found = await this.#connection.call(
      (client, call) => client.files.exists({ space: this.#space, path }, call),
      options,
    );
    return found.exists;
  }

  /**
   * Makes a directory.
   * @param options `parents` makes those above it that are missing, and takes one that exists
   * @throws SpacesError `FILE_EXISTS`, `FILE_NOT_FOUND`, `PATH_DENIED`
   */
  async mkdir(
    path: string,
    options: CallOptions & Pick<WriteFileOptions, "parents" | "mode"> = {},
  ): Promise<FileInfo> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.files.mkdir({ space: this.#space, path, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /** Moves or renames. @throws SpacesError `FILE_NOT_FOUND`, `FILE_EXISTS`, `PATH_DENIED` */
  async move(
    from: string,
    to: string,
    options: CallOptions & Pick<WriteFileOptions, "overwrite"> = {},
  ): Promise<FileInfo> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.files.move({ space: this.#space, from, to, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Copies a file, or with `recursive` a directory.
   * @throws SpacesError `FILE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`, `PATH_DENIED`
   */
  async copy(
    from: string,
    to: string,
    options: CallOptions &
      Pick<WriteFileOptions, "overwrite"> & { readonly recursive?: boolean | undefined } = {},
  ): Promise<FileInfo> {
    const { signal, timeoutMs, ...rest } = options;
    return await this.#connection.call(
      (client, call) => client.files.copy({ space: this.#space, from, to, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Removes a file or directory.
   * @param options `recursive` also removes what is in a directory; `force` is content when there is
   *   nothing to remove
   * @throws SpacesError `FILE_NOT_FOUND`, `DIRECTORY_NOT_EMPTY`, `PATH_DENIED`
   */
  async remove(
    path: string,
    options: CallOptions & {
      readonly recursive?: boolean | undefined;
      readonly force?: boolean | undefined;
    } = {},
  ): Promise<void> {
    const { signal, timeoutMs, ...rest } = options;
    await this.#connection.call(
      (client, call) => client.files.remove({ space: this.#space, path, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Writes a directory as a gzipped tar archive, with modes, times and symlinks.
   * @param to path of the archive, or with its space where that is another one
   * @throws SpacesError `FILE_NOT_FOUND`, `FILE_EXISTS`, `WRONG_FILE_TYPE`, `PATH_DENIED`, `DISK_FULL`
   */
  async archive(to: ArchivePlace, options: ArchiveOptions = {}): Promise<ArchivedFiles> {
    const { signal, timeoutMs, exclude, ...rest } = options;
    const input = { space: this.#space, to: this.#archiveAt(to), ...rest };
    return await this.#connection.callUnbounded(
      (client, call) => client.files.archive({ ...input, exclude: exclude && [...exclude] }, call),
      limited(signal, timeoutMs),
    );
  }

  /**
   * Writes what a tar archive, gzipped or not, holds into a directory.
   * @param from path of the archive, or with its space where that is another one
   * @throws SpacesError `FILE_NOT_FOUND`, `FILE_EXISTS`, `DISK_FULL`, `LIMIT_EXCEEDED`;
   *   `INVALID_INPUT` for what is no whole archive
   */
  async extract(from: ArchivePlace, options: ExtractOptions = {}): Promise<ExtractedFiles> {
    const { signal, timeoutMs, ...rest } = options;
    const input = { space: this.#space, from: this.#archiveAt(from), ...rest };
    return await this.#connection.callUnbounded(
      (client, call) => client.files.extract(input, call),
      limited(signal, timeoutMs),
    );
  }

  #archiveAt(place: ArchivePlace): { space: string; path: string } {
    const { space = this.#space, path } = typeof place === "string" ? { path: place } : place;
    return { space, path };
  }

  /** The same as `remove`. */
  delete(...args: Parameters<SpaceFiles["remove"]>): Promise<void> {
    return this.remove(...args);
  }

  async #download(
    path: string,
    { signal, timeoutMs, ...range }: RangeOptions,
  ): Promise<AsyncGenerator<Uint8Array, void>> {
    const { headers, body } = await this.#connection.callUnbounded(
      (client, call) => client.files.download({ space: this.#space, path, ...range }, call),
      limited(signal, timeoutMs),
    );
    return verified(path, body as ReadableStream<Uint8Array>, headers);
  }

  async #uploadBytes(
    query: UploadQuery,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<HashedFileInfo> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return await this.#upload({ ...query, sha256 }, streamOfBytes(bytes), signal);
  }

  /** The hash of what streams is known at its end only: then it is compared. */
  async #uploadStream(
    query: UploadQuery,
    content: StreamedContent,
    signal: AbortSignal | undefined,
  ): Promise<HashedFileInfo> {
    const hash = createHash("sha256");
    const written = await this.#upload(query, streamOf(hashed(gathered(content), hash)), signal);
    const sha256 = hash.digest("hex");
    if (written.sha256 === sha256) return written;
    throw sdkError("HASH_MISMATCH", `What was written to "${query.path}" is not what was sent.`, {
      suggestion: "Write it again.",
      details: { path: query.path, expected: sha256, found: written.sha256 },
    });
  }

  async #upload(
    query: UploadQuery & { readonly sha256?: string },
    body: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<HashedFileInfo> {
    return await this.#connection.callUnbounded(
      (client, call) => client.files.upload({ params: { space: this.#space }, query, body }, call),
      signal,
    );
  }
}

interface UploadQuery extends Pick<WriteFileOptions, "overwrite" | "parents" | "mode"> {
  readonly path: string;
}

function withEncoding<T extends object>(
  options: FileEncoding | T,
): T & { encoding?: FileEncoding | undefined } {
  return typeof options === "string"
    ? ({ encoding: options } as T & { encoding: FileEncoding })
    : options;
}

function bytesOf(content: string, encoding: FileEncoding = "utf8"): Uint8Array {
  return Buffer.from(content, encoding);
}
