/**
 * Finds the header of a script: a comment of the form `/*---` … `---*` + `/` at its beginning, whose
 * inside is YAML. The engine reads it when a script is saved, the command line when it runs a file.
 */
import { SpacesError } from "../contract/errors.js";
import type { ScriptInputs } from "../contract/script-inputs.js";
import type { Script } from "../contract/scripts.js";

/** What a script says about itself. */
export interface ScriptHeader {
  readonly description?: string | undefined;
  readonly kind?: Script["kind"] | undefined;
  readonly tool?: boolean | undefined;
  readonly inputs?: ScriptInputs | undefined;
}

/** The most characters between the beginning and the end of a header. */
const LONGEST = 16_384;

const BEGIN = /^\uFEFF?(?:#![^\n]*\n)?\s*\/\*---[ \t]*\r?\n/;

/**
 * Reads the header of a script.
 * @param filename what errors call the script
 * @returns what it says; nothing where there is none
 * @throws SpacesError `INVALID_INPUT` naming the line and column of the first mistake
 */
export async function readHeader(filename: string, source: string): Promise<ScriptHeader> {
  const [begin] = BEGIN.exec(source) ?? [];
  if (begin === undefined) return {};
  const bounded = source.slice(begin.length, begin.length + LONGEST + 2);
  const end = bounded.indexOf("*/");
  if (end === -1) {
    throw headerError(
      filename,
      lineOf(begin),
      `the header does not end with ---*/ within ${LONGEST} characters.`,
    );
  }
  const inside = bounded.slice(0, end);
  if (!inside.endsWith("---")) {
    throw headerError(filename, lineOf(begin + inside), "the header must end with ---*/.");
  }
  // Loaded where there is a header alone: most scripts that are run have none.
  const { parseHeader } = await import("./header-yaml.js");
  // Blanks in place of what stands before it: so the lines and columns are those of the script.
  return parseHeader(filename, begin.replace(/[^\n]/g, " ") + inside.slice(0, -3));
}

function lineOf(text: string): number {
  return text.trimEnd().split("\n").length;
}

function headerError(filename: string, line: number, problem: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `${filename}:${line}:1: ${problem}`, {
    suggestion: "Correct the header at the named line, or begin the comment with /* alone.",
    details: { file: filename, line, column: 1 },
  });
}
