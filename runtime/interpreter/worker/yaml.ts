/**
 * Reads and writes YAML for the script module `yaml`. The parser is loaded when a script first
 * needs it.
 */
import { createRequire } from "node:module";
import type * as Yaml from "yaml";

/** What the guest module turns into an error of the registry. */
interface Problem {
  readonly code: "INVALID_INPUT" | "LIMIT_EXCEEDED";
  readonly message: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

type Answer = { readonly value: unknown } | { readonly problem: Problem };

/** How often aliases may repeat what they stand for, all in all. */
const MAX_ALIASES = 100;

let loaded: typeof Yaml | undefined;

function yaml(): typeof Yaml {
  loaded ??= createRequire(import.meta.url)("yaml") as typeof Yaml;
  return loaded;
}

const invalid = (message: string, line?: number, column?: number): Answer => ({
  problem: { code: "INVALID_INPUT", message, line, column },
});

/**
 * Parses one YAML document.
 * @param text The YAML text.
 * @returns The value, or the problem with line and column counted from 1.
 */
export function parseYaml(text: string): Answer {
  const { parseDocument } = yaml();
  const document = parseDocument(text, { prettyErrors: true, logLevel: "error" });
  const [error] = document.errors;
  if (error) {
    const at = error.linePos?.[0];
    const what =
      error.code === "MULTIPLE_DOCS"
        ? "the text holds more than one document"
        : (error.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
    const where = at === undefined ? "" : ` at line ${at.line}, column ${at.col}`;
    return invalid(`${what}${where}.`, at?.line, at?.col);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    const bomb = cause.message.startsWith("Excessive alias count");
    return bomb
      ? {
          problem: {
            code: "LIMIT_EXCEEDED",
            message: "the text repeats too much through aliases.",
          },
        }
      : invalid(`${cause.message}.`);
  }
  if (/\*/.test(text) && holdsItself(value, [])) {
    return invalid("an alias refers to what it is part of; such a value has no end.");
  }
  return { value };
}

function holdsItself(value: unknown, above: readonly unknown[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (above.includes(value)) return true;
  const inside = [...above, value];
  return Object.values(value).some((member) => holdsItself(member, inside));
}

/** Writes a JSON-safe value as YAML text. */
export function stringifyYaml(value: unknown): Answer {
  return { value: yaml().stringify(value) };
}
