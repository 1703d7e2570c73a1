/** `node:vm` with a new context for each script as a contestant: no boundary, but a floor. */
import vm from "node:vm";
import { answerTasks, rateOf, samplesOf } from "../contestant.mjs";

const HELLO = 'console.log("hello");';

function run(code, globals = {}) {
  const context = vm.createContext({ console: { log: () => undefined }, ...globals });
  return vm.runInContext(code, context);
}

answerTasks({
  hello: ({ count, pauseMs }) => samplesOf(count, () => run(HELLO), pauseMs),

  rate: ({ total, workers }) => rateOf(total, workers, async () => run(HELLO)),

  async crowd({ scripts, calls, callMs }) {
    const call = () => new Promise((resolve) => setTimeout(() => resolve("x"), callMs));
    const code = `(async () => { for (let i = 0; i < ${calls}; i += 1) await call("s"); })()`;
    const start = performance.now();
    await Promise.all(Array.from({ length: scripts }, () => run(code, { call })));
    return performance.now() - start;
  },
});
