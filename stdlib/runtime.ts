/**
 * The module `runtime`: what a script was started with (arguments, input, environment), and how it
 * waits and ends. Scripts import it by name.
 */
import { native, SpacesError, script } from "spaces:host";
import { milliseconds } from "./arguments.js";
import { createModule } from "./module.js";

declare function setTimeout(callback: () => void, ms: number): unknown;

/** Arguments of the script, after its own name. */
export const args = script.args;

/** The JSON input that the script was started with; undefined where there was none. */
export const input = script.input;

const PROBED = new Set(["then", "toJSON", "constructor", "toString", "valueOf"]);

/** The opened part of the environment. Reading a variable that is not opened throws. */
export const env: Readonly<Record<string, string>> = new Proxy(script.env, {
  get(variables, key) {
    if (typeof key === "symbol") return undefined;
    if (Object.hasOwn(variables, key)) return variables[key];
    // Looked up by the language itself when the object is shown, awaited or made into text.
    if (PROBED.has(key)) return Reflect.get(Object.prototype, key);
    throw new SpacesError(
      "PERMISSION_DENIED",
      `The environment variable "${key}" is not set, or not opened to this script.`,
      {
        suggestion: `Run the script with --allow-env ${key}, or ask for it with "${key}" in env first.`,
        details: { variable: key },
      },
    );
  },
  has: (variables, key) => Object.hasOwn(variables, key),
  set(_variables, key) {
    throw new TypeError(`env.${String(key)} cannot be changed: the environment is read-only.`);
  },
});

/** As a timeout, but zero is fine: it only gives way. */
function pause(fn: string, seconds: unknown): number {
  return seconds === 0 ? 0 : milliseconds({ fn, parameter: "time" }, seconds);
}

/** Blocks for a number of seconds; fractions count. Timers and promises rest meanwhile. */
export function sleep(seconds: unknown): void {
  native("sleep", { ms: pause("sleep", seconds) });
}

/** A promise that resolves after a number of seconds, while other work goes on. */
export async function sleep_async(seconds: unknown): Promise<void> {
  const ms = pause("sleep_async", seconds);
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
}

/** Ends the script at once with an exit code from 0 to 255. `finally` blocks do not run. */
export function exit(code: unknown = 0): never {
  if (typeof code !== "number" || !Number.isInteger(code) || code < 0 || code > 255) {
    throw new SpacesError("INVALID_INPUT", "exit() requires a whole number from 0 to 255.", {
      suggestion: "Pass 0 for success, or another number for failure.",
    });
  }
  native("exit", { code });
  throw new SpacesError("INTERNAL", "The script went on after exit().");
}

const runtime = createModule("runtime", { args, env, input, sleep, sleep_async, exit });

export default runtime;
export const { sleepAsync } = runtime;
