/**
 * Makes JavaScript of a script's source: checks it, and strips types from TypeScript so that every
 * line and column stays where it is. Stripped text is cached on disk by the hash of its source.
 */
import type { TypeCache } from "./type-cache.js";

/** JavaScript, or where and why the TypeScript is not understood. */
export type LoadedSource =
  | { readonly text: string }
  | {
      readonly name: string;
      readonly message: string;
      readonly line: number;
      readonly column: number;
    };

/** Says what is wrong with a source, to be put after its name, or undefined. */
export function checkSource(source: string, limitBytes: number): string | undefined {
  const bytes = Buffer.byteLength(source);
  if (bytes > limitBytes) {
    return `has ${bytes} bytes; the limit is ${limitBytes}.`;
  }
  const nul = source.indexOf("\0");
  if (nul >= 0) {
    return `holds a NUL character in line ${source.slice(0, nul).split("\n").length}.`;
  }
  return undefined;
}

/** Without the byte order mark, which the engine takes for a syntax error. */
export function withoutMark(source: string): string {
  return source.startsWith("\uFEFF") ? source.slice(1) : source;
}

interface StripError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly startLine?: unknown;
  readonly startColumn?: unknown;
}

export class SourceLoader {
  readonly #cacheDir: string | undefined;
  #cache: Promise<TypeCache | undefined> | undefined;

  /** @param cacheDir directory for stripped TypeScript; none means no cache */
  constructor(cacheDir: string | undefined) {
    this.#cacheDir = cacheDir;
  }

  /** The JavaScript of a file; TypeScript is told by the ending `.ts` or `.mts`. */
  async load(filename: string, source: string): Promise<LoadedSource> {
    if (!/\.m?ts$/.test(filename)) {
      return { text: withoutMark(source) };
    }
    const text = withoutMark(source);
    this.#cache ??= openCache(this.#cacheDir);
    const cache = await this.#cache;
    const cached = await cache?.read(text);
    if (cached !== undefined) {
      return { text: cached };
    }
    const stripped = await this.strip(text);
    if ("text" in stripped) {
      await cache?.write(text, stripped.text);
    }
    return stripped;
  }

  /** The JavaScript of TypeScript, without a look into the cache. */
  async strip(source: string): Promise<LoadedSource> {
    const { default: typescript } = await import("@swc/wasm-typescript");
    try {
      return { text: typescript.transformSync(source, { mode: "strip-only", module: true }).code };
    } catch (error) {
      return syntaxError(error);
    }
  }
}

/** Loaded for TypeScript only: what it needs of Node costs more than starting a small script. */
async function openCache(directory: string | undefined): Promise<TypeCache | undefined> {
  if (directory === undefined) return undefined;
  const { TypeCache } = await import("./type-cache.js");
  return new TypeCache(directory);
}

function syntaxError(error: unknown): LoadedSource {
  const { code, message, startLine, startColumn } = error as StripError;
  if (typeof message !== "string" || typeof startLine !== "number") {
    throw error;
  }
  const advice =
    code === "UnsupportedSyntax"
      ? ": scripts keep to TypeScript that disappears when its types are removed"
      : "";
  return {
    name: "SyntaxError",
    message: message + advice,
    line: startLine,
    column: typeof startColumn === "number" ? startColumn + 1 : 1,
  };
}
