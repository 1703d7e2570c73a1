/** `spaces run --watch`: runs a file again whenever it, or a module that it imported, changes. */
import { dirname, join } from "node:path";
import { SpacesError } from "../runtime/contract/errors.js";
import type { ModuleSource } from "../runtime/interpreter/types.js";
import { EXIT } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import { FileWatch } from "./file-watch.js";
import { type RunSettings, runScript } from "./run-script.js";
import { findScript, isFileName, type ScriptSource } from "./script-source.js";
import type { Session } from "./session.js";
import { printable } from "./text.js";

/** Clears the screen and what it scrolled away, and goes to its top. */
const CLEAR = "\u001b[2J\u001b[3J\u001b[H";

/**
 * Runs a file, and again after each change of what it is made of, until the session is stopped. A run
 * under way is cancelled first.
 * @param given the file, as it was given
 * @returns the exit code of the last run; who stops the session has it end with the signal's
 * @throws SpacesError `INVALID_INPUT` for anything but a file, `SCRIPT_NOT_FOUND` where it is not
 *   there at the start
 */
export async function runWatched(
  session: Session,
  given: string,
  settings: RunSettings,
  command: string,
): Promise<number> {
  if (given === "-" || !isFileName(given)) {
    throw new SpacesError(
      "INVALID_INPUT",
      `--watch needs a file, and ${given === "-" ? "standard input" : `"${given}"`} is none.`,
      { suggestion: "Give the path of a script file, such as ./deploy.ts." },
    );
  }
  const { output, signal } = session;
  let changed = deferred();
  using files = new FileWatch(() => changed.resolve());
  signal.addEventListener("abort", () => changed.resolve(), { once: true });
  files.add(given);
  let exitCode: number = EXIT.ok;
  for (let count = 0; !signal.aborted; count += 1) {
    changed = deferred();
    const change = changed.promise;
    if (count > 0 && !output.isJson && process.stdout.isTTY === true) output.data(CLEAR);
    const abort = new AbortController();
    void change.then(() => abort.abort());
    try {
      const script = await findFile(given, session, files);
      const runSignal = AbortSignal.any([signal, abort.signal]);
      exitCode = await runScript(session, script, { ...settings, signal: runSignal }, command);
    } catch (error) {
      // At the start it is wrong input; later it is a file that is being written anew.
      if (count === 0) throw error;
      if (!signal.aborted) reportError(output, toSpacesError(error));
    }
    if (!abort.signal.aborted) {
      const others = files.size - 1;
      const rest = others === 0 ? "" : ` or ${others} more ${others === 1 ? "file" : "files"}`;
      output.note(`Waiting for ${printable(given)}${rest} to change. Ctrl-C ends.`);
    }
    await change;
  }
  return exitCode;
}

/** The script of a file; the files of its modules are watched from when they are asked for. */
async function findFile(given: string, session: Session, files: FileWatch): Promise<ScriptSource> {
  const noClient = (): never => {
    throw new SpacesError("SCRIPT_NOT_FOUND", `There is no file "${given}".`);
  };
  const script = await findScript(given, noClient, session.signal);
  if (script.kind !== "sandboxed" || script.moduleSource === undefined) return script;
  const { moduleSource } = script;
  const watched: ModuleSource = async (path) => {
    files.add(join(dirname(given), path));
    return await moduleSource(path);
  };
  return { ...script, moduleSource: watched };
}

function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}
