/**
 * Reads YAML files of one or more documents, each an object of a schema; every error names the file,
 * line and column. Templates and schedules are written so.
 */
import { type Document, isNode, LineCounter, type Node, parseAllDocuments } from "yaml";
import type { z } from "zod";
import { type ErrorCode, SpacesError } from "../contract/errors.js";

/** What the documents of a file are. */
interface DocumentKind<T> {
  /** In words, such as `template`. */
  readonly noun: string;
  readonly schema: z.ZodType<T>;
  /** The code of errors in the text. */
  readonly code: ErrorCode;
}

export interface YamlDocument<T> {
  readonly value: T;
  /** The YAML text of this document alone. */
  readonly source: string;
  /** The error of this kind of file that names the position of a setting. */
  mistakeAt(path: readonly PropertyKey[], problem: string, code?: ErrorCode): SpacesError;
}

/**
 * Parses one or more YAML documents.
 * @param filename the name that errors show
 * @throws SpacesError the kind's code with the position of the first mistake; also for no document
 */
export function parseYamlDocuments<T>(
  source: string,
  filename: string,
  kind: DocumentKind<T>,
): YamlDocument<T>[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false });
  const mistake: Mistake = (offset, problem, code = kind.code) => {
    const { line, col } = lines.linePos(offset);
    return new SpacesError(code, `${filename}:${line}:${col}: ${problem}`, {
      details: { file: filename, line, column: col },
    });
  };
  const documents = Array.isArray(parsed) ? parsed : [];
  if (documents.length === 0) throw mistake(0, `The file holds no ${kind.noun}.`);
  return documents.map((document) => readDocument(document, source, kind, mistake));
}

type Mistake = (offset: number, problem: string, code?: ErrorCode) => SpacesError;

function readDocument<T>(
  document: Document.Parsed,
  source: string,
  { noun, schema }: DocumentKind<T>,
  mistake: Mistake,
): YamlDocument<T> {
  const [broken] = document.errors;
  if (broken !== undefined) throw mistake(broken.pos[0], broken.message);
  const start = document.range[0];
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw mistake(start, (error as Error).message);
  }
  const mistakeAt: YamlDocument<T>["mistakeAt"] = (path, problem, code) => {
    const where = path.join(".");
    return mistake(offsetOf(document, path), where === "" ? problem : `${where}: ${problem}`, code);
  };
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    const text = `${source.slice(start, document.range[2]).trim()}\n`;
    return { value: parsed.data, source: text, mistakeAt };
  }
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw mistake(start, `The ${noun} is not valid.`);
  if (issue.code === "unrecognized_keys") {
    const path = [...issue.path, ...issue.keys.slice(0, 1)];
    throw mistakeAt(path, `is not a setting of ${noun}s`);
  }
  throw mistakeAt(issue.path, issue.message);
}

/** The offset of the node at a path, or of the nearest one above it. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return (node as Node).range?.[0] ?? 0;
  }
  return document.contents?.range?.[0] ?? document.range[0];
}
