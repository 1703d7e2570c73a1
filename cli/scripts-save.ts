/** `spaces scripts save`: stores the script of a file or of standard input. */
import { basename, extname } from "node:path";
import { SpacesError } from "../runtime/contract/errors.js";
import type { ScriptInputs } from "../runtime/contract/script-inputs.js";
import type { Script } from "../runtime/contract/scripts.js";
import { readHeader } from "../runtime/scripts/header.js";
import { readStdin, readTextFile } from "./read-input.js";
import type { Session } from "./session.js";

/** The most bytes of a script. */
export const SOURCE_LIMIT = 1_048_576;
/** The most bytes of a file that declares inputs. */
const INPUTS_LIMIT = 65_536;

const LANGUAGE_OF: Readonly<Record<string, "javascript" | "typescript">> = {
  ".js": "javascript",
  ".mjs": "javascript",
  ".ts": "typescript",
  ".mts": "typescript",
};

interface SaveOptions {
  readonly name?: string;
  readonly description?: string;
  readonly kind?: Script["kind"];
  readonly tool?: boolean;
  /** Path of a file. */
  readonly inputs?: string;
  readonly global?: boolean;
}

export async function saveScript(
  session: Session,
  file: string,
  { name, inputs, ...options }: SaveOptions,
): Promise<void> {
  const { signal, output } = session;
  if (file === "-" && name === undefined) {
    throw new SpacesError("INVALID_INPUT", "A script from standard input has no name.", {
      suggestion: "Name it with --name.",
    });
  }
  const source =
    file === "-" ? await readStdin(SOURCE_LIMIT, signal) : readFile(file, SOURCE_LIMIT);
  // What is wrong in a header is named by the file here; the engine knows only the script's name.
  if (file !== "-") await readHeader(file, source);
  const declared = inputs === undefined ? undefined : await inputsOf(inputs);
  const client = await session.client();
  const saved = await client.scripts.save(
    {
      ...options,
      script: name ?? nameOf(file),
      source,
      inputs: declared,
      language: languageOf(file, source),
    },
    { signal },
  );
  output.note(`Saved ${describe(saved)}.`);
  if (output.isJson) {
    const { source: _source, ...rest } = saved;
    output.json(rest);
  }
}

/** The language that the name of a file tells; undefined where its source tells it. */
export function languageOf(file: string, source: string): Script["language"] | undefined {
  return source.startsWith("#!") ? undefined : LANGUAGE_OF[extname(file)];
}

/** The name of the script in a file. */
export function nameOf(file: string): string {
  return basename(file, extname(file));
}

/** A script that has been saved, for people. */
export function describe({ name, version, language, kind, global }: Script): string {
  const what = kind === "lib" ? `${language} lib` : language;
  return `${name}, version ${version} (${global ? "global, " : ""}${what})`;
}

/** @throws SpacesError `INVALID_INPUT`, also where there is no such file */
export function readFile(file: string, limit: number): string {
  const text = readTextFile(file, limit);
  if (text !== undefined) return text;
  throw new SpacesError("INVALID_INPUT", `There is no file "${file}".`, {
    suggestion: "Check the path.",
  });
}

async function inputsOf(file: string): Promise<ScriptInputs> {
  const { parseInputs } = await import("../runtime/scripts/header-yaml.js");
  return parseInputs(file, readFile(file, INPUTS_LIMIT));
}
