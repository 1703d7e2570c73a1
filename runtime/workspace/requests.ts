/** What the methods of `WorkspaceFiles` take, beside what the contract checks already. */
import type { Encoding } from "./encoding.js";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface OnPath {
  readonly path: string;
}

export interface ListRequest {
  readonly path?: string | undefined;
  readonly recursive?: boolean | undefined;
  readonly glob?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface RangeRequest extends OnPath {
  readonly offset: number;
  readonly length?: number | undefined;
}

/** How a file is put in its place. */
export interface PutRequest extends OnPath {
  readonly overwrite?: boolean | undefined;
  readonly parents?: boolean | undefined;
  readonly mode?: number | undefined;
}

export interface WriteRequest extends PutRequest {
  readonly content: string;
  readonly encoding?: Encoding | undefined;
  readonly append?: boolean | undefined;
}

export interface TransferRequest {
  readonly from: string;
  readonly to: string;
  readonly overwrite?: boolean | undefined;
  readonly recursive?: boolean | undefined;
}

/** A file that is being sent. The body must be read to its end, or cancelled. */
export interface Download {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes that follow. */
  readonly bytes: number;
  /** SHA-256 of the bytes that follow. */
  readonly digest: Buffer;
  readonly modifiedAt: Date;
}

export interface ArchiveRequest {
  /** The directory; the workspace when absent. */
  readonly path?: string | undefined;
  /** Path of the archive, in the files that it is written to. */
  readonly to: string;
  /** Globs, relative to the directory. */
  readonly exclude: readonly string[];
  readonly overwrite: boolean;
}

export interface ExtractRequest {
  /** The directory; the workspace when absent. */
  readonly path?: string | undefined;
  /** Path of the archive, in the files that it is read from. */
  readonly from: string;
  readonly overwrite: boolean;
  /** Removes what is in the directory first. */
  readonly clean: boolean;
}
