/** `spaces scripts edit`: opens a stored script in an editor, and saves what was changed. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Script } from "../runtime/contract/scripts.js";
import { describe, readFile, SOURCE_LIMIT } from "./scripts-save.js";
import { notOwn } from "./scripts-show.js";
import type { Session } from "./session.js";

const ENDINGS: Readonly<Record<Script["language"], string>> = {
  javascript: "js",
  typescript: "ts",
  native: "sh",
};

/**
 * Edits a script. A text that cannot be saved is kept in its temporary file, which the error names.
 * @throws SpacesError `COMMAND_FAILED` where the editor fails, `CONFLICT` where somebody else has saved
 *   the script meanwhile
 */
export async function editScript(session: Session, script: string, global: boolean): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const found = await client.scripts.get({ script, global }, { signal });
  // To save it would make a script of one's own that stands before the global one.
  if (found.global && !global) throw notOwn(script);
  const directory = mkdtempSync(join(tmpdir(), "spaces-edit-"));
  const file = join(directory, `${script}.${ENDINGS[found.language]}`);
  let keep = false;
  try {
    writeFileSync(file, found.source, { mode: 0o600, flag: "wx" });
    const failure = await runEditor(file);
    const source = readFile(file, SOURCE_LIMIT * 4);
    keep = source !== found.source;
    if (failure !== undefined) throw failure;
    if (!keep) {
      output.note(`Script ${script} is unchanged.`);
      if (output.isJson) output.json({ script, version: found.version, changed: false });
      return;
    }
    const { language, version: ifVersion } = found;
    const kept = source.startsWith("#!") || language === "native" ? undefined : language;
    const saved = await client.scripts.save(
      { script, source, language: kept, ifVersion, global },
      { signal },
    );
    keep = false;
    output.note(`Saved ${describe(saved)}.`);
    if (output.isJson) output.json({ script, version: saved.version, changed: true });
  } catch (error) {
    if (keep && SpacesError.isInstance(error)) throw withKept(error, file);
    throw error;
  } finally {
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
}

function withKept(error: SpacesError, file: string): SpacesError {
  return new SpacesError(error.code, `${error.message} Your text is kept in ${file}.`, {
    suggestion: error.suggestion,
    details: { ...error.details, kept: file },
    cause: error,
  });
}

/** Runs the editor to its end; gives the error where it failed. */
async function runEditor(file: string): Promise<SpacesError | undefined> {
  const { VISUAL, EDITOR } = process.env;
  const windows = process.platform === "win32";
  const editor = VISUAL || EDITOR || (windows ? "notepad" : "vi");
  // The variable may hold options as well, so a shell reads it, as for other programs.
  const child = windows
    ? spawn(`${editor} "${file}"`, { shell: true, stdio: "inherit" })
    : spawn("/bin/sh", ["-c", `${editor} "$@"`, editor, file], { stdio: "inherit" });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
    (resolve, reject) => {
      child.once("error", reject);
      child.once("close", (...end) => resolve(end));
    },
  );
  if (code === 0) return undefined;
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  return new SpacesError("COMMAND_FAILED", `The editor "${editor}" ${how}: nothing is saved.`, {
    suggestion: "Name another editor in VISUAL or EDITOR.",
  });
}
