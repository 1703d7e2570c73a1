/**
 * Turns what the sandbox says of an uncaught error into a `ScriptError` with the user's own files
 * and positions. The description comes from the guest: every field is checked.
 */
import { isErrorCode, type SerializedError } from "../contract/errors.js";
import type { ScriptError, ScriptPosition } from "./types.js";

/** Sources by the name that they have in stacks. */
export type Sources = ReadonlyMap<string, string>;

/** How positions in stacks are shown: those of a session's inputs are not where they were typed. */
export interface Places {
  /** The position in the source of one in the code that was evaluated; none for what is not in it. */
  readonly original: (position: ScriptPosition) => ScriptPosition | undefined;
  /** What a file is called. */
  readonly label: (file: string) => string;
}

const AS_THEY_ARE: Places = { original: (position) => position, label: (file) => file };
const MAX_DEPTH = 5;
const MAX_FRAMES = 20;
const FRAME_LINES = 2;
const FRAME_WIDTH = 160;

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)
    : undefined;
}

function text(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

interface StackFrame extends ScriptPosition {
  readonly caller: string;
}

/** The frames of a stack that lie in the user's own files; repeated ones (recursion) once. */
function userFrames(stack: string, sources: Sources, places: Places): StackFrame[] {
  const frames: StackFrame[] = [];
  for (const line of stack.split("\n")) {
    const match = /^\s+at (?:(.*) \()?(.+?):(\d+)(?::(\d+))?\)?$/.exec(line);
    const file = match?.[2];
    if (match === null || file === undefined || !sources.has(file)) {
      continue;
    }
    const position = { file, line: Number(match[3]), column: Number(match[4] ?? 1) };
    const original = places.original(position);
    if (original === undefined) {
      continue;
    }
    const frame = { caller: match[1] ?? "", ...original };
    const last = frames.at(-1);
    if (last === undefined || showFrame(last) !== showFrame(frame)) {
      frames.push(frame);
    }
    if (frames.length === MAX_FRAMES) {
      break;
    }
  }
  return frames;
}

function showFrame({ caller, file, line, column }: StackFrame): string {
  const place = `${file}:${line}:${column}`;
  return caller === "" ? `    at ${place}` : `    at ${caller} (${place})`;
}

/** A few lines of source around a position, with a caret under the column. */
export function codeFrame(source: string, position: ScriptPosition): string | undefined {
  const lines = source.split(/\r\n|[\n\r\u2028\u2029]/);
  if (position.line < 1 || position.line > lines.length) {
    return undefined;
  }
  const first = Math.max(1, position.line - FRAME_LINES);
  const last = Math.min(lines.length, position.line + FRAME_LINES);
  const width = String(last).length;
  const shown: string[] = [];
  for (let number = first; number <= last; number += 1) {
    const line = (lines[number - 1] ?? "").slice(0, FRAME_WIDTH);
    const mark = number === position.line ? ">" : " ";
    shown.push(`${mark} ${String(number).padStart(width)} | ${line}`.trimEnd());
    if (number === position.line && position.column <= FRAME_WIDTH) {
      // Tabs stay tabs, so that the caret stands under its column however wide they are shown.
      const indent = line.slice(0, position.column - 1).replace(/[^\t]/g, " ");
      shown.push(`  ${" ".repeat(width)} | ${indent}^`);
    }
  }
  return shown.join("\n");
}

/** An error at a known place, for failures that the guest never saw, such as bad TypeScript. */
export function errorAt(
  name: string,
  message: string,
  position: ScriptPosition,
  source: string,
): ScriptError {
  return {
    name,
    message,
    code: "SCRIPT_FAILED",
    position,
    stack: `${name}: ${message}\n    at ${position.file}:${position.line}:${position.column}`,
    frame: codeFrame(source, position),
  };
}

/** Where a failed import stands: the engine gives such errors no position. */
function importPosition(message: string, sources: Sources): StackFrame[] {
  const match = /^Cannot (?:find module|import) '(.+)' (?:imported )?from (.+?): /.exec(message);
  const file = match?.[2] ?? "";
  const source = sources.get(file);
  const specifier = match?.[1];
  if (source === undefined || specifier === undefined) {
    return [];
  }
  const at = Math.max(source.indexOf(`"${specifier}"`), source.indexOf(`'${specifier}'`));
  if (at < 0) {
    return [];
  }
  const before = source.slice(0, at).split("\n");
  return [{ caller: "", file, line: before.length, column: (before.at(-1) ?? "").length + 1 }];
}

function registryError(wire: unknown, details: unknown): SerializedError | undefined {
  const error = record(wire);
  if (error === undefined || !isErrorCode(error.code)) {
    return undefined;
  }
  return {
    code: error.code,
    message: text(error.message, ""),
    ...(typeof error.suggestion === "string" ? { suggestion: error.suggestion } : {}),
    ...(typeof details === "string" ? { details: record(JSON.parse(details)) ?? {} } : {}),
  };
}

function build(value: unknown, sources: Sources, places: Places, depth: number): ScriptError {
  const wire = record(value) ?? {};
  const name = text(wire.name, "Error");
  const message = text(wire.message, "");
  const stacked = userFrames(text(wire.stack, ""), sources, places);
  const frames = stacked.length > 0 ? stacked : importPosition(message, sources);
  const shown = frames.map((frame) => ({ ...frame, file: places.label(frame.file) }));
  const top = frames[0];
  const source = top === undefined ? undefined : sources.get(top.file);
  const error = registryError(wire.error, wire.details);
  return {
    name,
    message,
    code: "SCRIPT_FAILED",
    ...(error === undefined ? {} : { error }),
    ...(top === undefined || source === undefined
      ? {}
      : {
          position: { file: places.label(top.file), line: top.line, column: top.column },
          stack: [`${name}: ${message}`, ...shown.map(showFrame)].join("\n"),
          frame: codeFrame(source, top),
        }),
    ...(wire.cause === undefined || depth >= MAX_DEPTH
      ? {}
      : { cause: build(wire.cause, sources, places, depth + 1) }),
  };
}

/** Reads the JSON description of an uncaught error. Never throws. */
export function parseScriptError(
  json: string,
  sources: Sources,
  places: Places = AS_THEY_ARE,
): ScriptError {
  try {
    return build(JSON.parse(json), sources, places, 0);
  } catch {
    return { name: "Error", message: "The script failed.", code: "SCRIPT_FAILED" };
  }
}
