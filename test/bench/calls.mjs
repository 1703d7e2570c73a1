/** Calls out of the sandbox: to a host that answers at once, and through the whole binding. */
import { join } from "node:path";
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row } from "./harness.mjs";

export async function measure({ stage, quick }) {
  const dataDir = join(stage.temp, "calls");
  const { openBinding } = await stage.load("index");
  const binding = await openBinding({ binding: "local", driver: "virtual", dataDir });
  try {
    await binding.client.spaces.create({ name: "bench" });
  } finally {
    await binding[Symbol.asyncDispose]();
  }
  const starts = {
    ours: Contestant.start("ours", [stage.dist]),
    direct: Contestant.start("ours", [stage.dist]),
    library: Contestant.start("library"),
    bare: Contestant.start("bare"),
  };
  return await withContestants(starts, async ({ ours, direct, library, bare }) => {
    const rounds = quick ? 3 : 20;
    const blocking = await interleave(
      {
        ours: () => ours.call("blockingCalls", { count: 1000 }),
        bare: () => bare.call("blockingCalls", { count: 1000 }),
      },
      { rounds },
    );
    const parallel = await interleave(
      {
        ours: () => ours.call("parallelCalls", { count: 5000 }),
        library: () => library.call("parallelCalls", { count: 500 }),
      },
      { rounds },
    );
    const whole = await interleave(
      {
        ours: () => ours.call("bindingCalls", { count: 200, dataDir }),
        direct: () => direct.call("clientCalls", { count: 200, dataDir }),
      },
      { rounds },
    );
    return rowsOf({ blocking, parallel, whole });
  });
}

function rowsOf({ blocking, parallel, whole }) {
  const bare = "bare worker round trip";
  return [
    row({
      what: "blocking host call, p50",
      unit: "µs",
      ours: blocking.ours.p50,
      peer: { name: bare, value: blocking.bare.p50 },
      budget: { atMost: 60 },
      samples: { ours: blocking.ours, peer: blocking.bare },
    }),
    row({
      what: "blocking host calls per second",
      unit: "/s",
      better: "more",
      ours: 1e6 / blocking.ours.mean,
      peer: { name: bare, value: 1e6 / blocking.bare.mean },
    }),
    row({
      what: "promise calls in parallel",
      unit: "/s",
      better: "more",
      ours: parallel.ours.p50,
      peer: { name: "@sebastianwessel/quickjs, same thread", value: parallel.library.p50 },
      budget: { atLeast: 40_000 },
      samples: { ours: parallel.ours, peer: parallel.library },
    }),
    row({
      what: "`spaces.get` in a script, through contract, engine and store, p50",
      unit: "µs",
      ours: whole.ours.p50,
      peer: { name: "the client in the same process", value: whole.direct.p50 },
      samples: { ours: whole.ours, peer: whole.direct },
    }),
  ];
}
