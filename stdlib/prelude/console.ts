/**
 * The global `console`. The prelude installs it before any other code runs; what it needs to show
 * anything but plain text is loaded when it is first asked to.
 */

import type { Inspection } from "./lazy/inspect.js";
import { loadLazy } from "./lazy.js";

type Write = (stream: "stdout" | "stderr", text: string) => void;

let loaded: Inspection | undefined;

function inspection(): Inspection {
  loaded ??= loadLazy("inspect") as Inspection;
  return loaded;
}

/** Shown as it is, without a pattern to fill. */
const isPlain = (value: unknown) =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";

function format(values: readonly unknown[]): string {
  const [first] = values;
  const simple =
    values.every((value) => isPlain(value) && !Object.is(value, -0)) &&
    (values.length < 2 || typeof first !== "string" || !first.includes("%"));
  return simple ? values.join(" ") : inspection().format(values);
}

/** Makes a console over a function that takes finished text. */
export function createConsole(write: Write) {
  const counts = new Map<string, number>();
  const timers = new Map<string, number>();
  let indent = "";

  const put = (stream: "stdout" | "stderr", make: () => string) => {
    let text: string;
    try {
      text = make();
    } catch {
      // What is shown may be made to break the showing; the script goes on.
      text = "[Unprintable]";
    }
    write(stream, `${indent}${indent ? text.replaceAll("\n", `\n${indent}`) : text}\n`);
  };
  const printer =
    (stream: "stdout" | "stderr") =>
    (...values: unknown[]) =>
      put(stream, () => format(values));
  const log = printer("stdout");
  const error = printer("stderr");
  const elapsed = (label: string, rest: unknown[]) => {
    const started = timers.get(label);
    if (started === undefined) return error(`No such timer: ${label}`);
    return log(`${label}: ${Date.now() - started}ms`, ...rest);
  };
  const group = (...values: unknown[]) => {
    if (values.length > 0) log(...values);
    indent += "  ";
  };

  return {
    log,
    info: log,
    debug: log,
    error,
    warn: error,
    trace(...values: unknown[]) {
      const stack = new Error().stack?.split("\n").slice(1).join("\n").trimEnd() ?? "";
      put("stderr", () => `Trace: ${format(values)}\n${stack}`.trimEnd());
    },
    dir(value: unknown, options?: { depth?: number | null }) {
      const depth = options?.depth;
      put("stdout", () =>
        inspection().inspect(value, { depth: depth === null ? 100 : (depth ?? 2) }),
      );
    },
    table(data: unknown, columns?: unknown) {
      if (typeof data !== "object" || data === null) return log(data);
      return put("stdout", () => inspection().tableText(data, columns));
    },
    assert(condition: unknown, ...values: unknown[]) {
      if (condition) return;
      if (typeof values[0] === "string")
        error(`Assertion failed: ${values[0]}`, ...values.slice(1));
      else error("Assertion failed", ...values);
    },
    count(label: unknown = "default") {
      const key = String(label);
      const next = (counts.get(key) ?? 0) + 1;
      counts.set(key, next);
      log(`${key}: ${next}`);
    },
    countReset(label: unknown = "default") {
      counts.delete(String(label));
    },
    time(label: unknown = "default") {
      timers.set(String(label), Date.now());
    },
    timeLog(label: unknown = "default", ...rest: unknown[]) {
      elapsed(String(label), rest);
    },
    timeEnd(label: unknown = "default") {
      elapsed(String(label), []);
      timers.delete(String(label));
    },
    group,
    groupCollapsed: group,
    groupEnd() {
      indent = indent.slice(2);
    },
  };
}

/**
 * Defines the global `console`.
 * @param write Takes each finished piece of output, with its newline.
 */
export function installConsole(write: Write): void {
  Object.defineProperty(globalThis, "console", {
    value: createConsole(write),
    writable: true,
    configurable: true,
  });
}
