/** The input of a script that declares some: from flags and `--input`, checked, or the script's help. */
import { SpacesError } from "../runtime/contract/errors.js";
import type { ScriptInputs } from "../runtime/contract/script-inputs.js";
import { checkInput } from "../runtime/scripts/check-input.js";
import { parseScriptArguments, scriptHelp } from "./script-flags.js";

/** A script that declares inputs. */
export interface TypedScript {
  readonly name: string;
  readonly description: string;
  readonly inputs: ScriptInputs;
  /** How the command line calls it, for its help. */
  readonly call: string;
}

/** What the script is run with, or its help where that was asked for. */
export type TypedInput =
  | { readonly args: readonly string[]; readonly input: unknown }
  | { readonly help: string };

/**
 * Makes the input of a script from its flags and from `--input`.
 * @param given the value of `--input`
 * @throws SpacesError `INVALID_INPUT` for wrong flags, for a value that is given twice, and for what the
 *   script does not take
 */
export function typedInput(
  script: TypedScript,
  args: readonly string[],
  given: unknown,
): TypedInput {
  const { values, rest, help } = parseScriptArguments(script.inputs, args);
  if (help) return { help: scriptHelp(script.call, script) };
  if (values.size === 0) return { args: rest, input: checkInput(script, given) };
  const base = given ?? {};
  if (typeof base !== "object" || Array.isArray(base)) {
    return { args: rest, input: checkInput(script, base) };
  }
  const twice = [...values.keys()].find((name) => Object.hasOwn(base, name));
  if (twice !== undefined) {
    throw new SpacesError("INVALID_INPUT", `--input and a flag both give "${twice}".`, {
      suggestion: "Give it in one place.",
    });
  }
  const input = Object.fromEntries([...Object.entries(base), ...values]);
  return { args: rest, input: checkInput(script, input) };
}
