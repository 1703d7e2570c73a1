/**
 * The interpreter of this process, made once. `main.ts` starts it ahead of the command line's own
 * code, for the sandbox's thread takes longer to be ready; `run-script.ts` uses it.
 */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Interpreter } from "../runtime/interpreter/types.js";

let interpreter: Promise<Interpreter> | undefined;

/** Starts the interpreter at the first call, and gives the same one from then on. */
export function startInterpreter(): Promise<Interpreter> {
  if (interpreter === undefined) {
    interpreter = load();
    // Who asks for the interpreter meets the failure; a command that needs none has none.
    interpreter.catch(() => undefined);
  }
  return interpreter;
}

async function load(): Promise<Interpreter> {
  const { createInterpreter } = await import("../runtime/interpreter/interpreter.js");
  return createInterpreter({ oneShot: true, cacheDir: cacheDirectory() });
}

/** Where stripped TypeScript is kept between runs. */
function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base && isAbsolute(base) ? base : join(homedir(), ".cache"), "spaces");
}
