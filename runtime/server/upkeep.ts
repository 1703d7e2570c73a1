/** What a server does by itself every few seconds, such as to delete what has expired. */
import type { ServerLog } from "./log.js";

interface Task {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

/** Runs tasks one after the other, again and again, until it is disposed. */
export class Upkeep implements AsyncDisposable {
  readonly #tasks: readonly Task[];
  readonly #log: ServerLog;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;

  /** @param everyMs milliseconds between rounds; one that takes longer is not begun twice */
  constructor(tasks: readonly Task[], everyMs: number, log: ServerLog) {
    this.#tasks = tasks;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#round ??= this.#run().finally(() => {
        this.#round = undefined;
      });
    }, everyMs).unref();
  }

  async #run(): Promise<void> {
    for (const { name, run } of this.#tasks) {
      try {
        await run();
      } catch (err) {
        // The next round tries again; a server must not end for it.
        this.#log.error({ err, task: name }, "upkeep failed");
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }
}
