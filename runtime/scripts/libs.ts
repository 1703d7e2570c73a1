/**
 * Gives stored scripts the stored libs that they import, by relative paths. The engine and the
 * command line, which runs stored scripts in a sandbox of its own, both resolve them here.
 */
import { SpacesError } from "../contract/errors.js";
import type { Script } from "../contract/scripts.js";
import type { ModuleSource } from "../interpreter/types.js";

/** Finds a script by its name; `global` asks for the global one alone. Fails with `SCRIPT_NOT_FOUND`. */
type FindScript = (
  script: string,
  global: boolean,
) => Promise<Pick<Script, "name" | "kind" | "language" | "global" | "source">>;

/** What global libs are known by, so that one of the caller's own of the same name is another module. */
const GLOBAL = "global/";

const PATH = /^(global\/)?([a-z0-9][a-z0-9-]{0,62})(?:\.(?:js|mjs|ts|mts))?$/;

/**
 * The modules of a stored script. `./util`, `./util.ts` and `./util.js` are one lib: the caller's own
 * of that name, else the global one. What a global script or lib imports is global alone: whoever may
 * not change it cannot put code of theirs into it, nor break it by a lib of the same name.
 */
export function storedLibs({ global }: Pick<Script, "global">, find: FindScript): ModuleSource {
  return async (path) => {
    const [, within, name] = PATH.exec(path) ?? [];
    if (name === undefined) return undefined;
    const lib = await found(find(name, global || within === GLOBAL));
    if (lib === undefined) return undefined;
    if (lib.kind !== "lib") {
      throw new SpacesError("INVALID_INPUT", `"${name}" is no lib, so it cannot be imported.`);
    }
    const ending = lib.language === "typescript" ? "ts" : "js";
    return { path: `${lib.global ? GLOBAL : ""}${name}.${ending}`, source: lib.source };
  };
}

async function found<T>(search: Promise<T>): Promise<T | undefined> {
  try {
    return await search;
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code === "SCRIPT_NOT_FOUND") return undefined;
    throw error;
  }
}

/** What a lib is refused with that was to be run: it is there to be imported. */
export function libIsNotRun(name: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `"${name}" is a lib, which is not run by itself.`, {
    suggestion: "Run a script that imports it.",
  });
}
