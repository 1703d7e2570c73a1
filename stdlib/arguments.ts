/**
 * Checks what a script passes to a function of the standard library, so that a slip is reported
 * with the function's and the parameter's name before anything is asked of the host.
 */
import { SpacesError } from "spaces:host";
import { nearest } from "./names.js";
import { bytesOf, isBytes } from "./prelude/binary.js";

/** Where a value was given: the function, and the words for the parameter in messages. */
export interface Place {
  readonly fn: string;
  readonly parameter: string;
}

type Reader<T> = (place: Place, value: unknown) => T;

/** An object whose keys the user chose. It has no prototype, so every key is only a key. */
export type UserRecord = Record<string, string>;

/** The kind of a value in words. Only numbers are shown: a string may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value === "") return "an empty string";
  if (typeof value === "number") return `the number ${value}`;
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function invalid({ fn, parameter }: Place, expected: string, value: unknown): SpacesError {
  return new SpacesError(
    "INVALID_INPUT",
    `${fn}() requires ${parameter} as ${expected}, but got ${kindOf(value)}.`,
    { suggestion: `Pass ${expected}.`, details: { function: fn, parameter } },
  );
}

/** A string, which may be empty. */
export const anyText: Reader<string> = (place, value) => {
  if (typeof value !== "string") throw invalid(place, "a string", value);
  return value;
};

/** A string that is not empty. */
export const text: Reader<string> = (place, value) => {
  if (typeof value !== "string" || value === "") throw invalid(place, "a string", value);
  return value;
};

export const flag: Reader<boolean> = (place, value) => {
  if (typeof value !== "boolean") throw invalid(place, "true or false", value);
  return value;
};

export const count: Reader<number> = (place, value) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw invalid(place, "a whole number from 1", value);
  }
  return value;
};

/** A number of bytes, or of times. */
export const whole: Reader<number> = (place, value) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(place, "a whole number from 0", value);
  }
  return value;
};

/** Permission bits. */
export const fileMode: Reader<number> = (place, value) => {
  const bits = typeof value === "number" && Number.isInteger(value) && value >= 0;
  if (!bits || value > 0o777) {
    throw invalid(place, "permission bits from 0 to 0o777", value);
  }
  return value;
};

/** What a file can be written from, beside a string. */
export const bytesLike: Reader<Uint8Array> = (place, value) => {
  if (!isBytes(value)) throw invalid(place, "a string or a Uint8Array", value);
  return bytesOf(value);
};

export const globs: Reader<string[]> = (place, value) => {
  const list = typeof value === "string" ? [value] : textList(place, value);
  return list.map((glob) => text({ fn: place.fn, parameter: place.parameter }, glob));
};

export const port: Reader<number> = (place, value) => {
  const whole = typeof value === "number" && Number.isInteger(value);
  if (!whole || value < 1 || value > 65_535) {
    throw invalid(place, "a port number from 1 to 65535", value);
  }
  return value;
};

/** Seconds, also fractions of them, as whole milliseconds. */
export const milliseconds: Reader<number> = (place, value) => {
  const result = typeof value === "number" ? Math.round(value * 1000) : Number.NaN;
  if (typeof value !== "number" || !(value > 0) || !Number.isSafeInteger(result)) {
    throw invalid(place, "a number of seconds above 0", value);
  }
  return Math.max(1, result);
};

/** As `milliseconds`, or 0 for no time at all. */
export const millisecondsOrNone: Reader<number> = (place, value) => {
  if (value === 0) return 0;
  if (typeof value !== "number" || !(value > 0)) {
    throw invalid(place, "a number of seconds from 0", value);
  }
  return milliseconds(place, value);
};

/** A value of any kind; the host tells where JSON cannot hold it. */
export const anyValue: Reader<unknown> = (_place, value) => value;

/** Also null, by which a setting is taken away. */
export const orNull =
  <T>(read: Reader<T>): Reader<T | null> =>
  (place, value) =>
    value === null ? null : read(place, value);

export const textList: Reader<string[]> = (place, value) => {
  if (!Array.isArray(value)) throw invalid(place, "an array of strings", value);
  return Array.from({ length: value.length }, (_, index) =>
    anyText({ fn: place.fn, parameter: `${place.parameter}[${index}]` }, value[index]),
  );
};

/** Is this an object as written with braces, no array, class instance or function? */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Strings by keys of the user's choice, `__proto__` among them. */
export const textRecord: Reader<UserRecord> = (place, value) => {
  if (!isPlainObject(value)) throw invalid(place, "an object of strings", value);
  const record: UserRecord = Object.create(null);
  for (const key of Object.keys(value)) {
    record[key] = anyText(
      { fn: place.fn, parameter: `${place.parameter}[${JSON.stringify(key)}]` },
      value[key],
    );
  }
  return record;
};

type Options<Spec extends Record<string, Reader<unknown>>> = {
  [Key in keyof Spec]?: ReturnType<Spec[Key]>;
};

/**
 * Reads an options object. An option that is undefined counts as left out.
 * @param fn The function that was called.
 * @param value What the script passed; undefined reads as no options.
 * @param spec A reader for each option there is; any other key is refused.
 */
export function options<Spec extends Record<string, Reader<unknown>>>(
  fn: string,
  value: unknown,
  spec: Spec,
): Options<Spec> {
  const result: Options<Spec> = {};
  if (value === undefined) return result;
  if (!isPlainObject(value)) throw invalid({ fn, parameter: "options" }, "an object", value);
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(spec, key)) throw unknownOption(fn, key, Object.keys(spec));
    if (value[key] === undefined) continue;
    const read = spec[key] as Reader<ReturnType<Spec[string]>>;
    result[key as keyof Spec] = read({ fn, parameter: `option "${key}"` }, value[key]);
  }
  return result;
}

function unknownOption(fn: string, key: string, known: readonly string[]): SpacesError {
  const meant = nearest(key, known);
  return new SpacesError("INVALID_INPUT", `${fn}() has no option ${JSON.stringify(key)}.`, {
    suggestion:
      meant === undefined
        ? `The options of ${fn}() are: ${known.join(", ")}.`
        : `Did you mean "${meant}"?`,
    details: { function: fn, parameter: key },
  });
}

/** Refuses arguments beyond those that a function takes. */
export function noMore(fn: string, rest: readonly unknown[]): void {
  if (rest.some((value) => value !== undefined)) {
    throw new SpacesError("INVALID_INPUT", `${fn}() was given too many arguments.`, {
      suggestion: "Give options either by position or as one object, not both.",
      details: { function: fn },
    });
  }
}

/** Reads a value that may be left out. */
export function optional<T>(read: Reader<T>, place: Place, value: unknown): T | undefined {
  return value === undefined ? undefined : read(place, value);
}
