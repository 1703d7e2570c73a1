/** The interpreter of this project as a contestant. Its argument is the stage's `dist`. */
import { answerTasks, rateOf, samplesOf, settledRss } from "../contestant.mjs";
import { loadFrom } from "../stage.mjs";

const dist = process.argv[2];
const { createInterpreter } = await loadFrom(dist, "bench-interpreter");

const HELLO = 'console.log("hello");';
const BLOCKING = (count) =>
  `import spaces from "spaces";\nfor (let i = 0; i < ${count}; i += 1) spaces.get_description("s");`;
const PRINTING = (count) =>
  `for (let i = 0; i < ${count}; i += 1) console.log("a line that is not short, number " + i);`;
const PARALLEL = (count) => `import spaces from "spaces/async";
await Promise.all(Array.from({ length: ${count} }, () => spaces.get_description("s")));`;
const GROW = `const kept = [];
for (;;) { kept.push(new Uint8Array(65536).fill(1)); console.log(kept.length); }`;

const interpreters = new Map();

/** The interpreter with these options; the same one for the same options. */
function interpreterOf(options) {
  const key = JSON.stringify(options);
  const known = interpreters.get(key) ?? createInterpreter(options);
  interpreters.set(key, known);
  return known;
}

const answerAtOnce = async () => ({ description: "x" });

/** Runs a script that must end well. @param dataDir where its run is recorded; not at all if absent */
async function runOk(interpreter, source, host = answerAtOnce, limits = {}, dataDir = undefined) {
  const request = { filename: "bench.js", source, host, limits };
  const result =
    dataDir === undefined
      ? await interpreter.run(request)
      : await runRecorded(interpreter, request, dataDir);
  if (result.exitCode !== 0) throw new Error(`a script failed: ${JSON.stringify(result.error)}`);
  return result;
}

async function runRecorded(interpreter, request, dataDir) {
  const [{ RunRecorder }, recorded] = await Promise.all([
    loadFrom(dist, "bench-recorder"),
    loadFrom(dist, "bench-recorded-script"),
  ]);
  const recorder = RunRecorder.begin(
    {
      script: { filename: request.filename, language: "javascript" },
      ...{ source: request.source, args: [], permissions: {}, limits: {} },
      ...{ actor: { id: "bench", name: "bench" }, binding: "in-process", trigger: { kind: "api" } },
    },
    {
      dataDir,
      onTrouble: (message) => {
        throw new Error(message);
      },
    },
  );
  return await recorded.runRecorded(interpreter, request, recorder);
}

/** A host that notes when calls arrive. */
function notingHost(answer = answerAtOnce) {
  const arrivals = [];
  const host = (...call) => {
    arrivals.push(performance.now());
    return answer(...call);
  };
  return { arrivals, host };
}

const differences = (times) => times.slice(1).map((time, index) => time - times[index]);
const ratePerSecond = (times) => ((times.length - 1) / (times.at(-1) - times[0])) * 1000;

const ONE_WORKER = { minWorkers: 1, maxWorkers: 1 };

