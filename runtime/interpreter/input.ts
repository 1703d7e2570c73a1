/**
 * Makes what an interactive session evaluates of what was typed. Types are stripped, and the
 * declarations at the top become properties of the global object, so that they live on, can be
 * declared again, and never stay half made after an error. `evaluator.ts` calls it.
 */
import {
  type ImportDeclaration,
  type ModuleDeclaration,
  type Pattern,
  type Program,
  parse,
  type Statement,
} from "acorn";
import type { SourceLoader } from "./source.js";
import type { ScriptPosition } from "./types.js";

/**
 * Gives the position in the source that belongs to one in the code; none for what was not typed.
 * Line and column count from 1.
 */
export type Original = (
  line: number,
  column: number,
) => Pick<ScriptPosition, "line" | "column"> | undefined;

/** An input that can be evaluated. */
export interface PreparedInput {
  readonly kind: "ready";
  readonly code: string;
  /** Text of the module through which its imports are made. */
  readonly module: string | undefined;
  /** Names that it declares anew. */
  readonly declared: readonly string[];
  /** Those of them that cannot be assigned to once the input has ended. */
  readonly constants: readonly string[];
  /** Names that it declares where there are none yet: those of `var`, and what it assigns to. */
  readonly kept: readonly string[];
  /** Whether its value is one to show, and not that of a declaration. */
  readonly hasValue: boolean;
  /** The position in the source that belongs to one in the code. */
  readonly original: Original;
}

