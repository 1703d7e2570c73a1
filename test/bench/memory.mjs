/** Memory of the interpreter: of a worker that idles, and of a script that runs. */
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row } from "./harness.mjs";

const contestant = (name) => new URL(`./contestants/${name}.mjs`, import.meta.url);
const options = { execArgv: ["--expose-gc"] };

export async function measure({ stage, quick }) {
  const parts = { freshWorker: [], usedWorker: [], runningScript: [] };
  // Memory that a process once had shapes what it has later: every sample is a new process.
  const { library } = await interleave(
    {
      ours: async () => {
        const start = Contestant.start(contestant("ours"), [stage.dist], options);
        const sizes = await withContestants({ ours: start }, ({ ours }) =>
          ours.call("memory", { workers: 16 }),
        );
        for (const [part, samples] of Object.entries(parts)) samples.push(sizes[part]);
        return sizes.usedWorker;
      },
      library: async () => {
        const start = Contestant.start(contestant("sebastianwessel"), [], options);
        const { runningScript } = await withContestants({ library: start }, ({ library }) =>
          library.call("memory", { scripts: 16 }),
        );
        return runningScript;
      },
    },
    { rounds: quick ? 1 : 5, warmup: 0 },
  );
  const ours = (part) => parts[part].sort((a, b) => a - b)[Math.floor(parts[part].length / 2)];
  return [
    row({
      what: "memory of an idle worker that ran a script, with its next sandbox",
      unit: "MB",
      ours: ours("usedWorker"),
      budget: { atMost: 10 },
      samples: { ours: parts.usedWorker },
    }),
    row({
      what: "memory of an idle worker before its first script",
      unit: "MB",
      ours: ours("freshWorker"),
      samples: { ours: parts.freshWorker },
    }),
    row({
      what: "memory of a script that waits for the host, beyond its worker's",
      unit: "MB",
      ours: ours("runningScript"),
      peer: { name: "@sebastianwessel/quickjs", value: library.p50 },
      budget: { atMost: 0.4 },
      samples: { ours: parts.runningScript, peer: library },
    }),
  ];
}
