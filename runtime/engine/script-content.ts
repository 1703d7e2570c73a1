/** What a version of a stored script holds, put together from its source, its header and what is given. */
import { SpacesError } from "../contract/errors.js";
import type { ScriptInputs } from "../contract/script-inputs.js";
import type { Script } from "../contract/scripts.js";
import { LONE_SURROGATE } from "../contract/values.js";
import { readHeader, type ScriptHeader } from "../scripts/header.js";
import type { ScriptVersionRow } from "../store/tables.js";

/** The most bytes of a source; the interpreter takes no more. */
const LARGEST_SOURCE = 1_048_576;

export type Content = Pick<
  ScriptVersionRow,
  "source" | "description" | "language" | "kind" | "tool" | "inputs"
>;

/** A source, and what is given beside it. */
export interface GivenContent {
  readonly source: string;
  readonly description?: string | undefined;
  readonly language?: Script["language"] | undefined;
  readonly kind?: Script["kind"] | undefined;
  readonly tool?: boolean | undefined;
  readonly inputs?: ScriptInputs | undefined;
}

/**
 * Checks that a source can be kept and run.
 * @param script the script's name, for errors
 * @throws SpacesError `INVALID_INPUT`
 */
export function checkSource(script: string, source: string): void {
  const problem = problemOf(source);
  if (problem !== undefined) {
    throw new SpacesError("INVALID_INPUT", `The script "${script}" ${problem}.`);
  }
}

function problemOf(source: string): string | undefined {
  if (source.trim() === "") return "is empty";
  const bytes = Buffer.byteLength(source);
  if (bytes > LARGEST_SOURCE) return `has ${bytes} bytes; the limit is ${LARGEST_SOURCE}`;
  if (source.includes("\0")) return "holds a NUL character";
  return LONE_SURROGATE.test(source) ? "is no well-formed Unicode text" : undefined;
}

/**
 * The content of a new version. What neither is given nor stands in the header stays as it was,
 * unless it was the header that said it.
 * @throws SpacesError `INVALID_INPUT` where the parts contradict each other
 */
export async function contentOf(
  given: GivenContent,
  header: ScriptHeader,
  before: Content | undefined,
): Promise<Content> {
  const { source } = given;
  const kept = before === undefined ? undefined : await givenBefore(before);
  const language = given.language ?? (isNative(source) ? "native" : "typescript");
  const kind = given.kind ?? header.kind ?? kept?.kind ?? "script";
  const stays = kind === "lib" ? undefined : kept;
  const tool = given.tool ?? header.tool ?? stays?.tool ?? false;
  const inputs = given.inputs ?? header.inputs ?? stays?.inputs;
  if (language === "native" && !source.startsWith("#!"))
    throw wrong("A native script must start with #!.");
  if (kind === "lib") {
    if (language === "native") throw wrong("A lib is imported by scripts, so it cannot be native.");
    if (tool) throw wrong("A lib is not run by itself, so it cannot be a tool.");
    if (inputs !== undefined) throw wrong("A lib is not run by itself, so it takes no inputs.");
  }
  return {
    source,
    language,
    kind,
    tool: Number(tool),
    description: given.description ?? header.description ?? kept?.description ?? "",
    inputs: inputs === undefined ? null : JSON.stringify(inputs),
  };
}

/** What the last version has that its header does not say. */
async function givenBefore({ source, description, kind, tool, inputs }: Content) {
  const header = await headerOfKept(source);
  return {
    description: header.description === undefined ? description : undefined,
    kind: header.kind === undefined ? (kind as Script["kind"]) : undefined,
    tool: header.tool === undefined ? tool === 1 : undefined,
    inputs:
      header.inputs === undefined && inputs !== null
        ? (JSON.parse(inputs) as ScriptInputs)
        : undefined,
  };
}

async function headerOfKept(source: string): Promise<ScriptHeader> {
  try {
    return await readHeader("", source);
  } catch (error) {
    // Kept from a time when such a comment said nothing.
    if (SpacesError.isInstance(error) && error.code === "INVALID_INPUT") return {};
    throw error;
  }
}

function wrong(message: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message);
}

/** A shebang that names this runtime makes a script executable on the host; it is no native one. */
function isNative(source: string): boolean {
  return source.startsWith("#!") && !/^#!.*\bspaces\b/.test(source);
}
