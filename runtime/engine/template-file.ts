/** Reads templates from YAML; every error names the file, line and column. */
import { type Document, isNode, LineCounter, type Node, parseAllDocuments } from "yaml";
import { SpacesError } from "../contract/errors.js";
import { type TemplateSpec, templateSpecSchema } from "../contract/templates.js";

export interface ParsedTemplate {
  readonly spec: TemplateSpec;
  /** The YAML text of this template alone. */
  readonly source: string;
}

const MEMORY_UNITS = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;

/** The bytes of a size such as `512Mi`. */
export function parseMemory(size: string | undefined): number | undefined {
  if (size === undefined) return undefined;
  const unit = size.slice(-2) as keyof typeof MEMORY_UNITS;
  return Number(size.slice(0, -2)) * MEMORY_UNITS[unit];
}

/**
 * Parses one or more YAML documents, one template each.
 * @param filename the name that errors show
 * @throws SpacesError `TEMPLATE_INVALID` with the position of the first mistake
 */
export function parseTemplates(source: string, filename: string): ParsedTemplate[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false });
  const list = Array.isArray(documents) ? documents : [];
  const fail = (offset: number, problem: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new SpacesError("TEMPLATE_INVALID", `${filename}:${line}:${col}: ${problem}`, {
      details: { file: filename, line, column: col },
    });
  };
  const templates = list.map((document) => parseDocument(document, source, fail));
  if (templates.length === 0) return fail(0, "The file holds no template.");
  return templates;
}

type Fail = (offset: number, problem: string) => never;

function parseDocument(document: Document.Parsed, source: string, fail: Fail): ParsedTemplate {
  const [mistake] = document.errors;
  if (mistake !== undefined) fail(mistake.pos[0], mistake.message);
  const start = document.range[0];
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    fail(start, (error as Error).message);
  }
  const parsed = templateSpecSchema.safeParse(value);
  if (parsed.success) {
    return { spec: parsed.data, source: `${source.slice(start, document.range[2]).trim()}\n` };
  }
  const [issue] = parsed.error.issues;
  if (issue === undefined) return fail(start, "The template is not valid.");
  const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const path = [...issue.path, ...unknown];
  const where = path.join(".");
  const problem =
    issue.code === "unrecognized_keys" ? "is not a setting of templates" : issue.message;
  return fail(offsetOf(document, path), where === "" ? problem : `${where}: ${problem}`);
}

/** The offset of the node at a path, or of the nearest one above it. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return (node as Node).range?.[0] ?? 0;
  }
  return document.contents?.range?.[0] ?? document.range[0];
}
