/** Reads a file of settings; every mistake in it is named with file, line and column. */
import { readFile, stat } from "node:fs/promises";
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import type { z } from "zod";
import { SpacesError } from "../contract/errors.js";
import { closest } from "./closest.js";

const LARGEST_FILE = 1024 * 1024;

/**
 * Reads and checks a YAML file.
 * @param secret whether it may hold a token: then only its owner may be able to read it
 * @returns undefined where there is no such file
 * @throws SpacesError `INVALID_INPUT` naming the place of the first mistake
 */
export async function readYamlFile<S extends z.ZodType>(
  path: string,
  schema: S,
  { secret = false }: { readonly secret?: boolean } = {},
): Promise<z.infer<S> | undefined> {
  const text = await readSmallFile(path);
  if (text === undefined) return undefined;
  const { document, fail } = parseYaml(path, text);
  const value: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  const parsed = schema.safeParse(value);
  if (!parsed.success) return fail(...mistakeIn(document, parsed.error, schema));
  if (secret) await refuseReadableByOthers(path, value);
  return parsed.data;
}

/** Parses the text of a file, keeping its comments and positions. */
export function parseYaml(path: string, text: string) {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number, problem: string, suggestion?: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new SpacesError("INVALID_INPUT", `${path}:${line}:${col}: ${problem}`, {
      suggestion: suggestion ?? "Correct the file at the named line and column.",
      details: { file: path, line, column: col },
    });
  };
  const [mistake] = document.errors;
  if (mistake !== undefined) fail(mistake.pos[0], mistake.message);
  return { document, fail };
}

async function readSmallFile(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE) {
      throw new SpacesError("INVALID_INPUT", `${path} has more than ${LARGEST_FILE} bytes.`);
    }
    return await readFile(path, "utf8");
  } catch (cause) {
    if (SpacesError.isInstance(cause)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new SpacesError("INVALID_INPUT", `${path} cannot be read: ${message}.`, {
      suggestion: "Check the file and its permissions.",
      cause,
    });
  }
}

/** A token that others can read is no secret. Windows keeps its permissions elsewhere. */
async function refuseReadableByOthers(path: string, value: unknown): Promise<void> {
  if (process.platform === "win32" || !JSON.stringify(value).includes('"token":')) return;
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const shown = (mode & 0o777).toString(8);
  throw new SpacesError(
    "INVALID_INPUT",
    `${path} holds a token and others may read it (${shown}).`,
    {
      suggestion: `Run: chmod 600 '${path}'. If others have access here, revoke the token.`,
    },
  );
}

function mistakeIn(
  document: Document.Parsed,
  { issues }: z.ZodError,
  schema: z.ZodType,
): [offset: number, problem: string, suggestion?: string] {
  const [issue] = issues;
  if (issue === undefined) return [0, "The file is not valid."];
  if (issue.code !== "unrecognized_keys") {
    const where = issue.path.join(".");
    const problem = where === "" ? issue.message : `${where}: ${issue.message}`;
    return [offsetOf(document, issue.path), problem];
  }
  const key = issue.keys[0] ?? "";
  const path = [...issue.path, key];
  if (key === "token") {
    return [
      keyOffset(document, path),
      "token: a token must not stand in this file.",
      "Remove it, and run `spaces login`: it keeps the token where only you can read it.",
    ];
  }
  const guess = closest(key, keysOf(schema, issue.path));
  return [
    keyOffset(document, path),
    `${path.join(".")}: is no setting.`,
    guess === undefined ? undefined : `Did you mean ${guess}?`,
  ].filter((part) => part !== undefined) as [number, string, string?];
}

/** The settings that can stand at a path; profiles have the same ones. */
function keysOf(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const shape = (schema as { shape?: Readonly<Record<string, unknown>> }).shape ?? {};
  const keys = Object.keys(shape);
  return path.length === 0 ? keys : keys.filter((key) => !key.startsWith("profile"));
}

/** The offset of the node at a path, or of the nearest one above it. */
export function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return (node as Node).range?.[0] ?? 0;
  }
  return document.contents?.range?.[0] ?? 0;
}

/** The offset of a key itself. */
export function keyOffset(document: Document.Parsed, path: readonly PropertyKey[]): number {
  const above = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(above)) {
    for (const { key } of above.items) {
      if (isScalar(key) && key.value === path.at(-1)) return key.range?.[0] ?? 0;
    }
  }
  return offsetOf(document, path);
}
