/** Reads the files that a script imports by relative path; answers the worker's `module` messages. */
import { SpacesError } from "../contract/errors.js";
import { MAX_MODULES } from "./limits.js";
import { checkSource, type SourceLoader } from "./source.js";
import type { ModuleSource, ScriptRequest } from "./types.js";

/** `[0, {text}]` or `[0, {error}]`: a module that cannot be read is an error in the script. */
function failed(error: string): string {
  return JSON.stringify([0, { error }]);
}

type ModuleRequest = Pick<ScriptRequest, "filename" | "moduleSource">;

export class ModuleReader {
  readonly #request: ModuleRequest;
  readonly #loader: SourceLoader;
  readonly #sourceBytes: number;
  readonly #root: string;
  #count = 0;
  /** Sources as the user wrote them, by their name in stacks. */
  readonly sources = new Map<string, string>();

  constructor(request: ModuleRequest, loader: SourceLoader, sourceBytes: number) {
    this.#request = request;
    this.#loader = loader;
    this.#sourceBytes = sourceBytes;
    this.#root = request.filename.slice(0, request.filename.lastIndexOf("/") + 1);
  }

  /** Gives the JSON of the answer. Never rejects. */
  async answer(path: string): Promise<string> {
    if (!isConfined(path)) {
      return failed(`Cannot import '${path}': it lies outside of the script's directory.`);
    }
    this.#count += 1;
    if (this.#count > MAX_MODULES) {
      return failed(`A script can import ${MAX_MODULES} modules.`);
    }
    let found: Awaited<ReturnType<ModuleSource>>;
    try {
      found = await this.#request.moduleSource?.(path);
    } catch (error) {
      // Any other reason is the host's own; the script learns only that it cannot have the module.
      const reason = SpacesError.isInstance(error) ? error.message : "It could not be read.";
      return failed(`Cannot import '${path}': ${reason}`);
    }
    if (found === undefined) {
      return JSON.stringify([0, {}]);
    }
    const { path: known, source } = typeof found === "string" ? { path, source: found } : found;
    const name = this.#root + known;
    const problem = checkSource(source, this.#sourceBytes);
    if (problem !== undefined) {
      return failed(`The module '${path}' ${problem}`);
    }
    this.sources.set(name, source);
    const loaded = await this.#loader.load(name, source);
    return "text" in loaded
      ? JSON.stringify([0, { text: loaded.text, path: known }])
      : failed(`${loaded.message} (${name}:${loaded.line}:${loaded.column})`);
  }
}

/** Is this a normalised path that stays below the script's directory? */
function isConfined(path: string): boolean {
  return (
    path !== "" &&
    !/[\\%?#\0]/.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}
