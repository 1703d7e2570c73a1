/** Recorded runs: what the record of a run costs, beside the same run without one. */
import { join } from "node:path";
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row } from "./harness.mjs";

export async function measure({ stage, quick }) {
  const dataDir = join(stage.temp, "runs");
  const starts = {
    recorded: Contestant.start("ours", [stage.dist]),
    plain: Contestant.start("ours", [stage.dist]),
  };
  return await withContestants(starts, async ({ recorded, plain }) => {
    const rounds = quick ? 3 : 20;
    const calls = await interleave(
      {
        recorded: () => recorded.call("blockingCalls", { count: 1000, dataDir }),
        plain: () => plain.call("blockingCalls", { count: 1000 }),
      },
      { rounds },
    );
    const lines = await interleave(
      {
        recorded: () => recorded.call("printedLines", { count: 5000, dataDir }),
        plain: () => plain.call("printedLines", { count: 5000 }),
      },
      { rounds },
    );
    const hello = await interleave(
      {
        recorded: () => recorded.call("hello", { count: 20, dataDir }),
        plain: () => plain.call("hello", { count: 20 }),
      },
      { rounds },
    );
    return rowsOf({ calls, lines, hello });
  });
}

function rowsOf({ calls, lines, hello }) {
  const peer = (samples) => ({ name: "the same run, not recorded", value: samples.plain.p50 });
  const beside = (samples) => ({ ours: samples.recorded, peer: samples.plain });
  return [
    row({
      what: "blocking host call of a recorded run, p50",
      unit: "µs",
      ours: calls.recorded.p50,
      peer: peer(calls),
      samples: beside(calls),
    }),
    row({
      what: "5,000 lines printed by a recorded run, p50",
      unit: "ms",
      ours: lines.recorded.p50,
      peer: peer(lines),
      samples: beside(lines),
    }),
    row({
      what: "warm hello, recorded, p50",
      unit: "ms",
      ours: hello.recorded.p50,
      peer: peer(hello),
      samples: beside(hello),
    }),
  ];
}
