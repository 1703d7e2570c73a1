/**
 * Goes down and up in a tree of directories, however deep: only the one that it is in is open. Used
 * by everything that works on whole trees.
 */
import { Directory } from "./directory.js";
import { fileError } from "./file-error.js";

export class Descent implements Disposable {
  #here: Directory;
  readonly #above: string[] = [];

  /** Begins in a directory, which stays the caller's to dispose of. */
  constructor(top: Directory) {
    this.#here = top.again();
  }

  /** The directory that it is in. Valid until the next step. */
  get here(): Directory {
    return this.#here;
  }

  /**
   * Goes into a directory; never through a symlink.
   * @param rawName as reading the directory with the encoding `latin1` gives it
   * @throws an error of Node, and stays where it is
   */
  enter(rawName: string): void {
    const { identity } = this.#here;
    const next = Directory.open(this.#here.raw(rawName));
    this.#here[Symbol.dispose]();
    this.#here = next;
    this.#above.push(identity);
  }

  /**
   * Goes back up.
   * @throws an error with the code `ESTALE` where the directory was moved to another one meanwhile
   */
  leave(): void {
    const expected = this.#above.pop();
    const above = this.#here.above();
    this.#here[Symbol.dispose]();
    this.#here = above;
    if (above.identity === expected) return;
    throw fileError("ESTALE", "directories were moved meanwhile", "leave", "a directory");
  }

  [Symbol.dispose](): void {
    this.#here[Symbol.dispose]();
  }
}
