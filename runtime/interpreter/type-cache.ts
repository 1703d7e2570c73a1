/**
 * Stripped TypeScript on disk, by the hash of its source; used by `source.ts`. An entry is
 * believed only where it could be the result of stripping, so that a corrupt or planted one
 * cannot add code.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Changes whenever the stripper or the form of an entry does. */
const FORMAT = "1";
/** What stripping writes in place of types: blanks, and punctuation that closes what was there. */
const FILLER = /[\s\u200B;)=>]/;

function couldBeStripped(source: string, stripped: string): boolean {
  if (source.length !== stripped.length) {
    return false;
  }
  for (let index = 0; index < source.length; index += 1) {
    const character = stripped[index] ?? "";
    if (character !== source[index] && !FILLER.test(character)) {
      return false;
    }
  }
  return true;
}

export class TypeCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The stripped text, or undefined where there is no entry that can be believed. */
  async read(source: string): Promise<string | undefined> {
    const path = this.#path(source);
    try {
      const [content, info] = await Promise.all([readFile(path, "utf8"), stat(path)]);
      const foreign = process.getuid !== undefined && info.uid !== process.getuid();
      const checksum = content.slice(0, 64);
      const stripped = content.slice(65);
      return !foreign && checksum === hash(stripped) && couldBeStripped(source, stripped)
        ? stripped
        : undefined;
    } catch {
      // A cache that cannot be read is one without the entry; the source is stripped anew.
      return undefined;
    }
  }

  /** Keeps an entry; does nothing where the directory cannot be written. */
  async write(source: string, stripped: string): Promise<void> {
    if (!couldBeStripped(source, stripped)) {
      return;
    }
    const path = this.#path(source);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await writeFile(temporary, `${hash(stripped)}\n${stripped}`, { mode: 0o600, flag: "wx" });
      await rename(temporary, path);
    } catch {
      // The script runs as well without the entry; what was half written must not stay.
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  #path(source: string): string {
    return join(this.#directory, `${hash(`${FORMAT}\n${source}`)}.js`);
  }
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
