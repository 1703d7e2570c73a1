/*---
description: What the maintenance jobs share - which spaces they are for, and how they report
kind: lib
---*/
import { args, exit, input } from "runtime";
import spaces, { type SpaceInfo } from "spaces";

/** Which spaces a job is for; all of them where nothing is said. */
export interface Selection {
  /** Names of spaces. */
  only?: string[];
  /** Labels that they must all have, such as `team=web`. */
  label?: string[];
}

export type Row = Record<string, string | number | boolean>;

/** Ends the script as one that was called wrongly. */
export function refuse(problem: string): never {
  console.error(problem);
  exit(2);
}

/**
 * What the script was given, for what it declares: without a command line that knows declarations
 * the defaults still hold.
 */
export function inputs<T extends object>(defaults: T): T {
  const given = typeof input === "object" && input !== null ? input : {};
  return { ...defaults, ...given };
}

/**
 * A number that is given either by its name or, as the first argument, by its place.
 * @param unit for the complaint where it is none
 */
export function numberGiven(named: number, unit: string, usage: string): number {
  const [given] = args;
  const value = given === undefined ? named : Number(given);
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  refuse(`"${given ?? named}" is not a number of ${unit}. Usage: ${usage}`);
}

/** The spaces that a job is for, ordered by name. */
export function selected({ only = [], label = [] }: Selection, status?: string): SpaceInfo[] {
  const found = spaces.list({
    metadata: labels(label),
    ...(status === undefined ? {} : { status }),
  });
  const known = new Set(spaces.list().map(({ name }) => name));
  const missing = only.find((name) => !known.has(name));
  if (missing !== undefined) refuse(`There is no space "${missing}".`);
  return found
    .filter(({ name }) => only.length === 0 || only.includes(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function labels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) refuse(`"${text}" is no label. Write it as key=value.`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** What went wrong, on one line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown } | null)?.code;
  const [line = ""] = text.split("\n");
  return typeof code === "string" ? `${code}: ${line}` : line;
}

/** Prints rows as a table: the columns are the keys of the first row. */
export function printTable(rows: readonly Row[]): void {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const lines = [
    columns.map((column) => column.toUpperCase().replaceAll("_", " ")),
    ...rows.map((row) => columns.map((column) => cell(row[column]))),
  ];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  for (const line of lines) {
    console.log(
      line
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** Names come from spaces: what would move the cursor is shown, not done. */
function cell(value: string | number | boolean | undefined): string {
  const text = typeof value === "boolean" ? (value ? "yes" : "no") : String(value ?? "");
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/** A number of things, such as `2 spaces`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/** Bytes as people write them. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
