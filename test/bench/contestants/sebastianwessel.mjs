/**
 * `@sebastianwessel/quickjs` as a contestant: the same QuickJS build, in the main thread, all scripts
 * in one WebAssembly instance.
 */
import variant from "@jitl/quickjs-wasmfile-release-sync";
import { loadQuickJs } from "@sebastianwessel/quickjs";
import { answerTasks, rateOf, samplesOf, settledRss } from "../contestant.mjs";

const { runSandboxed } = await loadQuickJs(variant);

const HELLO = 'console.log("hello");';
const silent = { log: () => undefined };

async function run(code, options = {}) {
  const result = await runSandboxed(({ evalCode }) => evalCode(code), {
    console: silent,
    ...options,
  });
  if (!result.ok) throw new Error(`a script failed: ${JSON.stringify(result.error)}`);
  return result.data;
}

/** A script whose only host function is `env.call`. */
const runWith = (code, call) => run(code, { env: { call } });

answerTasks({
  hello: ({ count, pauseMs }) => samplesOf(count, () => run(HELLO), pauseMs),

  rate: ({ total, workers }) => rateOf(total, workers, () => run(HELLO)),

  async crowd({ scripts, calls, callMs }) {
    const call = () => new Promise((resolve) => setTimeout(() => resolve("x"), callMs));
    const code = `for (let i = 0; i < ${calls}; i += 1) await env.call("s");\nexport default 1;`;
    const start = performance.now();
    await Promise.all(Array.from({ length: scripts }, () => runWith(code, call)));
    return performance.now() - start;
  },

  async parallelCalls({ count }) {
    const arrivals = [];
    const code = `await Promise.all(Array.from({ length: ${count} }, () => env.call("s")));
export default 1;`;
    await runWith(code, async () => {
      arrivals.push(performance.now());
      return { description: "x" };
    });
    return (arrivals.length / (arrivals.at(-1) - arrivals[0])) * 1000;
  },

  /** Megabytes of a script that waits for the host. */
  async memory({ count }) {
    await run(HELLO);
    const before = await settledRss();
    const answers = [];
    const call = () =>
      new Promise((resolve) => {
        answers.push(resolve);
      });
    const code = 'await env.call("s");\nexport default 1;';
    const runs = Array.from({ length: count }, () => runWith(code, call));
    const running = await settledRss();
    for (const answer of answers) answer("x");
    await Promise.all(runs);
    return { running: (running - before) / count };
  },

  async overshoot({ source, timeoutMs }) {
    const start = performance.now();
    await runSandboxed(({ evalCode }) => evalCode(source), {
      console: silent,
      executionTimeout: timeoutMs,
    });
    return performance.now() - start - timeoutMs;
  },

  /** Bytes that a script could hold under a memory limit; it gives up at `stopAt`. */
  async grow({ memoryBytes, stopAt }) {
    let pages = 0;
    const code = `const kept = [];
while (kept.length * 65536 < ${stopAt}) { kept.push(new Uint8Array(65536).fill(1)); console.log(kept.length); }
export default 1;`;
    const before = process.memoryUsage.rss();
    await runSandboxed(({ evalCode }) => evalCode(code), {
      memoryLimit: memoryBytes,
      console: {
        log: (count) => {
          pages = count;
        },
      },
    });
    return { held: pages * 65_536, grown: process.memoryUsage.rss() - before };
  },
});
