/** `spaces files archive` and `extract`: directories of spaces as tar archives in spaces. */
import { SpacesError } from "../runtime/contract/errors.js";
import { placeOf } from "./cp.js";
import type { Session } from "./session.js";
import { byteSize, printableName } from "./text.js";

interface ArchiveOptions {
  readonly exclude?: string[];
  readonly force?: boolean;
}

interface ExtractOptions {
  readonly force?: boolean;
  readonly clean?: boolean;
}

/** Writes a directory into an archive, and tells of what could not be put in. */
export async function archiveFiles(
  session: Session,
  from: string,
  to: string,
  { exclude, force }: ArchiveOptions,
): Promise<void> {
  const request = { ...directoryOf(from), to: archiveOf(to), exclude, overwrite: force };
  const client = await session.client();
  const made = await client.files.archive(request, { signal: session.signal });
  tellSkipped(session, made.skipped, "Not as it is");
  session.output.result(
    made,
    () =>
      `${printableName(made.path)}: ${made.entries} entries, ${byteSize(made.size)}, sha256 ${made.sha256}\n`,
  );
}

/** Writes what an archive holds into a directory, and tells of what was left out. */
export async function extractFiles(
  session: Session,
  from: string,
  to: string,
  { force, clean }: ExtractOptions,
): Promise<void> {
  const request = { ...directoryOf(to), from: archiveOf(from), overwrite: force, clean };
  const client = await session.client();
  const done = await client.files.extract(request, { signal: session.signal });
  tellSkipped(session, done.skipped, "Left out");
  session.output.result(done, () => `${done.entries} entries, ${byteSize(done.bytes)}\n`);
}

function tellSkipped({ output }: Session, skipped: readonly string[], how: string): void {
  for (const note of skipped) output.note(`${how}: ${printableName(note)}`);
}

/** A directory as `space` or `space:path`. */
function directoryOf(text: string): { space: string; path?: string } {
  const { space, path } = placeOf(text);
  if (space === undefined) return { space: text };
  return path === "" ? { space } : { space, path };
}

/** An archive as `space:path`. */
function archiveOf(text: string): { space: string; path: string } {
  const { space, path } = placeOf(text);
  if (space !== undefined && path !== "") return { space, path };
  throw new SpacesError("INVALID_INPUT", `"${text}" names no archive in a space.`, {
    suggestion: "Write it as space:path, such as backups:dev.tgz.",
  });
}
