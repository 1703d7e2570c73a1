/**
 * Finds the script that `spaces run` was asked for: a file, standard input, or a stored script, and
 * the modules that a file may import from beside itself.
 */
import { realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { ScriptInputs } from "../runtime/contract/script-inputs.js";
import type { ModuleSource } from "../runtime/interpreter/types.js";
import { readHeader } from "../runtime/scripts/header.js";
import { readStdin, readTextFile } from "./read-input.js";

/** The most bytes that a script or module has. */
const SOURCE_LIMIT = 1_048_576;

const SCRIPT_FILE = /\.(?:js|mjs|ts|mts)$/;

/** What a script says about itself. */
interface ScriptFacts {
  /** What errors call it: its file as it was given, or its name. */
  readonly name: string;
  readonly description: string;
  readonly isLib: boolean;
  readonly inputs?: ScriptInputs | undefined;
}

/** A script ready to be run. */
export type ScriptSource = ScriptFacts &
  (
    | {
        readonly kind: "sandboxed";
        /** The path as it was given, or a name with an ending that tells the language. */
        readonly filename: string;
        readonly source: string;
        readonly moduleSource?: ModuleSource | undefined;
        readonly stored?: { readonly name: string; readonly version: number } | undefined;
      }
    | { readonly kind: "native"; readonly version?: number | undefined }
  );

/** Which version of which stored script is meant; the newest of the caller's own, else the global one. */
interface StoredRef {
  readonly script: string;
  readonly version?: number | undefined;
}

/**
 * Finds a script.
 * @param given `-` for standard input; what exists as a file, holds a slash or ends like a script
 *   (`.js`, `.mjs`, `.ts`, `.mts`) is a file; else the name of a stored script
 * @param client called for a stored script only
 * @returns the script; `SCRIPT_NOT_FOUND` where there is none, `INVALID_INPUT` for one that cannot
 *   be read
 */
export async function findScript(
  given: string,
  client: () => Promise<Client>,
  signal: AbortSignal,
): Promise<ScriptSource> {
  if (given === "-") {
    const source = await readStdin(SOURCE_LIMIT, signal);
    return {
      kind: "sandboxed",
      filename: "stdin.ts",
      source,
      ...(await factsOf("stdin.ts", source)),
    };
  }
  if (given.includes("\0") || given === "") {
    throw new SpacesError("INVALID_INPUT", "The name of the script is empty or holds a NUL.");
  }
  return isFileName(given)
    ? await fileScript(given)
    : await storedScript({ script: given }, await client(), signal);
}

/** Gets a stored script; `SCRIPT_NOT_FOUND` where there is none. */
export async function storedScript(
  ref: StoredRef,
  client: Client,
  signal: AbortSignal,
): Promise<ScriptSource> {
  const { script, version } = ref;
  const found = await client.scripts.get({ script, version }, { signal });
  const { name, description, inputs, source } = found;
  const facts = { name, description, inputs, isLib: found.kind === "lib" };
  if (found.language === "native") return { kind: "native", version, ...facts };
  const { storedLibs } = await import("../runtime/scripts/libs.js");
  return {
    kind: "sandboxed",
    filename: `${name}.${found.language === "typescript" ? "ts" : "js"}`,
    source,
    moduleSource: storedLibs(found, (lib, global) =>
      client.scripts.get({ script: lib, global }, { signal }),
    ),
    stored: { name, version: found.version },
    ...facts,
  };
}

async function factsOf(name: string, source: string): Promise<ScriptFacts> {
  const { description = "", kind, inputs } = await readHeader(name, source);
  return { name, description, isLib: kind === "lib", inputs };
}

/** Whether `findScript` would take this for a file. */
export function isFileName(given: string): boolean {
  if (given.includes("/") || given.includes(sep) || SCRIPT_FILE.test(given)) return true;
  return statSync(given, { throwIfNoEntry: false })?.isDirectory() === false;
}

async function fileScript(path: string): Promise<ScriptSource> {
  const source = readTextFile(path, SOURCE_LIMIT);
  if (source === undefined) {
    throw new SpacesError("SCRIPT_NOT_FOUND", `There is no file "${path}".`, {
      suggestion: "Check the path, or give the name of a stored script.",
    });
  }
  const [, interpreter] = /^#!([^\r\n]*)/.exec(source) ?? [];
  if (interpreter !== undefined && !SCRIPT_FILE.test(path) && !/spaces|node/.test(interpreter)) {
    throw new SpacesError("INVALID_INPUT", `${path} is a script for "${interpreter.trim()}".`, {
      suggestion: `Save it with \`spaces scripts save\`, then run it in a space with \`spaces scripts run\`.`,
    });
  }
  return {
    kind: "sandboxed",
    // Module names that begin with "spaces:" are the sandbox's own.
    filename: path.startsWith("spaces:") ? `./${path}` : path,
    source,
    moduleSource: modulesBeside(path),
    ...(await factsOf(path, source)),
  };
}

/**
 * Reads modules from the directory of a script. What leads out of it, also through a symbolic link,
 * is answered as if it were not there.
 */
export function modulesBeside(script: string): ModuleSource {
  let root: string | undefined;
  return async (path) => {
    root ??= realpathSync(dirname(script));
    let file: string;
    try {
      file = realpathSync(join(root, path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined;
      throw error;
    }
    const inside = root.endsWith(sep) ? root : root + sep;
    const stat = statSync(file);
    if (!file.startsWith(inside) || !stat.isFile()) return undefined;
    if (stat.size > SOURCE_LIMIT) {
      throw new SpacesError("INVALID_INPUT", `${path} has more than ${SOURCE_LIMIT} bytes.`);
    }
    return readFile(file, "utf8");
  };
}