/** An input that cannot be evaluated, and where and why. */
export interface WrongInput {
  /** `incomplete` where it is the beginning of something longer. */
  readonly kind: "incomplete" | "wrong";
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

export type ParsedInput = PreparedInput | WrongInput;

/**
 * Reads an input.
 *
 * @param name what it is called in stacks; its module has the same name
 * @param source TypeScript or JavaScript
 */
export async function readInput(
  name: string,
  source: string,
  loader: SourceLoader,
): Promise<ParsedInput> {
  const object = /^\s*\{/.test(source) && !/;\s*$/.test(source);
  if (object) {
    // Taken for an object where it can be one, as `{ a: 1 }` alone would be a block with a label.
    const wrapped = await loader.strip(`(${source}\n)`);
    const program = "text" in wrapped ? tryParse(wrapped.text) : undefined;
    if ("text" in wrapped && program !== undefined) {
      const edits = [{ line: 1, column: 0, length: 1 }];
      return { ...transform(name, wrapped.text, program), original: unmap(edits) };
    }
  }
  const stripped = await loader.strip(source);
  if (!("text" in stripped)) {
    const { message, line, column } = stripped;
    const kind = isUnfinished(source, stripped) ? "incomplete" : "wrong";
    return { kind, message, line, column };
  }
  try {
    return transform(name, stripped.text, parseModule(stripped.text));
  } catch (error) {
    return syntaxError(error);
  }
}

function parseModule(text: string): Program {
  return parse(text, {
    ecmaVersion: "latest",
    sourceType: "module",
    locations: true,
  });
}

function tryParse(text: string): Program | undefined {
  try {
    return parseModule(text);
  } catch {
    return undefined;
  }
}

interface AcornError extends SyntaxError {
  readonly pos: number;
  readonly loc: { readonly line: number; readonly column: number };
}

function isAcornError(error: unknown): error is AcornError {
  return error instanceof SyntaxError && "loc" in error && "pos" in error;
}

function syntaxError(error: unknown): WrongInput {
  if (!isAcornError(error)) throw error;
  const message = error.message.replace(/ \(\d+:\d+\)$/, "");
  const { line, column } = error.loc;
  return { kind: "wrong", message, line, column: column + 1 };
}

/** Whether an error only says that the source ends too early. */
function isUnfinished(
  source: string,
  error: { readonly message: string; readonly line: number; readonly column: number },
): boolean {
  const text = source.trimEnd();
  if (/^Unterminated (template|block comment)/.test(error.message)) return true;
  // A backslash at the end of a line goes on with the text in the next one.
  if (/string/.test(error.message) && /\\\n?$/.test(source)) return true;
  const lines = text.split(/\r\n|[\n\r\u2028\u2029]/);
  const last = lines.at(-1) ?? "";
  if (error.line > lines.length) return true;
  if (error.line === lines.length && error.column > last.length) return true;
  return text !== "" && endsTooEarly(source);
}

/** The second opinion of a parser that knows JavaScript alone. */
function endsTooEarly(source: string): boolean {
  try {
    parseModule(source);
    return false;
  } catch (error) {
    if (!isAcornError(error)) throw error;
    return (
      /^Unterminated (template|comment)/.test(error.message) || error.pos >= source.trimEnd().length
    );
  }
}

/** Text put into a line, which moves what stands behind it. */
interface Insertion {
  /** Counts from 1. */
  readonly line: number;
  /** Column in the source before which it stands; counts from 0. */
  readonly column: number;
  readonly length: number;
}

function unmap(insertions: readonly Insertion[]): Original {
  return (line, column) => {
    let moved = column;
    for (const insertion of insertions) {
      const behind = moved - 1 - insertion.column;
      if (insertion.line !== line || behind < 0) continue;
      if (behind < insertion.length) return undefined;
      moved -= insertion.length;
    }
    return { line, column: moved };
  };
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What is put in at a place stands before what is replaced from there on. */
function inOrder(one: Edit, other: Edit): number {
  return one.start - other.start || one.end - other.end;
}

/** Replaces parts of a text, each by one of the same length, and puts others in between. */
class Rewriter {
  readonly #text: string;
  readonly #edits: Edit[] = [];
  readonly insertions: Insertion[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Puts blanks over a part; what stands on other lines stays there. */
  blank(start: number, end: number, text = ""): void {
    const rest = this.#text.slice(start + text.length, end).replace(/[^\s]/g, " ");
    this.#edits.push({ start, end, text: text + rest });
  }

  insert(at: number, text: string): void {
    const before = this.#text.slice(0, at).split(/\r\n|[\n\r\u2028\u2029]/);
    const column = (before.at(-1) ?? "").length;
    this.insertions.push({ line: before.length, column, length: text.length });
    this.#edits.push({ start: at, end: at, text });
  }

  finish(): string {
    let result = "";
    let at = 0;
    for (const { start, end, text } of this.#edits.sort(inOrder)) {
      result += this.#text.slice(at, start) + text;
      at = end;
    }
    return result + this.#text.slice(at);
  }
}

function namesIn(pattern: Pattern): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((property) =>
        namesIn(property.type === "Property" ? property.value : property.argument),
      );
    case "ArrayPattern":
      return pattern.elements.flatMap((element) => (element === null ? [] : namesIn(element)));
    case "RestElement":
      return namesIn(pattern.argument);
    case "AssignmentPattern":
      return namesIn(pattern.left);
    case "MemberExpression":
      return [];
  }
}

interface Found {
  readonly declared: Set<string>;
  readonly constants: Set<string>;
  readonly kept: Set<string>;
  readonly imports: ImportDeclaration[];
}

function transform(name: string, text: string, program: Program): PreparedInput {
  const rewriter = new Rewriter(text);
  const found: Found = {
    declared: new Set(),
    constants: new Set(),
    kept: new Set(),
    imports: [],
  };
  for (const node of program.body) {
    if (node.type === "ImportDeclaration") {
      found.imports.push(node);
      rewriter.blank(node.start, node.end, ";");
    } else if (node.type === "ExportNamedDeclaration" && node.declaration != null) {
      // What a file exports is declared here as it is there.
      rewriter.blank(node.start, node.declaration.start);
      declare(node.declaration, rewriter, found);
    } else if (isExport(node)) {
      const { line = 1, column = 0 } = node.loc?.start ?? {};
      const error = new SyntaxError("A session exports nothing but declarations");
      throw Object.assign(error, { pos: node.start, loc: { line, column } });
    } else {
      declare(node, rewriter, found);
    }
  }
  const imported = importedNames(found.imports);
  if (found.imports.length > 0) {
    // Imports come first, wherever they stand, as in a file.
    rewriter.insert(0, `({${imported.join(",")}}=await import(${JSON.stringify(name)}));`);
  }
  const last = program.body.findLast((node) => node.type !== "EmptyStatement");
  return {
    kind: "ready",
    code: rewriter.finish(),
    module: found.imports.length === 0 ? undefined : importModule(text, found.imports, imported),
    declared: [...found.declared, ...imported],
    constants: [...found.constants, ...imported],
    kept: [...found.kept],
    hasValue: last !== undefined && !/Declaration$/.test(last.type),
    original: unmap(rewriter.insertions),
  };
}

function isExport(node: Statement | ModuleDeclaration): node is ModuleDeclaration {
  return node.type.startsWith("Export");
}

/** Makes assignments of the declarations that a statement is. */
function declare(node: Statement, rewriter: Rewriter, found: Found): void {
  if (node.type === "ClassDeclaration") {
    found.declared.add(node.id.name);
    rewriter.insert(node.start, `;${node.id.name}=`);
    rewriter.insert(node.end, ";");
  } else if (node.type === "VariableDeclaration" && /^(?:const|let|var)$/.test(node.kind)) {
    const names = node.declarations.flatMap((declaration) => namesIn(declaration.id));
    for (const variable of names) {
      (node.kind === "var" ? found.kept : found.declared).add(variable);
      if (node.kind === "const") found.constants.add(variable);
    }
    // Each of the three words has room for this; the first name behind it cannot go on with it.
    rewriter.blank(node.start, node.start + node.kind.length, ";");
    for (const { id, end } of node.declarations) {
      if (id.type !== "Identifier") {
        rewriter.insert(id.start, "(");
        rewriter.insert(end, ")");
      }
    }
  } else if (
    node.type === "ExpressionStatement" &&
    node.expression.type === "AssignmentExpression" &&
    node.expression.operator === "=" &&
    node.expression.left.type === "Identifier"
  ) {
    found.kept.add(node.expression.left.name);
  }
}

function importedNames(imports: readonly ImportDeclaration[]): string[] {
  return imports.flatMap((node) => node.specifiers.map((specifier) => specifier.local.name));
}

/** The imports alone, at their places, so that what fails is shown where it was typed. */
function importModule(
  text: string,
  imports: readonly ImportDeclaration[],
  names: readonly string[],
): string {
  const rewriter = new Rewriter(text);
  let at = 0;
  for (const { start, end } of imports) {
    rewriter.blank(at, start);
    at = end;
  }
  rewriter.blank(at, text.length);
  return `${rewriter.finish()}\nexport {${names.join(",")}};`;
}