answerTasks({
  hello: ({ count, pauseMs, dataDir }) =>
    samplesOf(
      count,
      () => runOk(interpreterOf(ONE_WORKER), HELLO, answerAtOnce, {}, dataDir),
      pauseMs,
    ),

  printedLines: ({ count, dataDir }) =>
    samplesOf(1, () =>
      runOk(interpreterOf(ONE_WORKER), PRINTING(count), answerAtOnce, {}, dataDir),
    ),

  rate: ({ total, workers }) =>
    rateOf(total, workers, () =>
      runOk(interpreterOf({ minWorkers: workers, maxWorkers: workers }), HELLO),
    ),

  /** Many scripts at once, each with blocking calls that take a while. */
  async crowd({ scripts, calls, callMs, workers }) {
    const interpreter = interpreterOf(
      workers === undefined ? {} : { minWorkers: workers, maxWorkers: workers },
    );
    const host = () =>
      new Promise((resolve) => setTimeout(() => resolve({ description: "x" }), callMs));
    const start = performance.now();
    await Promise.all(
      Array.from({ length: scripts }, () => runOk(interpreter, BLOCKING(calls), host)),
    );
    return performance.now() - start;
  },

  /** Microseconds between the arrivals of blocking calls. */
  async blockingCalls({ count, dataDir }) {
    const { arrivals, host } = notingHost();
    await runOk(interpreterOf(ONE_WORKER), BLOCKING(count), host, {}, dataDir);
    return differences(arrivals).map((ms) => ms * 1000);
  },

  async parallelCalls({ count }) {
    const { arrivals, host } = notingHost();
    await runOk(interpreterOf(ONE_WORKER), PARALLEL(count), host);
    return ratePerSecond(arrivals);
  },

  /** Microseconds of `spaces.get` from a script, through the contract, engine and store. */
  async bindingCalls({ count, dataDir }) {
    const { hostCallFor } = await loadFrom(dist, "bench-host-call");
    const binding = await bindingOf(dataDir);
    const { arrivals, host } = notingHost(hostCallFor(async () => binding.client));
    const source = `import spaces from "spaces";\nfor (let i = 0; i < ${count}; i += 1) spaces.get("bench");`;
    await runOk(interpreterOf(ONE_WORKER), source, host);
    return differences(arrivals).map((ms) => ms * 1000);
  },

  /** Microseconds of the same call made by the program itself. */
  async clientCalls({ count, dataDir }) {
    const { client } = await bindingOf(dataDir);
    const samples = await samplesOf(count, () => client.spaces.get({ space: "bench" }));
    return samples.map((ms) => ms * 1000);
  },

  /** Megabytes of an idle worker, before and after it ran a script, and of a script that runs. */
  async memory({ count }) {
    await runOk(interpreterOf(ONE_WORKER), HELLO);
    const before = await settledRss();
    const interpreter = interpreterOf({ minWorkers: count, maxWorkers: count });
    const fresh = await settledRss();
    await runTogether(interpreter, count);
    const used = await settledRss();
    let running = 0;
    await runTogether(interpreter, count, async () => {
      running = await settledRss();
    });
    return {
      fresh: (fresh - before) / count,
      used: (used - before) / count,
      running: (running - used) / count,
    };
  },

  /** Milliseconds by which a script outlived its deadline. */
  async overshoot({ source, timeoutMs }) {
    const interpreter = interpreterOf(ONE_WORKER);
    await runOk(interpreter, HELLO);
    const start = performance.now();
    const { exitCode, error } = await interpreter.run({
      filename: "bench.js",
      source,
      host: answerAtOnce,
      limits: { timeoutMs },
    });
    const tookMs = performance.now() - start;
    if (exitCode !== 124) throw new Error(`the script did not time out: ${JSON.stringify(error)}`);
    return tookMs - timeoutMs;
  },

  /** What a script could hold, and by how much this process grew meanwhile, in bytes. */
  async grow({ memoryBytes }) {
    const interpreter = interpreterOf(ONE_WORKER);
    await runOk(interpreter, HELLO);
    await settledRss();
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 1);
    const result = await interpreter.run({
      filename: "bench.js",
      source: GROW,
      host: answerAtOnce,
      limits: { memoryBytes, timeoutMs: 30_000 },
    });
    clearInterval(watch);
    // Output keeps its beginning and its end; the last number is how many pages there were.
    const pages = Number(/(\d+)\n(?:\D*)$/.exec(result.output)?.[1]);
    if (!(pages > 0)) throw new Error(`the script held nothing: ${JSON.stringify(result.error)}`);
    return { held: pages * 65_536, grown: most - before };
  },
});

const bindings = new Map();

async function bindingOf(dataDir) {
  const known = bindings.get(dataDir);
  if (known !== undefined) return known;
  const { openBinding } = await loadFrom(dist, "index");
  const binding = await openBinding({ binding: "local", driver: "virtual", dataDir });
  bindings.set(dataDir, binding);
  return binding;
}

/** Runs a script on each worker at the same time, and something while all of them are blocked. */
async function runTogether(interpreter, workers, meanwhile = async () => undefined) {
  let arrived = 0;
  const answers = [];
  let allThere;
  const together = new Promise((resolve) => {
    allThere = resolve;
  });
  const host = () =>
    new Promise((resolve) => {
      answers.push(resolve);
      arrived += 1;
      if (arrived === workers) allThere();
    });
  const runs = Array.from({ length: workers }, () => runOk(interpreter, BLOCKING(1), host));
  await Promise.race([together, Promise.all(runs)]);
  await meanwhile();
  for (const answer of answers) answer({ description: "x" });
  await Promise.all(runs);
}
