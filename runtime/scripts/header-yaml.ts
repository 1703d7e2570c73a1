/** Reads the YAML of a script's header, and of a file with inputs; every mistake is named by its place. */
import { type Document, isAlias, isNode, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { closest } from "../config/closest.js";
import { keyOffset, offsetOf } from "../config/yaml-file.js";
import { SpacesError } from "../contract/errors.js";
import { type ScriptInputs, scriptInputsSchema } from "../contract/script-inputs.js";
import { kindSchema } from "../contract/scripts.js";
import { textSchema } from "../contract/values.js";
import type { ScriptHeader } from "./header.js";

const headerSchema = z.strictObject({
  description: textSchema(1024).optional(),
  kind: kindSchema.optional(),
  tool: z.boolean().optional(),
  inputs: z.unknown().optional(),
});

type Path = readonly PropertyKey[];
type Fail = (path: Path, problem: string, suggestion?: string) => never;

/**
 * Reads the inside of a header.
 * @param text YAML, at the lines and columns that it has in the script
 * @throws SpacesError `INVALID_INPUT`
 */
export function parseHeader(filename: string, text: string): ScriptHeader {
  const { value, fail } = parse(filename, text);
  const { data, error } = headerSchema.safeParse(value ?? {});
  if (data === undefined) return failWith(error, fail, Object.keys(headerSchema.shape));
  const { inputs, ...rest } = data;
  if (inputs === undefined) return rest;
  return { ...rest, inputs: toInputs(inputs, (path, ...why) => fail(["inputs", ...path], ...why)) };
}

/**
 * Reads inputs from a file of YAML or JSON, in the short form that headers have or in the full one.
 * @throws SpacesError `INVALID_INPUT`
 */
export function parseInputs(filename: string, text: string): ScriptInputs {
  const { value, fail } = parse(filename, text);
  return toInputs(value, fail);
}

/** Inputs from their short form, a map from names to inputs of which each may be `required`. */
function toInputs(given: unknown, fail: Fail): ScriptInputs {
  const isFull = isMap(given) && given.type === "object";
  const { data, error } = scriptInputsSchema.safeParse(isFull ? given : fullForm(given, fail));
  if (data !== undefined) return data;
  return failWith(error, (path, ...why) => fail(isFull ? path : path.slice(1), ...why), []);
}

function fullForm(given: unknown, fail: Fail): unknown {
  if (!isMap(given)) return fail([], "must be a map from the names of inputs to their types");
  const properties: [string, unknown][] = [];
  const names: string[] = [];
  for (const [name, input] of Object.entries(given)) {
    if (!isMap(input)) return fail([name], "must be a map such as {type: string}");
    const { required = false, ...rest } = input;
    if (typeof required !== "boolean") return fail([name, "required"], "must be true or false");
    if (required) names.push(name);
    properties.push([name, rest]);
  }
  return { type: "object", properties: Object.fromEntries(properties), required: names };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function failWith(error: z.ZodError, fail: Fail, known: readonly string[]): never {
  const [issue] = error.issues;
  if (issue === undefined) return fail([], "is not valid");
  if (issue.code !== "unrecognized_keys") {
    const [reason] = issue.code === "invalid_key" ? issue.issues : [issue];
    return fail(issue.path, (reason ?? issue).message);
  }
  const [key = ""] = issue.keys;
  const guess = closest(key, issue.path.length === 0 ? known : SETTINGS);
  return fail(
    [...issue.path, key],
    "is not a setting that is known here",
    guess === undefined ? undefined : `Did you mean ${guess}?`,
  );
}

/** What an input can say about itself. */
const SETTINGS = [
  ...["type", "description", "default", "required", "enum", "items"],
  ...["minLength", "maxLength", "minimum", "maximum", "maxItems"],
];

function parse(filename: string, text: string): { readonly value: unknown; readonly fail: Fail } {
  const lines = new LineCounter();
  const mistake = (offset: number, problem: string, suggestion?: string): SpacesError => {
    const { line, col } = lines.linePos(offset);
    return new SpacesError("INVALID_INPUT", `${filename}:${line}:${col}: ${problem}`, {
      suggestion: suggestion ?? "Correct the named line and column.",
      details: { file: filename, line, column: col },
    });
  };
  const document = readDocument(text, lines, mistake);
  return {
    value: document.toJS(),
    fail: (path, problem, suggestion) => {
      const where = path.join(".");
      const offset = path.length === 0 ? offsetOf(document, path) : keyOffset(document, path);
      throw mistake(offset, where === "" ? problem : `${where}: ${problem}`, suggestion);
    },
  };
}

type Mistake = (offset: number, problem: string) => SpacesError;

/** Values alone, without aliases: a few lines of these can stand for more than any memory holds. */
function readDocument(text: string, lines: LineCounter, mistake: Mistake) {
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      schema: "core",
    });
  } catch (error) {
    // The parser calls itself for each level, and has no limit of its own.
    if (error instanceof RangeError) throw mistake(0, "is nested too deeply.");
    throw error;
  }
  const [broken] = [...document.errors, ...document.warnings];
  if (broken !== undefined) throw mistake(broken.pos[0], broken.message);
  visit(document, (_key, node) => {
    if (!isNode(node)) return;
    if (!isAlias(node) && node.anchor === undefined) return;
    throw mistake(node.range?.[0] ?? 0, "anchors and aliases are not allowed here.");
  });
  return document;
}
