/**
 * Finds the directories that the entries of an archive are in, from one directory on and through no
 * symlink at all. The last one stays open: entries of one directory mostly follow each other.
 */
import { Directory } from "./directory.js";
import { isOneOf } from "./file-error.js";

/** Makes a directory that is missing on the way. */
type Make = (host: string) => void;

export class Way implements Disposable {
  readonly #top: Directory;
  readonly #make: Make | undefined;
  #here: Directory;
  #names: readonly string[] = [];

  /**
   * @param top stays the caller's to dispose of
   * @param make without it, what is missing is `ENOENT`
   */
  constructor(top: Directory, make?: Make) {
    this.#top = top;
    this.#make = make;
    this.#here = top.again();
  }

  /**
   * The directory that these names lead to. Valid until the next call.
   * @throws an error of Node: `ENOTDIR` where a symlink or a file is on the way
   */
  to(names: readonly string[]): Directory {
    const known = this.#names;
    const isBelow = names.length >= known.length && known.every((name, at) => name === names[at]);
    if (!isBelow) this.#move(this.#top.again(), []);
    for (const name of names.slice(this.#names.length)) {
      this.#move(this.#open(name), [...this.#names, name]);
    }
    return this.#here;
  }

  #open(name: string): Directory {
    const host = this.#here.at(name);
    try {
      return Directory.open(host);
    } catch (error) {
      if (this.#make === undefined || !isOneOf(error, "ENOENT")) throw error;
    }
    this.#make(host);
    return Directory.open(host);
  }

  #move(next: Directory, names: readonly string[]): void {
    this.#here[Symbol.dispose]();
    this.#here = next;
    this.#names = names;
  }

  [Symbol.dispose](): void {
    this.#here[Symbol.dispose]();
  }
}
