/**
 * Copies a file or a tree from one place to another, whatever the places are: this machine, a space,
 * standard input or output. `spaces cp`, `spaces files put` and `spaces files get` are all this.
 */
import { createHash } from "node:crypto";
import { type ErrorCode, SpacesError } from "../runtime/contract/errors.js";
import { exitCodeOf } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import type { Session } from "./session.js";
import { byteSize, printableName } from "./text.js";

export type EntryType = "file" | "directory" | "symlink" | "other";

/** Something in a tree. Its segments lead to it from the root of the tree; the root has none. */
export interface Entry {
  readonly segments: readonly string[];
  readonly type: EntryType;
  /** Bytes of a file, where they are known. */
  readonly size?: number | undefined;
  /** Permission bits. */
  readonly mode?: number | undefined;
}

/** The bytes of a file, to be read once. Disposing lets go of what they come from. */
export interface Content extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly size?: number | undefined;
  /** SHA-256 in hexadecimal that the bytes have to have, where it is known beforehand. */
  readonly sha256?: string | undefined;
}

/** Where files come from. */
export interface Source {
  /** How messages name it. */
  readonly label: string;
  /** The last part of its path; undefined where it has none or only its content is meant. */
  readonly name: string | undefined;
  /** Describes the root. */
  describe(): Promise<Entry>;
  /** What is below the root, directories before what is in them. */
  entries(): AsyncIterable<Entry>;
  open(segments: readonly string[]): Promise<Content>;
}

/** Where files go. */
export interface Target {
  /** How messages name it. */
  readonly label: string;
  /** Whether it is, or is meant as, a directory that takes what comes under its own name. */
  isDirectory(): Promise<boolean>;
  /** Makes a directory, with those above it; takes one that exists. */
  mkdir(segments: readonly string[], mode: number | undefined): Promise<void>;
  /** Writes a file in one step, once all of the content has come. Gives the SHA-256 if it knows. */
  write(
    segments: readonly string[],
    content: Content,
    options: { readonly mode: number | undefined; readonly overwrite: boolean },
  ): Promise<string | undefined>;
}

/** What copying needs of a session. */
export type CopySession = Pick<Session, "signal" | "output" | "exitCode">;

export interface CopyOptions {
  readonly recursive: boolean;
  readonly overwrite: boolean;
}

/** What a copy did, as `--json` shows it. */
export interface CopyReport {
  files: number;
  directories: number;
  bytes: number;
  /** Of a single file. */
  sha256?: string;
  /** What is no file and no directory, and was left out. */
  readonly skipped: { readonly path: string; readonly type: EntryType }[];
  readonly failed: { readonly path: string; readonly code: ErrorCode; readonly message: string }[];
}

/** What can be wrong with one file of a tree, and does not end the copying of the others. */
const OF_ONE_FILE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FILE_NOT_FOUND",
  "FILE_EXISTS",
  "WRONG_FILE_TYPE",
  "PATH_DENIED",
  "HASH_MISMATCH",
]);

/**
 * Copies a file, or a directory with all that is in it. A target that is a directory takes it under
 * its own name.
 * @returns what was done; a file of a tree that failed has been reported and left out
 * @throws SpacesError `WRONG_FILE_TYPE` for a directory without `recursive`; `HASH_MISMATCH` when
 *   bytes changed on their way; what the places throw
 */
