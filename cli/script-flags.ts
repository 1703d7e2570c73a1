/**
 * Flags of scripts: made from the inputs that a script declares, they stand behind `--` on the command
 * line. `spaces run`, `scripts run` and `scripts test` read them here.
 */
import { parseArgs } from "node:util";
import { closest } from "../runtime/config/closest.js";
import { SpacesError } from "../runtime/contract/errors.js";
import {
  flagOf,
  flagsOf,
  type ScriptInput,
  type ScriptInputs,
} from "../runtime/contract/script-inputs.js";
import { table } from "./text.js";

/** What the arguments of a script say. */
export interface ScriptArguments {
  /** Values of its inputs, by their names. */
  readonly values: ReadonlyMap<string, unknown>;
  /** What is no flag. */
  readonly rest: readonly string[];
  /** Whether `--help` is among them. */
  readonly help: boolean;
}

type Scalar = Exclude<ScriptInput, { type: "array" }>["type"];

const NUMBER = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;

/**
 * Reads the arguments of a script that declares inputs. What its values mean is for `checkInput` to say.
 * @throws SpacesError `INVALID_INPUT` for a flag that is unknown, given twice, or without its value
 */
export function parseScriptArguments(
  { properties }: ScriptInputs,
  args: readonly string[],
): ScriptArguments {
  const owners = new Map<string, string>();
  for (const [name, input] of Object.entries(properties)) {
    for (const flag of flagsOf(name, input)) owners.set(flag, name);
  }
  const typeOf = (name: string) => (properties[name]?.type === "boolean" ? "boolean" : "string");
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries([
      ...[...owners].map(([flag, name]) => [flag, { type: typeOf(name) }] as const),
      ["help", { type: "boolean", short: "h" }] as const,
    ]),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, unknown>();
  const rest: string[] = [];
  let help = false;
  for (const token of tokens) {
    if (token.kind === "positional") rest.push(token.value);
    if (token.kind !== "option") continue;
    const name = owners.get(token.name);
    if (token.name === "help" && token.value === undefined) {
      help = true;
    } else if (name === undefined) {
      throw unknownFlag(token.rawName, [...owners.keys()]);
    } else {
      addValue(values, name, properties[name], token);
    }
  }
  return { values, rest, help };
}

interface Flag {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function addValue(
  values: Map<string, unknown>,
  name: string,
  input: ScriptInput | undefined,
  flag: Flag,
): void {
  const { rawName, value } = flag;
  if (input?.type === "array") {
    const before = values.get(name);
    const item = readValue(input.items.type, flag);
    values.set(name, Array.isArray(before) ? [...before, item] : [item]);
  } else if (values.has(name)) {
    throw wrong(`${rawName} is given twice.`, "Give it once.");
  } else if (input?.type === "boolean") {
    if (value !== undefined) {
      const positive = flagOf(name);
      throw wrong(`${rawName} takes no value.`, `Give --${positive} or --no-${positive}.`);
    }
    values.set(name, flag.name === flagOf(name));
  } else {
    values.set(name, readValue(input?.type ?? "string", flag));
  }
}

function readValue(type: Scalar, { rawName, value, inlineValue = false }: Flag): unknown {
  if (value === undefined) {
    throw wrong(`${rawName} needs a value.`, `Give it as ${rawName}=<${type}>.`);
  }
  const isNumber = NUMBER.test(value);
  if (!inlineValue && value.startsWith("-") && value !== "-" && !(isNumber && type !== "string")) {
    throw wrong(
      `${rawName} needs a value, and "${value.slice(0, 80)}" looks like a flag.`,
      `If it is the value, give it as ${rawName}=${value.slice(0, 80)}.`,
    );
  }
  if (type === "string") return value;
  if (type === "boolean") {
    if (value === "true" || value === "false") return value === "true";
    throw wrong(`${rawName} cannot be "${value.slice(0, 80)}".`, "Give true or false.");
  }
  if (isNumber) return Number(value);
  throw wrong(`${rawName} cannot be "${value.slice(0, 80)}".`, "Give a number.");
}

function unknownFlag(rawName: string, flags: readonly string[]): SpacesError {
  const guess = closest(rawName.replace(/^-+/, ""), flags);
  return wrong(
    `The script has no flag ${rawName.slice(0, 80)}.`,
    guess === undefined
      ? "Put --help behind the -- to see its flags; a second -- ends them."
      : `Did you mean --${guess}?`,
  );
}

function wrong(message: string, suggestion: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message, { suggestion });
}

/**
 * The help of a script, made from its inputs.
 * @param command how the script is called, without its arguments
 */
export function scriptHelp(
  command: string,
  { description, inputs }: { readonly description: string; readonly inputs: ScriptInputs },
): string {
  const { properties, required } = inputs;
  const rows = Object.entries(properties).map(([name, input]) => [
    `  ${termOf(name, input)}`,
    [input.description, ...remarks(input, required.includes(name))]
      .filter((part) => part !== undefined && part !== "")
      .join(" "),
  ]);
  rows.push(["  -h, --help", "print this help"]);
  // The titles of the table are of no use here.
  const flags = table(["", ""], rows).split("\n").slice(1).join("\n");
  const intro = description === "" ? "" : `${description}\n\n`;
  return `Usage: ${command} -- [flags] [args...]\n\n${intro}Flags:\n${flags}`;
}

function termOf(name: string, input: ScriptInput): string {
  const flag = flagOf(name);
  if (input.type === "boolean") return `--${flag}, --no-${flag}`;
  return input.type === "array"
    ? `--${flag} <${input.items.type}>...`
    : `--${flag} <${input.type}>`;
}

function remarks(input: ScriptInput, isRequired: boolean): string[] {
  const values = "enum" in input && input.enum !== undefined ? input.enum : [];
  return [
    ...(values.length === 0 ? [] : [`(one of: ${values.join(", ")})`]),
    ...(input.default === undefined ? [] : [`(default: ${JSON.stringify(input.default)})`]),
    ...(isRequired && input.default === undefined ? ["(required)"] : []),
  ];
}
