/**
 * What a script can import: the standard library by exact names, and files beside the script by
 * relative paths that never lead out of its directory.
 */
import { readFileSync } from "node:fs";
import { artifactUrl } from "../../artifacts.js";
import type { ModuleText } from "./engine.js";

/** Specifier in scripts to the name of the built file. */
const STDLIB: ReadonlyMap<string, string> = new Map([
  ["spaces", "spaces"],
  ["spaces/async", "spaces-async"],
  ["space", "space"],
  ["files", "files"],
  ["files/async", "files-async"],
  ["runtime", "runtime"],
  ["yaml", "yaml"],
]);

/** Names that begin so are the house's own; no file of a script can have one. */
const INTERNAL = "spaces:";
const ENTRY = "spaces:entry";
const ENTRY_SCRIPT = "spaces:script";
/** The guest's side of an interactive session. */
const SESSION = "spaces:session";
const FAILED = "spaces:failed/";
const HOST = "spaces:host";
const MAX_SPECIFIER_LENGTH = 1024;

const texts = new Map<string, string>();

/** A text of `dist/stdlib/`, read once for all scripts of this worker. */
export function stdlibText(name: string): string {
  const known = texts.get(name);
  if (known !== undefined) {
    return known;
  }
  const text = readFileSync(artifactUrl(`stdlib/${name}.js`), "utf8");
  texts.set(name, text);
  return text;
}

/** What the main thread answers for a file: its JavaScript and the path it is known by, or neither. */
interface FileAnswer {
  readonly text?: string;
  readonly path?: string;
  readonly error?: string;
}

/** Reads a file of the script; "" when the script has to end. */
export type FileReader = (path: string) => string;

/** What runs in a sandbox: a script, or nothing until inputs come. */
export interface Entry {
  /** Name of the script; of a session, the name of its inputs without their number. */
  readonly filename: string;
  /** JavaScript of the script; none in an interactive session. */
  readonly source: string | undefined;
}

export class ModuleTable {
  readonly #filename: string;
  readonly #source: string | undefined;
  readonly #root: string;
  readonly #readFile: FileReader;
  /** The name of the module at each path that was asked for. */
  readonly #names = new Map<string, string>();
  /** Texts of modules, until the engine loads them. */
  readonly #files = new Map<string, string>();
  readonly #failures: string[] = [];
  readonly #jsonModules = new Set<string>();
  /** The module that makes the imports of the input which is evaluated. */
  #input: { readonly name: string; readonly text: string } | undefined;

  constructor({ filename, source }: Entry, readFile: FileReader) {
    this.#filename = filename;
    this.#source = source;
    this.#root = filename.slice(0, filename.lastIndexOf("/") + 1);
    this.#readFile = readFile;
  }

  /** Offers the imports of an input as a module with the input's own name, to that input alone. */
  setInput(name: string, text: string | undefined): void {
    this.#input = text === undefined ? undefined : { name, text };
  }

  /**
   * Resolves a specifier to the name of a module, which is also its name in stacks. The engine
   * cannot be given an error here, so that one that fails gets a name which fails to load.
   */
  resolve(importer: string, specifier: string): string {
    const resolved = this.#resolve(importer, specifier);
    if ("text" in resolved) {
      return resolved.text;
    }
    return this.#fail(resolved.error);
  }

