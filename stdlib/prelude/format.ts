/**
 * What the console does with more than plain text: patterns such as `%s`, values, and tables.
 * Loaded with `inspect.ts` when a script first prints something else than strings and numbers.
 */
import { inspect } from "./inspect.js";

/** Fills `%s`, `%d` and the like from the values behind, which it takes away from the list. */
function fill(pattern: string, values: unknown[]): string {
  return pattern.replace(/%[sdifjoOc%]/g, (mark) => {
    if (mark === "%%") return "%";
    if (values.length === 0) return mark;
    const value = values.shift();
    if (mark === "%c") return "";
    if (mark === "%o" || mark === "%O") return inspect(value, { depth: 4 });
    if (mark === "%s") {
      return typeof value === "object" || typeof value === "function"
        ? inspect(value, { depth: 0 })
        : typeof value === "bigint"
          ? `${value}n`
          : Object.is(value, -0)
            ? "-0"
            : String(value);
    }
    if (mark === "%j") {
      try {
        return JSON.stringify(value) ?? "undefined";
      } catch {
        // As in Node: a circle is named, anything else is left to the reader.
        return "[Circular]";
      }
    }
    if (typeof value === "symbol" || (typeof value === "object" && value !== null)) return "NaN";
    if (typeof value === "bigint") return `${value}n`;
    const number =
      mark === "%d"
        ? Number(value)
        : mark === "%i"
          ? Number.parseInt(String(value), 10)
          : Number.parseFloat(String(value));
    return Object.is(number, -0) ? "-0" : String(number);
  });
}

/** The arguments of `console.log` as one text. */
export function format(values: readonly unknown[]): string {
  const rest = [...values];
  const parts: string[] = [];
  if (typeof rest[0] === "string") {
    const first = rest.shift() as string;
    parts.push(rest.length > 0 ? fill(first, rest) : first);
  }
  for (const value of rest) parts.push(typeof value === "string" ? value : inspect(value));
  return parts.join(" ");
}

/** A list of records as a table with lines around its cells. */
export function tableText(data: object, wanted: unknown): string {
  const index = "(index)";
  const values = "Values";
  const columns: string[] = [];
  const list: [string, unknown][] =
    data instanceof Map || data instanceof Set
      ? [...data].map((item, n) => [String(n), item])
      : Object.entries(data);
  const rows = list.slice(0, 1000).map(([name, item]) => {
    const cells = new Map([[index, name]]);
    if (typeof item !== "object" || item === null) return cells.set(values, inspect(item));
    for (const key of Object.keys(item)) {
      if (Array.isArray(wanted) && !wanted.includes(key)) continue;
      const cell: unknown = Object.getOwnPropertyDescriptor(item, key)?.value;
      cells.set(key, inspect(cell, { depth: 0 }));
      if (!columns.includes(key)) columns.push(key);
    }
    return cells;
  });
  const heads = [index, ...columns, ...(rows.some((row) => row.has(values)) ? [values] : [])];
  const widths = heads.map((head) =>
    rows.reduce((widest, row) => Math.max(widest, row.get(head)?.length ?? 0), head.length),
  );
  const rule = (left: string, middle: string, right: string) =>
    left + widths.map((width) => "─".repeat(width + 2)).join(middle) + right;
  const line = (texts: string[]) =>
    `│${texts.map((text, n) => ` ${text.padEnd(widths[n] ?? 0)} `).join("│")}│`;
  return [
    rule("┌", "┬", "┐"),
    line(heads),
    rule("├", "┼", "┤"),
    ...rows.map((row) => line(heads.map((head) => row.get(head) ?? ""))),
    rule("└", "┴", "┘"),
  ].join("\n");
}
