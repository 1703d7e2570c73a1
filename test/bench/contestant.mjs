/**
 * Contestants: child processes that run one subject each, so that the garbage of one does not slow
 * another down. The parent calls their tasks in turns. Used by the area files and by the children.
 */
import { fork } from "node:child_process";
import { once } from "node:events";

/** The contestants there are. */
export const CONTESTANTS = {
  ours: new URL("./contestants/ours.mjs", import.meta.url),
  library: new URL("./contestants/sebastianwessel.mjs", import.meta.url),
  vm: new URL("./contestants/node-vm.mjs", import.meta.url),
  bare: new URL("./contestants/bare-worker.mjs", import.meta.url),
  files: new URL("./contestants/files.mjs", import.meta.url),
};

/** Longest a task may take before its process is given up, in milliseconds. */
const TASK_LIMIT_MS = 120_000;

export class Contestant {
  #child;
  #lastId = 0;
  #waiting = new Map();

  constructor(child) {
    this.#child = child;
    child.on("message", ({ id, result, error }) => {
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiter?.resolve(result);
      else waiter?.reject(new Error(error));
    });
    child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`the contestant ended: ${signal ?? code}`));
      }
      this.#waiting.clear();
    });
  }

  /**
   * Starts a contestant.
   * @param {keyof typeof CONTESTANTS} name
   * @param {readonly string[]} args
   * @param {{ execArgv?: string[] }} [options]
   */
  static async start(name, args = [], { execArgv = [] } = {}) {
    const child = fork(CONTESTANTS[name], args, {
      execArgv,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const contestant = new Contestant(child);
    await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => {
        throw new Error(`the contestant ${name} did not start: exit code ${code}`);
      }),
    ]);
    return contestant;
  }

  /**
   * Runs a task. Past the limit the process is killed and the call rejects.
   * @param {{ limitMs?: number }} [options]
   */
  call(task, input = {}, { limitMs = TASK_LIMIT_MS } = {}) {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#child.kill("SIGKILL"), limitMs);
      const settle = (finish) => (value) => {
        clearTimeout(limit);
        finish(value);
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.send({ id, task, input });
    });
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** Runs work with contestants and stops them afterwards. */
export async function withContestants(starts, work) {
  const names = Object.keys(starts);
  const settled = await Promise.allSettled(Object.values(starts));
  try {
    const failed = settled.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return await work(Object.fromEntries(names.map((name, index) => [name, settled[index].value])));
  } finally {
    await Promise.all(settled.map(({ value }) => value?.stop()));
  }
}

/** The child's side: answers tasks one after the other. */
export function answerTasks(tasks) {
  process.on("message", async ({ id, task, input }) => {
    try {
      process.send({ id, result: await tasks[task](input) });
    } catch (error) {
      process.send({ id, error: error?.stack ?? String(error) });
    }
  });
  process.on("disconnect", () => process.exit());
  process.send({ ready: true });
}

/** Milliseconds of each of `count` runs, one after the other, with a pause between them. */
export async function samplesOf(count, run, pauseMs = 0) {
  const samples = [];
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    await run();
    samples.push(performance.now() - start);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return samples;
}

/** Runs `total` scripts with `width` of them at once and gives how many were done in a second. */
export async function rateOf(total, width, run) {
  let left = total;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left > 0) {
        left -= 1;
        await run();
      }
    }),
  );
  return (total / (performance.now() - start)) * 1000;
}

/** Resident memory in MB after garbage is collected and it stands still. Needs `--expose-gc`. */
export async function settledRss() {
  let last = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 250));
    const now = process.memoryUsage.rss() / 1e6;
    if (Math.abs(now - last) < 0.2) return now;
    last = now;
  }
  return last;
}
