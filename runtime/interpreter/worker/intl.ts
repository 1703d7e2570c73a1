/** Runs the formatters of Node's `Intl` for the guest's thin classes of the same names. */

interface IntlCall {
  readonly kind: string;
  readonly locales?: string | string[];
  readonly options?: Record<string, unknown>;
  readonly method: string;
  readonly args: readonly Passed[];
}

/** An argument in the form that the guest passes it in. */
type Passed = { number?: string; text?: string; time?: number; list?: string[] } | null | undefined;

type Formatter = Record<string, (...args: unknown[]) => unknown>;

const KINDS = new Map<string, new (locales?: string | string[], options?: object) => unknown>([
  ["NumberFormat", Intl.NumberFormat],
  ["DateTimeFormat", Intl.DateTimeFormat],
  ["PluralRules", Intl.PluralRules],
  ["ListFormat", Intl.ListFormat],
  [
    "RelativeTimeFormat",
    Intl.RelativeTimeFormat as new (locales?: string | string[], options?: object) => unknown,
  ],
  ["Collator", Intl.Collator],
]);
const METHODS = ["format", "formatToParts", "formatRange", "select", "compare", "resolvedOptions"];
const DATE_METHODS = ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"];

/** Making a formatter costs far more than using it. */
const made = new Map<string, Formatter>();
const KEPT = 50;

function formatter({ kind, locales, options }: IntlCall): Formatter {
  const key = JSON.stringify([kind, locales, options]);
  let found = made.get(key);
  if (found === undefined) {
    const Kind = KINDS.get(kind);
    if (Kind === undefined) throw new TypeError(`There is no Intl.${kind}.`);
    found = new Kind(locales, options) as Formatter;
    if (made.size >= KEPT) made.clear();
    made.set(key, found);
  }
  return found;
}

function unpack(kind: string, value: Passed): unknown {
  if (value === null || value === undefined) return undefined;
  if (value.time !== undefined) return new Date(value.time);
  if (value.list !== undefined) return value.list;
  if (value.number === undefined) return value.text;
  // Only number formats read decimal text exactly; the others want a number.
  return kind === "NumberFormat" ? value.number : Number(value.number);
}

/** Carries out one call of the guest. Throws the RangeError or TypeError that Node throws. */
export function callIntl(input: unknown): unknown {
  const call = input as IntlCall;
  const args = call.args.map((value) => unpack(call.kind, value));
  if (call.method === "supportedLocalesOf") {
    return Intl.NumberFormat.supportedLocalesOf(call.locales ?? []);
  }
  if (DATE_METHODS.includes(call.method)) {
    const date = args[0] as Date;
    return date[call.method as "toLocaleString"](call.locales, call.options);
  }
  if (!METHODS.includes(call.method)) throw new TypeError(`There is no method ${call.method}.`);
  const target = formatter(call);
  const method = target[call.method];
  if (typeof method !== "function") throw new TypeError(`There is no method ${call.method}.`);
  return method.apply(target, args);
}