export async function copy(
  session: CopySession,
  from: Source,
  to: Target,
  { recursive, overwrite }: CopyOptions,
): Promise<CopyReport> {
  const root = await from.describe();
  const isTree = root.type === "directory";
  if (isTree && !recursive) {
    throw new SpacesError("WRONG_FILE_TYPE", `${from.label} is a directory.`, {
      suggestion: "Copy it with all that is in it: add -r.",
    });
  }
  const base = (await to.isDirectory()) ? baseIn(from, to, isTree) : [];
  const report: CopyReport = { files: 0, directories: 0, bytes: 0, skipped: [], failed: [] };
  const one = async (entry: Entry): Promise<string> => {
    const content = await from.open(entry.segments);
    try {
      const checked = checkedContent(session, content, report, nameOf(from, entry));
      const written = await to.write([...base, ...entry.segments], checked, {
        mode: entry.mode,
        overwrite,
      });
      report.files += 1;
      return checked.verify(written);
    } finally {
      await content[Symbol.asyncDispose]();
    }
  };
  if (!isTree) {
    report.sha256 = await one(root);
    return report;
  }
  const make = async (entry: Entry): Promise<void> => {
    await to.mkdir([...base, ...entry.segments], entry.mode);
    report.directories += 1;
  };
  await make(root);
  for await (const entry of from.entries()) {
    if (session.signal.aborted) throw new SpacesError("CANCELLED");
    try {
      if (entry.type === "directory") await make(entry);
      else if (entry.type === "file") await one(entry);
      else skip(session, report, entry);
    } catch (failure) {
      keepGoing(session, report, entry, failure);
    }
  }
  return report;
}

/** Tells people what a copy did, or prints it with `--json`. */
export function tellCopy(session: CopySession, from: Source, to: Target, report: CopyReport): void {
  const { output } = session;
  if (output.isJson) {
    output.json(report);
    return;
  }
  const what = `${report.files} ${report.files === 1 ? "file" : "files"} (${byteSize(report.bytes)})`;
  output.note(`Copied ${what} from ${from.label} to ${to.label}.`);
}

function baseIn(from: Source, to: Target, isTree: boolean): string[] {
  if (from.name !== undefined) return [from.name];
  if (isTree) return [];
  throw new SpacesError("INVALID_INPUT", `${to.label} is a directory.`, {
    suggestion: "Name the file that is to be written.",
  });
}

const nameOf = (from: Source, { segments }: Entry): string =>
  segments.length === 0 ? from.label : printableName(segments.join("/"));

function skip(session: CopySession, report: CopyReport, entry: Entry): void {
  const path = entry.segments.join("/");
  report.skipped.push({ path, type: entry.type });
  const what = entry.type === "symlink" ? "a symlink" : "no regular file";
  session.output.note(`Left out ${printableName(path)}: it is ${what}.`);
}

function keepGoing(session: CopySession, report: CopyReport, entry: Entry, failure: unknown): void {
  const error = toSpacesError(failure);
  if (session.signal.aborted || !OF_ONE_FILE.has(error.code)) throw error;
  const { code, message } = error;
  report.failed.push({ path: entry.segments.join("/"), code, message });
  if (!session.output.isJson) reportError(session.output, error);
  if (session.exitCode === 0) session.exitCode = exitCodeOf(code);
}

const PROGRESS_MS = 100;

/**
 * The content with its bytes counted, shown and hashed on their way. It ends with an error where the
 * hash is not the one it has to be, so that no target takes it for complete.
 */
function checkedContent(
  { output, signal }: CopySession,
  content: Content,
  report: CopyReport,
  label: string,
): Content & { verify(other: string | undefined): string } {
  const hash = createHash("sha256");
  const mismatch = (): SpacesError =>
    new SpacesError("HASH_MISMATCH", `The bytes of ${label} changed on their way.`, {
      suggestion: "Copy it again; where it changes all the time, copy it when it rests.",
    });
  let digest: string | undefined;
  async function* pass(): AsyncGenerator<Uint8Array> {
    let done = 0;
    let shown = Date.now();
    for await (const chunk of content.chunks) {
      if (signal.aborted) throw new SpacesError("CANCELLED");
      hash.update(chunk);
      done += chunk.length;
      yield chunk;
      if (Date.now() - shown > PROGRESS_MS) {
        shown = Date.now();
        const all = content.size === undefined ? "" : ` of ${byteSize(content.size)}`;
        output.progress(`${label}: ${byteSize(done)}${all}`);
      }
    }
    if (signal.aborted) throw new SpacesError("CANCELLED");
    digest = hash.digest("hex");
    if (content.sha256 !== undefined && content.sha256 !== digest) throw mismatch();
    report.bytes += done;
  }
  return {
    chunks: pass(),
    size: content.size,
    sha256: content.sha256,
    verify(other) {
      if (digest === undefined || (other !== undefined && other !== digest)) throw mismatch();
      return digest;
    },
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  };
}