  #fail(error: string): string {
    const name = `${FAILED}${this.#failures.length}`;
    this.#failures.push(error);
    return name;
  }

  #resolve(importer: string, specifier: string): ModuleText {
    const trusted = importer.startsWith(INTERNAL);
    if (specifier === HOST && (trusted || this.#jsonModules.has(importer))) {
      return { text: HOST };
    }
    if (importer === HOST && specifier === ENTRY) {
      return { text: ENTRY };
    }
    if (importer === ENTRY && specifier === ENTRY_SCRIPT) {
      return { text: this.#source === undefined ? SESSION : this.#filename };
    }
    if (importer === specifier && importer === this.#input?.name) {
      return { text: importer };
    }
    if (STDLIB.has(specifier)) {
      return { text: INTERNAL + specifier };
    }
    const relative = specifier.startsWith("./") || specifier.startsWith("../");
    if (!relative || trusted) {
      return { error: this.#notFound(importer, specifier) };
    }
    return this.#resolveFile(importer, specifier);
  }

  /** The text of a module by its resolved name. */
  load(name: string): ModuleText {
    if (name === ENTRY) {
      return { text: `import "${ENTRY_SCRIPT}";` };
    }
    if (name === this.#filename && this.#source !== undefined) {
      return { text: this.#source };
    }
    if (name === SESSION && this.#source === undefined) {
      return { text: stdlibText("session") };
    }
    if (name === this.#input?.name) {
      return { text: this.#input.text };
    }
    if (name.startsWith(FAILED)) {
      return { error: this.#failures[Number(name.slice(FAILED.length))] ?? "The import failed." };
    }
    const builtIn = name.startsWith(INTERNAL) ? STDLIB.get(name.slice(INTERNAL.length)) : undefined;
    if (builtIn !== undefined) {
      return { text: stdlibText(builtIn) };
    }
    return this.#loadFile(name);
  }

  #resolveFile(importer: string, specifier: string): ModuleText {
    if (specifier.length > MAX_SPECIFIER_LENGTH || /[\\%?#\0]|\/\//.test(specifier)) {
      return {
        error:
          `Cannot import '${specifier.slice(0, 100)}' from ${importer}: a path may not hold ` +
          "a backslash, percent sign, question mark, hash or empty part.",
      };
    }
    const from = importer.startsWith(this.#root) ? importer.slice(this.#root.length) : "";
    const parts = from.split("/").slice(0, -1);
    for (const part of specifier.split("/")) {
      if (part === "..") {
        if (parts.pop() === undefined) {
          return {
            error: `Cannot import '${specifier}' from ${importer}: it lies outside of the script's directory.`,
          };
        }
      } else if (part !== ".") {
        parts.push(part);
      }
    }
    const name = this.#root + parts.join("/");
    if (name.startsWith(INTERNAL)) {
      return { error: this.#notFound(importer, specifier) };
    }
    return { text: this.#fileAt(name, () => this.#notFound(importer, specifier)) };
  }

  /**
   * The name of the module at a path. It is read here already, for only then is it known whether this
   * is another path to a module that has a name.
   */
  #fileAt(path: string, notFound: () => string): string {
    const known = path === this.#filename ? path : this.#names.get(path);
    if (known !== undefined) {
      return known;
    }
    const answer = this.#ask(path);
    if (answer.text === undefined) {
      return this.#fail(answer.error ?? notFound());
    }
    const name = answer.path === undefined ? path : this.#root + answer.path;
    if (!this.#names.has(name)) {
      this.#names.set(name, name);
      this.#files.set(name, answer.text);
    }
    this.#names.set(path, name);
    return name;
  }

  #ask(path: string): FileAnswer {
    const answer = this.#readFile(path.slice(this.#root.length));
    return answer === ""
      ? { error: "The script was stopped." }
      : (JSON.parse(answer) as [number, FileAnswer])[1];
  }

  #loadFile(name: string): ModuleText {
    // The engine asks again for a module that it could not parse, and is to fail in the same way.
    const kept = this.#files.get(name);
    const { text, error }: FileAnswer = kept === undefined ? this.#ask(name) : { text: kept };
    this.#files.delete(name);
    if (text === undefined) {
      return { error: error ?? "The import failed." };
    }
    if (!name.endsWith(".json")) {
      return { text };
    }
    this.#jsonModules.add(name);
    const literal = JSON.stringify(text);
    return { text: `import { parseJson } from "${HOST}"; export default parseJson(${literal});` };
  }

  #notFound(importer: string, specifier: string): string {
    const names = [...STDLIB.keys()].join(", ");
    return (
      `Cannot find module '${specifier.slice(0, 100)}' imported from ${importer}: ` +
      `a script can import the modules ${names}, and files or stored libs beside it, such as './helper.ts'.`
    );
  }
}
