/** Holds the input of a run against the inputs that its script declares. Engine and command line use it. */
import { closest } from "../config/closest.js";
import { SpacesError } from "../contract/errors.js";
import { valueSchema } from "../contract/input-values.js";
import type { ScriptInputs } from "../contract/script-inputs.js";

/** A script, as far as its input goes. */
interface Taker {
  /** What errors call it. */
  readonly name: string;
  readonly inputs?: ScriptInputs | undefined;
}

/**
 * The input that a script is run with: with its defaults filled in where it declares inputs, else as
 * it is.
 * @throws SpacesError `INVALID_INPUT` naming the first input that is missing, unknown or not valid
 */
export function checkInput({ name: script, inputs }: Taker, input: unknown): unknown {
  if (inputs === undefined) return input;
  const given = input ?? {};
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new SpacesError(
      "INVALID_INPUT",
      `The input of the script "${script}" must be an object.`,
    );
  }
  const { properties, required } = inputs;
  const values = given as Readonly<Record<string, unknown>>;
  const names = Object.keys(properties);
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(properties, name));
  if (unknown !== undefined) {
    const guess = closest(unknown, names);
    throw new SpacesError(
      "INVALID_INPUT",
      `The script "${script}" has no input "${unknown.slice(0, 64)}".`,
      {
        suggestion:
          guess === undefined
            ? names.length === 0
              ? "It takes no input."
              : `It takes ${names.join(", ")}.`
            : `Did you mean "${guess}"?`,
        details: { input: unknown.slice(0, 64) },
      },
    );
  }
  const checked: [string, unknown][] = [];
  for (const [name, declared] of Object.entries(properties)) {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) {
      if (declared.default !== undefined) checked.push([name, declared.default]);
      else if (required.includes(name)) throw invalid(script, name, "is missing");
      continue;
    }
    const { success, error } = valueSchema(declared).safeParse(value);
    if (!success) throw invalid(script, name, problemIn(error));
    checked.push([name, value]);
  }
  return Object.fromEntries(checked);
}

function problemIn({ issues }: { readonly issues: readonly Issue[] }): string {
  const [issue] = issues;
  if (issue === undefined) return "is not valid";
  const [item] = issue.path;
  return item === undefined
    ? issue.message
    : `has an item ${Number(item) + 1} that ${issue.message}`;
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function invalid(script: string, input: string, problem: string): SpacesError {
  const message = `The input "${input}" of the script "${script}" ${problem}.`;
  return new SpacesError("INVALID_INPUT", message, { details: { input } });
}
