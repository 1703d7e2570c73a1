/**
 * The guest's side of an interactive session: prepares the global object for each input, shows what
 * its value is, and names members for completion. The worker's `evaluation-run.ts` calls its hooks;
 * no script can import it.
 */

import { describe, hook, loadLazy, parseJson, send } from "spaces:host";
import files from "files";
import runtime from "runtime";
import schedules from "schedules";
import space from "space";
import spaces from "spaces";
import yaml from "yaml";
import type { Inspection } from "./prelude/lazy/inspect.js";
import { apply, create, defineProperty, slice, stringify, then } from "./prelude/primordials.js";

interface Input {
  readonly declared: readonly string[];
  readonly constants: readonly string[];
  readonly kept: readonly string[];
  readonly hasValue: boolean;
  readonly colors: boolean;
}

interface Question {
  /** Names that lead from the global object to the one whose members are asked for. */
  readonly path: readonly string[];
  readonly prefix: string;
}

/** Longest text that a value is shown as, in UTF-16 units. */
const SHOWN_LENGTH = 262_144;
const MOST_NAMES = 1000;
const LONGEST_NAME = 100;
const MOST_PROTOTYPES = 20;

// Taken before any input runs, as all primordials are.
const { deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const toObject = Object;
const { isView } = ArrayBuffer;
const hasOwn = Object.prototype.hasOwnProperty;
const { inspect } = loadLazy("inspect") as Inspection;

const global = globalThis;
/** What was kept in `_` and `_error` last: who puts something else there keeps it. */
const kept: Record<string, unknown> = create(null);
/** The getters of globals that are made at first use. They are ours, and safe to be run. */
const lazyGetters: Record<string, unknown> = create(null);
let current: Input | undefined;

/** Whether a descriptor has a field of its own: what stands on `Object.prototype` is no part of it. */
function has(descriptor: PropertyDescriptor, field: keyof PropertyDescriptor): boolean {
  return apply(hasOwn, descriptor, [field]) as boolean;
}

function define(name: string, value: unknown, writable: boolean, enumerable: boolean): void {
  const descriptor: PropertyDescriptor = create(null);
  descriptor.value = value;
  descriptor.writable = writable;
  descriptor.enumerable = enumerable;
  descriptor.configurable = true;
  defineProperty(global, name, descriptor);
}

/** Makes a name ready to be assigned to. */
function declare(name: string, anew: boolean): void {
  const found = getOwnPropertyDescriptor(global, name);
  if (found === undefined || (anew && found.configurable === true)) {
    // The engine would go on taking what was a constant for one.
    deleteProperty(global, name);
    define(name, undefined, true, true);
  } else if (anew && found.writable !== true) {
    throw new TypeError(`'${name}' cannot be declared: it belongs to the language.`);
  }
}

function begin(json: unknown): void {
  const input = parseJson(json as string) as Input;
  current = input;
  try {
    for (let index = 0; index < input.declared.length; index += 1) {
      declare(input.declared[index] ?? "", true);
    }
    for (let index = 0; index < input.kept.length; index += 1) {
      declare(input.kept[index] ?? "", false);
    }
  } catch (error) {
    threw(error);
  }
}

/** Takes the promise of what is being evaluated. */
function evaluated(promise: unknown): void {
  const input = current;
  const settle = promise as Promise<{ readonly value: unknown }>;
  then(
    settle,
    (result) => {
      // An input that was cancelled has no result any more, whatever it still does.
      if (input !== undefined && input === current) finish(input, result);
    },
    (reason) => {
      if (input === current) threw(reason);
    },
  );
}

function finish(input: Input, result: unknown): void {
  for (let index = 0; index < input.constants.length; index += 1) {
    fasten(input.constants[index] ?? "");
  }
  if (!input.hasValue) {
    answer("null");
    return;
  }
  const { value } = result as { readonly value: unknown };
  keep("_", value);
  answer(stringify(show(value, input.colors)) ?? "null");
}

function answer(json: string): void {
  current = undefined;
  send("value", json);
}

function threw(reason: unknown): void {
  current = undefined;
  keep("_error", reason);
  send("threw", describe(reason));
}

/** Makes a constant of a global that an input declared as one. */
function fasten(name: string): void {
  const found = getOwnPropertyDescriptor(global, name);
  if (found !== undefined && found.configurable === true && has(found, "value")) {
    define(name, found.value, false, true);
  }
}

/** Keeps a value under a name, unless that has been used for something else. */
function keep(name: "_" | "_error", value: unknown): void {
  try {
    const found = getOwnPropertyDescriptor(global, name);
    const ours = found !== undefined && has(found, "value") && found.value === kept[name];
    if (found === undefined || ours) {
      define(name, value, true, false);
      kept[name] = value;
    }
  } catch {
    // A frozen global object takes no more names; the value is shown nevertheless.
  }
}

function show(value: unknown, colors: boolean): string {
  let text: string;
  try {
    text = inspect(value, { colors });
  } catch {
    // What is shown may be made to break the showing; the session goes on.
    text = "[Unprintable]";
  }
  const more = text.length - SHOWN_LENGTH;
  return more > 0 ? `${slice(text, 0, SHOWN_LENGTH)}... ${more} more characters` : text;
}

/** Answers with the names of the members that begin so: a JSON list. */
function complete(json: unknown): void {
  const question = parseJson(json as string) as Question;
  let names = "";
  try {
    names = membersOf(question);
  } catch {
    // Objects that refuse to be looked at have no members to name.
  }
  send("value", stringify(`[${names}]`) ?? "null");
}

function membersOf({ path, prefix }: Question): string {
  let object: object = global;
  for (let index = 0; index < path.length; index += 1) {
    const value = peek(object, path[index] ?? "");
    if (value === undefined || value === null) return "";
    object = toObject(value);
  }
  let names = "";
  let count = 0;
  let at: object | null = object;
  for (let steps = 0; at !== null && steps < MOST_PROTOTYPES; steps += 1) {
    const keys = isLong(at) ? [] : ownKeys(at);
    for (let index = 0; index < keys.length && count < MOST_NAMES; index += 1) {
      const key = keys[index];
      if (
        typeof key !== "string" ||
        key.length > LONGEST_NAME ||
        slice(key, 0, prefix.length) !== prefix
      ) {
        continue;
      }
      names += `${count === 0 ? "" : ","}${stringify(key)}`;
      count += 1;
    }
    at = getPrototypeOf(at);
  }
  return names;
}

/** Whether an object has so many numbered members that their names alone could use up the memory. */
function isLong(object: object): boolean {
  if (isView(object)) return true;
  const length = getOwnPropertyDescriptor(object, "length");
  return length !== undefined && has(length, "value") && length.value > MOST_NAMES;
}

/** The value of a property along the prototypes. Runs no getter but those of our own globals. */
function peek(object: object, name: string): unknown {
  let at: object | null = object;
  for (let steps = 0; at !== null && steps < MOST_PROTOTYPES; steps += 1) {
    const found = getOwnPropertyDescriptor(at, name);
    if (found !== undefined) {
      if (has(found, "value")) return found.value;
      const getter = found.get;
      const ours = at === global && getter !== undefined && getter === lazyGetters[name];
      return ours ? apply(getter, global, []) : undefined;
    }
    at = getPrototypeOf(at);
  }
  return undefined;
}

const globals = { spaces, space, files, schedules, runtime, yaml };
for (const [name, value] of Object.entries(globals)) define(name, value, true, false);
for (const name of ["_", "_error"]) define(name, undefined, true, false);
for (const name of Object.getOwnPropertyNames(global)) {
  const getter = getOwnPropertyDescriptor(global, name)?.get;
  if (getter !== undefined) lazyGetters[name] = getter;
}
hook("begin", begin);
hook("evaluated", evaluated);
hook("threw", threw);
hook("complete", complete);
