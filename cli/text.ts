/** Lays out text for people: tables, relative times, and text of others made safe to print. */

/** C0 and C1 control characters, and marks that reorder text: they could forge what is shown. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Shows control characters as escapes, so that a name or message cannot drive the terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    character === "\n" || character === "\t"
      ? " "
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** As `printable`, but keeps line breaks and tabs: for messages and stacks of several lines. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    character === "\n" || character === "\t" ? character : printable(character),
  );
}

/** As `printable`, but shows line breaks and tabs too: two names of files never look the same. */
export function printableName(name: string): string {
  return name.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const SIZES = ["KiB", "MiB", "GiB", "TiB"] as const;

/** A number of bytes as people read it, such as `1.5 MiB`. */
export function byteSize(bytes: number): string {
  let size = bytes;
  let unit = "bytes";
  for (const next of SIZES) {
    if (size < 1024) break;
    size /= 1024;
    unit = next;
  }
  return unit === "bytes"
    ? `${bytes} ${bytes === 1 ? "byte" : "bytes"}`
    : `${size.toFixed(1)} ${unit}`;
}

/** Columns that a text takes in a terminal: wide characters take two, combining marks none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}/u.test(character)) continue;
    const code = character.codePointAt(0) ?? 0;
    width += isWide(code) ? 2 : 1;
  }
  return width;
}

function isWide(code: number): boolean {
  return (
    code >= 0x1100 &&
    (code <= 0x115f ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0x1f300 && code <= 0x1faff) ||
      (code >= 0x20000 && code <= 0x3fffd))
  );
}

/**
 * Lays out rows in aligned columns, two blanks apart.
 * @param head the column titles
 * @param rows as many cells in each as titles; control characters are escaped
 * @param title how titles are shown, such as in bold
 * @returns lines with a line break at the end of each
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  title: (text: string) => string = (text) => text,
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = head.map((text, column) =>
    Math.max(displayWidth(text), ...cells.map((row) => displayWidth(row[column] ?? ""))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === row.length - 1
          ? cell
          : cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell))),
      )
      .join("  ")
      .trimEnd();
  return [title(line(head)), ...cells.map(line)].map((text) => `${text}\n`).join("");
}

/**
 * Lays out labelled values, a line each; those without a value are left out.
 * @param values control characters are escaped
 * @param label how labels are shown, such as in bold
 */
export function details(
  values: readonly (readonly [label: string, value: string | undefined])[],
  label: (text: string) => string,
): string {
  const shown = values.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown
    .map(([name, value = ""]) => `${label(`${name}:`.padEnd(width + 1))}  ${printable(value)}\n`)
    .join("");
}

const UNITS: readonly (readonly [string, number])[] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** A point in time as people say it, such as `5 minutes ago`; the text itself when it is no time. */
export function ago(timestamp: string, now: number = Date.now()): string {
  const seconds = Math.round((now - Date.parse(timestamp)) / 1000);
  if (Number.isNaN(seconds)) return timestamp;
  for (const [unit, length] of UNITS) {
    const count = Math.floor(Math.abs(seconds) / length);
    if (count === 0) continue;
    const span = `${count} ${unit}${count === 1 ? "" : "s"}`;
    return seconds > 0 ? `${span} ago` : `in ${span}`;
  }
  return "just now";
}

/** How long something took, as people read it, such as `12 ms`, `1.5 s` or `3 min`. */
export function took(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/**
 * A point in time as the clocks of a time zone show it, such as `Sun 2026-11-22 03:00:00 +01:00`.
 * @param timestamp ISO 8601
 * @param timezone a name of the IANA database
 */
export function inTimezone(timestamp: string, timezone: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: timezone,
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "longOffset",
  }).formatToParts(new Date(timestamp));
  const part = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((each) => each.type === type)?.value ?? "";
  const date = `${part("year")}-${part("month")}-${part("day")}`;
  const time = `${part("hour")}:${part("minute")}:${part("second")}`;
  const offset = part("timeZoneName").replace(/^GMT$/, "+00:00").replace("GMT", "");
  return `${part("weekday")} ${date} ${time} ${offset}`;
}
