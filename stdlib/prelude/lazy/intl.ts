/**
 * The part of `Intl` that scripts use to show numbers, dates and lists, over the worker's own
 * `Intl`, and `toLocaleString` with it.
 */
import type { GroupHost } from "../globals.js";

/** What each formatter can do. */
const KINDS = {
  NumberFormat: ["format", "formatToParts"],
  DateTimeFormat: ["format", "formatToParts", "formatRange"],
  PluralRules: ["select"],
  ListFormat: ["format", "formatToParts"],
  RelativeTimeFormat: ["format", "formatToParts"],
  Collator: ["compare"],
} as const;

/** Numbers cross as text, so that NaN, -0 and bigints arrive as what they are. */
function pass(value: unknown): unknown {
  if (value instanceof Date) {
    const time = value.getTime();
    if (Number.isNaN(time)) throw new RangeError("Invalid time value");
    return { time };
  }
  if (typeof value === "number" || typeof value === "bigint") {
    return { number: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (typeof value === "object" && value !== null && Symbol.iterator in value) {
    return { list: Array.from(value as Iterable<unknown>, String) };
  }
  return value === undefined ? undefined : { text: String(value) };
}

export default function makeIntl({ native }: GroupHost) {
  const formatters: Record<string, unknown> = {};

  const ask = (kind: string, locales: unknown, options: unknown, method: string, args: unknown[]) =>
    native("intl", { kind, locales, options, method, args: args.map(pass) });

  for (const [kind, methods] of Object.entries(KINDS)) {
    const Formatter = class {
      readonly #locales: unknown;
      readonly #options: unknown;

      constructor(locales?: unknown, options?: unknown) {
        this.#locales = locales;
        this.#options = options;
        // A wrong locale or option is reported here, not at the first use.
        ask(kind, locales, options, "resolvedOptions", []);
        for (const method of methods) {
          const bound = (...args: unknown[]) => {
            const now = kind === "DateTimeFormat" && args[0] === undefined;
            return ask(kind, locales, options, method, now ? [new Date()] : args);
          };
          Object.defineProperty(this, method, { value: bound, configurable: true });
        }
      }

      resolvedOptions() {
        return ask(kind, this.#locales, this.#options, "resolvedOptions", []);
      }

      static supportedLocalesOf(locales: unknown) {
        return ask(kind, locales, undefined, "supportedLocalesOf", []);
      }

      get [Symbol.toStringTag]() {
        return `Intl.${kind}`;
      }
    };
    Object.defineProperty(Formatter, "name", { value: kind });
    formatters[kind] = Formatter;
  }

  const date = (locales: unknown, options: unknown, value: Date, required: string) =>
    Number.isNaN(value.getTime())
      ? "Invalid Date"
      : ask("DateTimeFormat", locales, options, required, [value]);

  return {
    Intl: formatters,
    "Number.toLocaleString"(this: unknown, locales?: unknown, options?: unknown) {
      return ask("NumberFormat", locales, options, "format", [(this as number).valueOf()]);
    },
    "Date.toLocaleString"(this: Date, locales?: unknown, options?: unknown) {
      return date(locales, options, this, "toLocaleString");
    },
    "Date.toLocaleDateString"(this: Date, locales?: unknown, options?: unknown) {
      return date(locales, options, this, "toLocaleDateString");
    },
    "Date.toLocaleTimeString"(this: Date, locales?: unknown, options?: unknown) {
      return date(locales, options, this, "toLocaleTimeString");
    },
  };
}
