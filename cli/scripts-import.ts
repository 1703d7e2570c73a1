/** `spaces scripts import`: stores the scripts of a directory or git checkout. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, extname, join, sep } from "node:path";
import { promisify } from "node:util";
import { SpacesError } from "../runtime/contract/errors.js";
import { readHeader } from "../runtime/scripts/header.js";
import { languageOf, nameOf, readFile, SOURCE_LIMIT } from "./scripts-save.js";
import type { Session } from "./session.js";
import { printable } from "./text.js";

interface ImportOptions {
  readonly prefix?: string;
  readonly global?: boolean;
  readonly dryRun?: boolean;
}

/** A script in a file. */
interface Found {
  readonly file: string;
  readonly name: string;
  readonly source: string;
}

interface Skipped {
  readonly file: string;
  readonly reason: string;
}

const ENDINGS = new Set([".ts", ".mts", ".js", ".mjs", ".sh"]);
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * Stores the scripts of a directory. All are looked at before the first is stored.
 * @throws SpacesError `INVALID_INPUT` for a mistake in any of them, for two of one name, and for a
 *   symlink that leads out of the directory
 */
export async function importScripts(
  session: Session,
  given: string,
  { prefix = "", global = false, dryRun = false }: ImportOptions,
): Promise<void> {
  const { output, signal } = session;
  const { found, skipped } = await scriptsIn(given, prefix);
  const client = await session.client();
  const { items } = await client.scripts.list({}, { signal });
  const stored = new Map(
    items.filter((item) => item.global === global).map((item) => [item.name, item]),
  );
  const imported: { name: string; file: string; result: string; version?: number }[] = [];
  for (const { file, name, source } of found) {
    const before = stored.get(name);
    const language = languageOf(file, source);
    if (dryRun) {
      const same =
        before?.sha256 === createHash("sha256").update(source).digest("hex") &&
        before.language === (language ?? before.language);
      imported.push({ name, file, result: resultOf(before !== undefined, same) });
      continue;
    }
    const { version } = await client.scripts.save(
      { script: name, source, language, global },
      { signal },
    );
    const result = resultOf(before !== undefined, version === before?.version);
    imported.push({ name, file, result, version });
  }
  for (const { file, reason } of skipped) output.note(`Left out ${printable(file)}: ${reason}.`);
  if (found.length === 0) output.note(`There are no scripts in ${given}.`);
  output.result({ items: imported, skipped, dryRun }, () =>
    imported.map(({ name, result }) => `${result} ${name}\n`).join(""),
  );
}

function resultOf(exists: boolean, same: boolean): string {
  if (!exists) return "created";
  return same ? "unchanged" : "updated";
}

async function scriptsIn(
  given: string,
  prefix: string,
): Promise<{ found: Found[]; skipped: Skipped[] }> {
  const directory = directoryAt(given);
  const names = (await trackedFiles(directory)) ?? readdirSync(directory);
  const found: Found[] = [];
  const skipped: Skipped[] = [];
  for (const file of names.sort()) {
    if (!ENDINGS.has(extname(file)) || file.endsWith(".d.ts")) continue;
    const path = fileWithin(directory, file);
    if (path === undefined) continue;
    const source = readFile(path, SOURCE_LIMIT);
    if (extname(file) === ".sh" && !source.startsWith("#!")) {
      skipped.push({ file, reason: "it does not start with #!" });
      continue;
    }
    const { kind } = await readHeader(join(given, file), source);
    const name = (kind === "lib" ? "" : prefix) + nameOf(file);
    if (NAME.test(name)) found.push({ file, name, source });
    else skipped.push({ file, reason: `"${printable(name)}" is no name of a script` });
  }
  refuseTwins(found);
  return { found, skipped };
}

function directoryAt(given: string): string {
  if (statSync(given, { throwIfNoEntry: false })?.isDirectory() === true)
    return realpathSync(given);
  throw new SpacesError("INVALID_INPUT", `There is no directory "${given}".`, {
    suggestion: "Check the path.",
  });
}

/** The path of a file, where it is one; what a symlink leads to has to be in the directory too. */
function fileWithin(directory: string, file: string): string | undefined {
  const path = join(directory, file);
  // Tracked, and deleted or a symlink to nothing.
  if (!existsSync(path)) return undefined;
  const real = realpathSync(path);
  const inside = directory.endsWith(sep) ? directory : directory + sep;
  if (!real.startsWith(inside)) {
    throw new SpacesError("INVALID_INPUT", `${path} leads out of the directory, to ${real}.`, {
      suggestion: "Remove the symlink, or save that script by itself.",
    });
  }
  return statSync(real).isFile() ? real : undefined;
}

function refuseTwins(found: readonly Found[]): void {
  const files = new Map<string, string>();
  for (const { name, file } of found) {
    const other = files.get(name);
    if (other !== undefined) {
      throw new SpacesError("INVALID_INPUT", `${other} and ${file} would both be "${name}".`, {
        suggestion: "Rename one of them.",
      });
    }
    files.set(name, file);
  }
}

/** The files of a directory that git tracks; undefined where it is no git checkout. */
async function trackedFiles(directory: string): Promise<string[] | undefined> {
  if (!isCheckout(directory)) return undefined;
  const { GIT_DIR, GIT_WORK_TREE, GIT_INDEX_FILE, ...env } = process.env;
  // A checkout of somebody else's could name a program that git would run.
  const safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
  try {
    const { stdout } = await promisify(execFile)("git", [...safe, "ls-files", "-z"], {
      cwd: directory,
      env,
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout.split("\0").filter((path) => path !== "" && !path.includes("/"));
  } catch (cause) {
    const { stderr, message } = cause as { readonly stderr?: string; readonly message: string };
    const reason = (stderr?.trim() || message).slice(0, 500);
    throw new SpacesError("INVALID_INPUT", `git cannot tell the files of ${directory}: ${reason}`, {
      suggestion: "Copy the scripts to a directory that is no git checkout, and import that.",
      cause,
    });
  }
}

function isCheckout(directory: string): boolean {
  if (existsSync(join(directory, ".git"))) return true;
  const above = dirname(directory);
  return above !== directory && isCheckout(above);
}
