/** What the methods of `space.files` take and give. */
import type { FileInfo } from "../contract/files.js";
import type { CallOptions } from "./connection.js";

/** How bytes are written as text. */
export type FileEncoding = "utf8" | "base64";

export interface ReadFileOptions extends RangeOptions {
  /** `utf8` when absent. */
  readonly encoding?: FileEncoding | undefined;
}

export interface RangeOptions extends CallOptions {
  /** Bytes to leave out at the start. */
  readonly offset?: number | undefined;
  /** Bytes to read at most; to the end when absent. */
  readonly length?: number | undefined;
}

export interface FileContent {
  readonly content: string;
  readonly encoding: FileEncoding;
  /** Bytes of the content. */
  readonly bytes: number;
  /** Bytes of the whole file. */
  readonly size: number;
}

export interface WriteFileOptions extends CallOptions {
  /** Of content that is a string; `utf8` when absent. */
  readonly encoding?: FileEncoding | undefined;
  /** `false` refuses a file that exists. */
  readonly overwrite?: boolean | undefined;
  /** Makes the directories above it that are missing; `true` when absent. */
  readonly parents?: boolean | undefined;
  /** Permission bits of a new file, such as `0o755`. */
  readonly mode?: number | undefined;
}

export interface ListFilesOptions extends CallOptions {
  /** The directory; the workspace when absent. */
  readonly path?: string | undefined;
  /** Also what is in the directories below. */
  readonly recursive?: boolean | undefined;
  /** Only paths that match, relative to the directory, such as `src/*.ts`. */
  readonly glob?: string | undefined;
}

/** A file, with its hash where it was asked for or came for free. */
export type HashedFileInfo = FileInfo & {
  /** SHA-256 in hexadecimal. */
  readonly sha256?: string | undefined;
};

/** Where an archive is: a path in the same space, or a space and a path. */
export type ArchivePlace = string | { readonly space?: string | undefined; readonly path: string };

export interface ArchiveOptions extends CallOptions {
  /** The directory; the workspace when absent. */
  readonly path?: string | undefined;
  /** Globs of what to leave out, relative to the directory. */
  readonly exclude?: readonly string[] | undefined;
  /** Replaces an archive that is there. */
  readonly overwrite?: boolean | undefined;
}

export interface ExtractOptions extends CallOptions {
  /** The directory, made where it is missing; the workspace when absent. */
  readonly path?: string | undefined;
  /** Replaces files that are there. */
  readonly overwrite?: boolean | undefined;
  /** Removes what is in the directory first. */
  readonly clean?: boolean | undefined;
}

/** What was taken out of an archive. */
export interface ExtractedFiles {
  /** Files, directories and links. */
  readonly entries: number;
  /** Bytes of the files. */
  readonly bytes: number;
  /** What was left out, each with the reason. */
  readonly skipped: readonly string[];
}

/** An archive that was made. */
export interface ArchivedFiles extends ExtractedFiles {
  /** Absolute, as its space sees it. */
  readonly path: string;
  /** Bytes of the archive. */
  readonly size: number;
  /** SHA-256 of the archive in hexadecimal. */
  readonly sha256: string;
}
