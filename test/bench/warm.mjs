/** Warm scripts in the pool, each in a fresh sandbox, beside other ways to run a script in Node. */
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row } from "./harness.mjs";

const GOAL = { atMost: 1.5, timesBetter: 5 };

/** The scripts of the crowd: each makes this many host calls of this length. */
const CROWD = { scripts: 100, calls: 5, callMs: 2 };

export async function measure({ stage, quick }) {
  const starts = {
    ours: Contestant.start("ours", [stage.dist]),
    library: Contestant.start("library"),
    vm: Contestant.start("vm"),
  };
  return await withContestants(starts, async ({ ours, library, vm }) => {
    const block = { count: 25 };
    const hello = await interleave(
      {
        ours: () => ours.call("hello", block),
        library: () => library.call("hello", block),
        vm: () => vm.call("hello", block),
      },
      { rounds: quick ? 4 : 40, warmup: 2 },
    );
    const spaced = await interleave(
      {
        ours: () => ours.call("hello", { count: 10, pauseMs: 10 }),
        library: () => library.call("hello", { count: 10, pauseMs: 10 }),
      },
      { rounds: quick ? 2 : 20 },
    );
    const rates = await interleave(
      {
        ours: () => ours.call("rate", { total: 200, workers: 2 }),
        library: () => library.call("rate", { total: 50, workers: 2 }),
      },
      { rounds: quick ? 2 : 10 },
    );
    const crowds = await interleave(
      {
        ours: () => ours.call("crowd", CROWD),
        ourFour: () => ours.call("crowd", { ...CROWD, workers: 4 }),
        library: () => library.call("crowd", CROWD),
        vm: () => vm.call("crowd", CROWD),
      },
      { rounds: quick ? 2 : 8 },
    );
    return rowsOf({ hello, spaced, rates, crowds });
  });
}

function rowsOf({ hello, spaced, rates, crowds }) {
  const library = "@sebastianwessel/quickjs";
  const warm = (what, taken, at, name, peer, budget) =>
    row({
      what,
      unit: "ms",
      ours: taken.ours[at],
      peer: { name, value: taken[peer][at] },
      budget,
      samples: { ours: taken.ours, peer: taken[peer] },
    });
  const { scripts, calls, callMs } = CROWD;
  const crowd = (who, subject, name, peer) =>
    row({
      what: `${scripts} scripts at once, ${calls} host calls of ${callMs} ms each, ${who}, p50`,
      unit: "ms",
      ours: crowds[subject].p50,
      peer: { name, value: crowds[peer].p50 },
      samples: { ours: crowds[subject], peer: crowds[peer] },
    });
  return [
    warm("warm script, fresh instance, back to back, p50", hello, "p50", library, "library", GOAL),
    warm("the same, p95", hello, "p95", library, "library", { atMost: 10 }),
    warm("the same, p99", hello, "p99", library, "library"),
    warm("the same beside a new `node:vm` context, p50", hello, "p50", "node:vm", "vm"),
    warm("warm script, fresh instance, 10 ms apart, p50", spaced, "p50", library, "library", GOAL),
    warm("the same, p95", spaced, "p95", library, "library", { atMost: 10 }),
    row({
      what: "scripts per second, two workers",
      unit: "/s",
      better: "more",
      ours: rates.ours.p50,
      peer: { name: `${library}, one thread`, value: rates.library.p50 },
      budget: { atLeast: 400 },
      samples: { ours: rates.ours, peer: rates.library },
    }),
    crowd("4 workers", "ourFour", library, "library"),
    crowd("up to 64 workers", "ours", library, "library"),
    crowd("4 workers", "ourFour", "node:vm", "vm"),
  ];
}
