/**
 * Values as text, in the manner people know from Node. The console uses it for everything that is
 * no plain string. It runs no getters, and survives objects made to break it.
 */

interface Printer {
  /** Objects being printed now, from the outside in: finds circles. */
  readonly path: object[];
  /** Objects that something inside of them refers back to; their place is their number. */
  readonly circles: object[];
  readonly depth: number;
  indent: number;
  /** Nesting level of the object printed last: deep trees are spread over lines. */
  level: number;
  /** How many more entries may be printed in all. */
  budget: number;
  readonly colors: boolean;
}

/** The terminal's codes that begin and end the colour of a kind of value. */
const COLORS = {
  text: [32, 39],
  number: [33, 39],
  nothing: [90, 39],
  special: [36, 39],
  date: [35, 39],
  pattern: [31, 39],
} as const;

type Color = keyof typeof COLORS;

function paint(printer: Printer, color: Color | undefined, text: string): string {
  if (!printer.colors || color === undefined) return text;
  const [begin, end] = COLORS[color];
  return `\u001b[${begin}m${text}\u001b[${end}m`;
}

/** A text without the codes of its colours, which take no room. */
function plain(text: string): string {
  return text.replace(/\u001b\[\d+m/g, "");
}

const WIDTH = 76;
const MAX_ITEMS = 100;
const MAX_TEXT = 10_000;
const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const TypedArray = Object.getPrototypeOf(Uint8Array) as new () => Uint8Array;

const more = (count: number, what: string) => `... ${count} more ${what}${count === 1 ? "" : "s"}`;

function quote(text: string): string {
  const mark = ["'", '"', "`"].find((candidate) => !text.includes(candidate)) ?? "'";
  const cut = text.length - MAX_TEXT;
  const escaped = JSON.stringify(cut > 0 ? text.slice(0, MAX_TEXT) : text)
    .slice(1, -1)
    .replaceAll('\\"', '"');
  return (
    mark +
    (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) +
    mark +
    (cut > 0 ? more(cut, "character") : "")
  );
}

function keyText(key: string | symbol): string {
  if (typeof key === "symbol") return `[${String(key)}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key);
}

/** Finds a data property along the prototypes without running anything of the object's. */
function peek(object: object, key: string | symbol): unknown {
  let at: object | null = object;
  for (let steps = 0; at !== null && steps < 50; steps++) {
    const found = Object.getOwnPropertyDescriptor(at, key);
    if (found) return found.value;
    at = Object.getPrototypeOf(at) as object | null;
  }
  return undefined;
}

function className(object: object): string | undefined {
  let at = Object.getPrototypeOf(object) as object | null;
  for (let steps = 0; at !== null && steps < 50; steps++) {
    const maker: unknown = Object.getOwnPropertyDescriptor(at, "constructor")?.value;
    if (typeof maker === "function") {
      const name = peek(maker, "name");
      if (typeof name === "string" && name !== "") return name;
    }
    at = Object.getPrototypeOf(at) as object | null;
  }
  return undefined;
}

/** `Foo `, `Foo(2) `, `Object [Tag] `, or nothing for what braces alone say. */
function label(object: object, plain: string, size?: number): string {
  const name = className(object);
  const counted = size === undefined ? "" : `(${size})`;
  const tag = peek(object, Symbol.toStringTag);
  const tagged = typeof tag === "string" && tag !== "" && tag !== name ? `[${tag}] ` : "";
  if (name === undefined) return `[${plain}${counted}: null prototype] ${tagged}`;
  return name === plain && tagged === "" && plain !== "Map" && plain !== "Set"
    ? ""
    : `${name}${counted} ${tagged}`;
}

function functionText(value: object): string {
  const source = Function.prototype.toString.call(value);
  const named = peek(value, "name");
  const name = typeof named === "string" && named !== "" ? named : undefined;
  if (/^class\b/.test(source)) {
    const parent: unknown = Object.getPrototypeOf(value);
    const base = typeof parent === "function" ? peek(parent, "name") : "";
    return `[class ${name ?? "(anonymous)"}${base ? ` extends ${String(base)}` : ""}]`;
  }
  const kind = className(value) ?? "Function";
  return `[${kind}${name === undefined ? " (anonymous)" : `: ${name}`}]`;
}

function errorText(error: Error, indent: number): string {
  const name = peek(error, "name");
  const message = peek(error, "message");
  const kind = className(error) ?? "Error";
  const named = typeof name === "string" && name !== "Error" && name !== kind;
  // A name given by hand says more than the class, whose name the build may have shortened.
  const title = [named ? (kind === "DOMException" ? `${kind} [${name}]` : name) : kind, message]
    .filter((part) => typeof part === "string" && part !== "")
    .join(": ");
  const stack = peek(error, "stack");
  if (typeof stack !== "string" || stack.trim() === "") return `[${title}]`;
  // Frames of the standard library say nothing about the script.
  const lines = stack
    .trimEnd()
    .split("\n")
    .filter((line) => !line.includes(" (spaces:"));
  // QuickJS leaves the title out of the stack.
  if (lines[0] === undefined || /^\s+at /.test(lines[0])) lines.unshift(title);
  return lines.join(`\n${" ".repeat(indent)}`);
}

function property(printer: Printer, object: object, key: string | symbol, level: number): string {
  const descriptor = Object.getOwnPropertyDescriptor(object, key);
  if (descriptor?.get) {
    return paint(printer, "special", descriptor.set ? "[Getter/Setter]" : "[Getter]");
  }
  if (descriptor?.set) return paint(printer, "special", "[Setter]");
  return print(printer, descriptor?.value, level + 1);
}

/** Prints up to 100 of the items, then how many were left out. */
function items<Item>(
  printer: Printer,
  all: Iterable<Item>,
  size: number,
  show: (item: Item) => string,
): string[] {
  const parts: string[] = [];
  for (const item of all) {
    if (parts.length === MAX_ITEMS || printer.budget-- <= 0) {
      parts.push(more(size - parts.length, "item"));
      break;
    }
    parts.push(show(item));
  }
  return parts;
}

function arrayItems(printer: Printer, array: readonly unknown[], level: number): string[] {
  const parts: string[] = [];
  let index = 0;
  while (index < array.length && parts.length < MAX_ITEMS && printer.budget-- > 0) {
    if (Object.hasOwn(array, index)) {
      parts.push(property(printer, array, String(index++), level));
      continue;
    }
    const from = index;
    const keys = Object.keys(array);
    const next = keys.find((key) => Number(key) > from);
    index = next === undefined ? array.length : Math.min(Number(next), array.length);
    parts.push(`<${index - from} empty item${index - from === 1 ? "" : "s"}>`);
  }
  if (index < array.length) parts.push(more(array.length - index, "item"));
  return parts;
}

/** The inside of an object: what is special to its kind, then its own properties. */
function describe(printer: Printer, object: object, level: number) {
  let base = "";
  let open = "{";
  let parts: string[] = [];
  let skip = /^$/;
  let color: Color | undefined;
  const show = (value: unknown) => print(printer, value, level + 1);

  if (Array.isArray(object)) {
    base = label(object, "Array", object.length);
    open = "[";
    skip = /^\d+$/;
    parts = arrayItems(printer, object, level);
  } else if (object instanceof TypedArray) {
    base = label(object, "TypedArray", object.length);
    open = "[";
    skip = /^\d+$/;
    parts = items(printer, object, object.length, show);
  } else if (object instanceof Map) {
    base = label(object, "Map", object.size);
    parts = items(
      printer,
      Map.prototype.entries.call(object),
      object.size,
      ([key, value]) => `${show(key)} => ${show(value)}`,
    );
  } else if (object instanceof Set) {
    base = label(object, "Set", object.size);
    parts = items(printer, Set.prototype.values.call(object), object.size, show);
  } else if (typeof object === "function") {
    base = `${functionText(object)} `;
    color = "special";
    skip = /^(length|name|prototype)$/;
  } else if (object instanceof Error) {
    base = `${errorText(object, printer.indent - 2)} `;
    skip = /^(stack|message|name)$/;
  } else if (object instanceof Date) {
    const time = Date.prototype.getTime.call(object);
    base = Number.isNaN(time) ? "Invalid Date " : `${new Date(time).toISOString()} `;
    color = "date";
  } else if (object instanceof RegExp) {
    base = `${RegExp.prototype.toString.call(object)} `;
    color = "pattern";
  } else if (object instanceof ArrayBuffer) {
    base = "ArrayBuffer ";
    parts = [`byteLength: ${object.byteLength}`];
  } else if (object instanceof WeakMap || object instanceof WeakSet) {
    base = label(object, "Object");
    parts = ["<items unknown>"];
  } else if (
    object instanceof Number ||
    object instanceof String ||
    object instanceof Boolean ||
    object instanceof Symbol ||
    object instanceof BigInt
  ) {
    base = `[${className(object)}: ${print(printer, object.valueOf(), level)}] `;
    skip = /^(\d+|length)$/;
  } else {
    base = label(object, "Object");
  }
  const alone = base !== "" && !/^[\w$]*(\(\d+\))? (\[.*\] )?$|null prototype\] $/.test(base);

  for (const key of Reflect.ownKeys(object)) {
    const hidden = !Object.prototype.propertyIsEnumerable.call(object, key);
    const cause = object instanceof Error && (key === "cause" || key === "errors");
    if ((hidden && !cause) || (typeof key === "string" && skip.test(key))) continue;
    if (printer.budget-- <= 0) {
      parts.push("...");
      break;
    }
    const name = hidden ? `[${String(key)}]` : keyText(key);
    parts.push(`${name}: ${property(printer, object, key, level)}`);
  }
  return { base: color ? `${paint(printer, color, base.trimEnd())} ` : base, open, parts, alone };
}

/** Numbers and other short items of a long array in columns. */
function columns(parts: string[], indent: number): string[] {
  const tail = parts.at(-1)?.startsWith("... ") ? parts.slice(-1) : [];
  const cells = parts.slice(0, parts.length - tail.length);
  const widths = cells.map((cell) => plain(cell).length);
  const width = Math.max(...widths) + 2;
  const perLine = Math.min(
    16,
    Math.floor((WIDTH - indent) / width),
    Math.ceil(Math.sqrt(cells.length * 2.5)),
  );
  if (width > 20 || perLine < 2 || cells.some((cell) => cell.includes("\n"))) return parts;
  const numeric = cells.every((cell) => /^-?[\d.]+n?$/.test(plain(cell)));
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += perLine) {
    const row = cells.slice(at, at + perLine);
    const blanks = (n: number) => " ".repeat(width - 2 - (widths[at + n] ?? 0));
    lines.push(
      numeric
        ? row.map((cell, n) => blanks(n) + cell).join(", ")
        : row.map((cell, n) => (n === row.length - 1 ? cell : `${cell},${blanks(n)} `)).join(""),
    );
  }
  return [...lines, ...tail];
}

/** Nothing would be hidden by printing it in full: `{}` or `[]`. */
function isEmpty(object: object): boolean {
  const kind = Object.prototype.toString.call(object);
  if (kind === "[object Array]") return (object as unknown[]).length === 0;
  return kind === "[object Object]" && Object.keys(object).length === 0;
}

function printObject(printer: Printer, object: object, level: number): string {
  if (printer.path.includes(object)) {
    if (!printer.circles.includes(object)) printer.circles.push(object);
    return paint(printer, "special", `[Circular *${printer.circles.indexOf(object) + 1}]`);
  }
  const custom = peek(object, CUSTOM);
  if (typeof custom === "function") {
    const shown: unknown = custom.call(object, printer.depth - level, {}, inspect);
    if (shown !== object) return typeof shown === "string" ? shown : print(printer, shown, level);
  }
  const simple = object instanceof Error || typeof object === "function";
  const shallow = simple || object instanceof Date || object instanceof RegExp;
  if (level > printer.depth && !shallow && !isEmpty(object)) {
    const kind = Array.isArray(object) ? "Array" : className(object);
    return paint(printer, "special", `[${kind ?? "Object: null prototype"}]`);
  }
  printer.path.push(object);
  if (!isEmpty(object)) printer.level = level;
  printer.indent += 2;
  const { base, open, parts, alone } = describe(printer, object, level);
  printer.indent -= 2;
  printer.path.pop();

  const reference = printer.circles.indexOf(object);
  const start = `${reference < 0 ? "" : `<ref *${reference + 1}> `}${base}`;
  const close = open === "[" ? "]" : "}";
  if (parts.length === 0) return alone ? start.trimEnd() : `${start}${open}${close}`;
  const rows = open === "[" && parts.length > 6 ? columns(parts, printer.indent) : parts;
  const joined = parts.join(", ");
  const fits =
    printer.level - level < 3 &&
    plain(joined).length + parts.length + plain(start).length + printer.indent < WIDTH;
  if (rows === parts && fits && !joined.includes("\n") && !start.includes("\n")) {
    return `${start}${open} ${joined} ${close}`;
  }
  const edge = `\n${" ".repeat(printer.indent)}`;
  return `${start}${open}${edge}  ${rows.join(`,${edge}  `)}${edge}${close}`;
}

function print(printer: Printer, value: unknown, level: number): string {
  if (typeof value === "string") return paint(printer, "text", quote(value));
  if (typeof value === "bigint") return paint(printer, "number", `${value}n`);
  if (Object.is(value, -0)) return paint(printer, "number", "-0");
  if (value === undefined) return paint(printer, "nothing", "undefined");
  if (typeof value === "symbol") return paint(printer, "text", String(value));
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return paint(printer, value === null ? undefined : "number", String(value));
  }
  const { indent } = printer;
  const inside = printer.path.length;
  try {
    return printObject(printer, value, level);
  } catch {
    // A trap or an exotic object threw: its text is no reason for the script to fail.
    printer.path.length = inside;
    printer.indent = indent;
    return "[Unprintable]";
  }
}

/**
 * A value as text.
 * @param value Anything. Strings come in quotes.
 * @param options `depth`: levels of nesting shown, 2 by default; `indent`: column of continuation
 *   lines; `colors`: with the codes that colour it at a terminal.
 */
export function inspect(
  value: unknown,
  options: { readonly depth?: number; readonly indent?: number; readonly colors?: boolean } = {},
): string {
  const { depth = 2, indent = 0, colors = false } = options;
  const printer = { path: [], circles: [], depth, indent, level: 0, budget: 20_000, colors };
  return print(printer, value, 0);
}
