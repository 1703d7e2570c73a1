/** Memory of the interpreter: of a worker that idles, and of a script that runs. */
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row, summarize } from "./harness.mjs";

const WORKERS = 16;

export async function measure({ stage, quick }) {
  const sizes = { fresh: [], used: [], running: [] };
  const { bare, library } = await interleave(
    {
      ours: async () => {
        const taken = await memoryOf("ours", [stage.dist]);
        for (const [part, samples] of Object.entries(sizes)) samples.push(taken[part]);
        return taken.used;
      },
      bare: async () => (await memoryOf("bare")).fresh,
      library: async () => (await memoryOf("library")).running,
    },
    { rounds: quick ? 1 : 5, warmup: 0 },
  );
  const memory = (what, part, peer, budget) =>
    row({
      what,
      unit: "MB",
      kind: "size",
      ours: summarize(sizes[part]).p50,
      peer,
      budget,
      samples: { ours: sizes[part] },
    });
  const floor = { name: "idle bare worker", value: bare.p50 };
  return [
    memory("memory of an idle worker that ran a script", "used", floor, { atMost: 10 }),
    memory("memory of an idle worker before its first script", "fresh", floor),
    memory(
      "memory of a script that waits for the host, beyond its worker's",
      "running",
      { name: "@sebastianwessel/quickjs", value: library.p50 },
      { atMost: 0.4 },
    ),
  ];
}

/** What memory a process once had shapes what it has later: every sample is a new process. */
async function memoryOf(name, args = []) {
  const start = Contestant.start(name, args, { execArgv: ["--expose-gc"] });
  return await withContestants({ subject: start }, ({ subject }) =>
    subject.call("memory", { count: WORKERS }),
  );
}
