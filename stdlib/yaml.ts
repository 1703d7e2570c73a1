/**
 * The module `yaml`: reads and writes YAML 1.2. Scripts import it by name; the work is done outside
 * of the sandbox, in the worker (`runtime/interpreter/worker/natives.ts`).
 */
import { native, SpacesError } from "spaces:host";
import { anyText } from "./arguments.js";
import { createModule } from "./module.js";

interface Answer {
  readonly value?: unknown;
  readonly problem?: {
    readonly code: "INVALID_INPUT" | "LIMIT_EXCEEDED";
    readonly message: string;
    readonly line?: number;
    readonly column?: number;
  };
}

function unpack(fn: string, answer: unknown): unknown {
  const { value, problem } = answer as Answer;
  if (problem === undefined) return value;
  const { code, message, ...position } = problem;
  throw new SpacesError(code, `${fn}(): ${message}`, {
    suggestion: "Correct the YAML text, and try again.",
    details: position,
  });
}

/** The value that a YAML text describes. */
export function parse(text: unknown): unknown {
  const source = anyText({ fn: "yaml.parse", parameter: "text" }, text);
  return unpack("yaml.parse", native("yaml.parse", { text: source }));
}

/** A value as YAML text. */
export function stringify(value: unknown): string {
  return unpack("yaml.stringify", native("yaml.stringify", { value: value ?? null })) as string;
}

const yaml = createModule("yaml", { parse, stringify });

export default yaml;
