/**
 * `SpacesError` as scripts see it, and the description of an uncaught error for the host. What was
 * thrown is hostile: every property may be a getter that throws or lies.
 */
import { BaseError, slice, stringify, toText } from "./primordials.js";

interface SpacesErrorOptions {
  readonly suggestion?: string;
  readonly details?: Record<string, unknown>;
  readonly status?: number;
  readonly cause?: unknown;
}

/** An error of the registry: its `code` is stable, its `suggestion` says what to do. */
export class SpacesError extends BaseError {
  readonly #own = true;
  readonly code: string;
  readonly status: number;
  readonly suggestion: string;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, options: SpacesErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? 500;
    this.suggestion = options.suggestion ?? "";
    this.details = options.details ?? {};
  }

  static isOwn(value: object): value is SpacesError {
    return #own in value && value.#own;
  }
}
Object.defineProperty(SpacesError, "name", { value: "SpacesError" });
Object.defineProperty(SpacesError.prototype, "name", {
  value: "SpacesError",
  writable: true,
  configurable: true,
});

const MESSAGE_LENGTH = 16_384;
const DETAILS_LENGTH = 262_144;
const DEPTH = 4;
const AGGREGATED = 10;

function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? slice(value, 0, MESSAGE_LENGTH) : undefined;
}

/** A thrown value that is no error, in words. */
function showValue(value: unknown): string {
  if (typeof value === "string") {
    return slice(value, 0, MESSAGE_LENGTH);
  }
  if (typeof value === "function") {
    return "a function";
  }
  if (typeof value !== "object" || value === null) {
    return toText(value);
  }
  try {
    return slice(stringify(value) ?? "an object", 0, MESSAGE_LENGTH);
  } catch {
    return "an object that cannot be shown";
  }
}

/** A member of a JSON object, or nothing for what is undefined. */
function member(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${stringify(value)}`;
}

interface Shown {
  readonly name: string;
  readonly message: string;
}

/** Name and message of whatever was thrown. */
function show(value: unknown): Shown {
  const message =
    typeof value === "object" && value !== null ? text(read(value, "message")) : undefined;
  if (typeof value !== "object" || value === null || message === undefined) {
    return { name: "Uncaught", message: showValue(value) };
  }
  return { name: text(read(value, "name")) || "Error", message };
}

function aggregated(value: object): string {
  const errors = read(value, "errors");
  if (typeof errors !== "object" || errors === null) {
    return "";
  }
  const count = read(errors, "length");
  let lines = "";
  for (let index = 0; typeof count === "number" && index < count && index < AGGREGATED; index++) {
    const part = show(read(errors, `${index}`));
    lines += `\n  [${index + 1}] ${part.name}: ${part.message}`;
  }
  return lines;
}

/** The details as JSON text, unless they are too large to be shown. */
function detailsOf(value: SpacesError): string | undefined {
  try {
    const json = stringify(read(value, "details"));
    return json !== undefined && json.length <= DETAILS_LENGTH ? json : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Put together as text: the engine's `JSON.stringify` of an object runs setters that a script may
 * have put on `Array.prototype`; that of a string runs nothing.
 */
function summary(value: unknown, depth: number): string {
  const { name, message } = show(value);
  if (typeof value !== "object" || value === null) {
    return `{"name":${stringify(name)}${member("message", message)}}`;
  }
  let json = `{"name":${stringify(name)}`;
  json += member("message", message + aggregated(value));
  json += member("stack", text(read(value, "stack")));
  if (SpacesError.isOwn(value)) {
    json += `,"error":{"code":${stringify(text(read(value, "code")) ?? "")}`;
    json += `${member("message", message)}${member("suggestion", text(read(value, "suggestion")))}}`;
    json += member("details", detailsOf(value));
  }
  const cause = read(value, "cause");
  if (cause !== undefined && depth < DEPTH) {
    json += `,"cause":${summary(cause, depth + 1)}`;
  }
  return `${json}}`;
}

/** Describes an uncaught error as JSON. Never throws but for want of memory. */
export function describe(value: unknown): string {
  try {
    return summary(value, 0);
  } catch {
    return '{"name":"Error","message":"The script threw something that cannot be shown."}';
  }
}
