/** How far a script gets past its limits: the deadline and the memory. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Contestant, withContestants } from "./contestant.mjs";
import { interleave, row, summarize } from "./harness.mjs";

const options = { execArgv: ["--expose-gc"] };

const TIMEOUT_MS = 200;
const CAP = 32 * 1024 * 1024;
const PAGE = 65_536;
/** A peer that has not stopped a script by then is stopped from outside. */
const PATIENCE_MS = 5_000;
const ENDLESS = "while (true) {}";
/** One loop in C, which never asks whether it should stop. */
const NATIVE_LOOP = "new Array(1e9) + ''";

export async function measure({ stage, quick }) {
  const starts = {
    ours: Contestant.start("ours", [stage.dist], options),
    library: Contestant.start("library", [], options),
  };
  return await withContestants(starts, async ({ ours, library }) => {
    const rounds = quick ? 3 : 20;
    const script = { source: ENDLESS, timeoutMs: TIMEOUT_MS };
    const endless = await interleave(
      {
        ours: () => ours.call("overshoot", script),
        library: () => library.call("overshoot", script),
      },
      { rounds },
    );
    const native = { source: NATIVE_LOOP, timeoutMs: TIMEOUT_MS };
    const { loop } = await interleave({ loop: () => ours.call("overshoot", native) }, { rounds });
    const peerLoop = await peerOvershoot(native);
    const process = await processOvershoot(stage, quick ? 2 : 10);
    const held = await ours.call("grow", { memoryBytes: CAP });
    const peerHeld = await library.call("grow", { memoryBytes: CAP, stopAt: 8 * CAP });
    return rowsOf({ endless, loop, peerLoop, process, held, peerHeld });
  });
}

/** The peer has no way to end such a script: in a process of its own it is killed after a while. */
async function peerOvershoot(script) {
  const start = Contestant.start("library");
  const begun = performance.now();
  return await withContestants({ library: start }, async ({ library }) => {
    try {
      return { value: await library.call("overshoot", script, { limitMs: PATIENCE_MS }) };
    } catch {
      return { value: performance.now() - begun - script.timeoutMs, killed: true };
    }
  });
}

/** Milliseconds by which `spaces run --timeout` outlives its deadline, start-up included. */
async function processOvershoot(stage, rounds) {
  const file = join(stage.temp, "endless.js");
  await writeFile(file, ENDLESS);
  const args = [stage.cli, "run", file, "--timeout", "1s"];
  const samples = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 124) throw new Error(`spaces run --timeout ended with ${status}: ${stderr}`);
    samples.push(performance.now() - start - 1000);
  }
  return summarize(samples);
}

function rowsOf({ endless, loop, peerLoop, process, held, peerHeld }) {
  const library = "@sebastianwessel/quickjs";
  const MB = 1e6;
  return [
    row({
      what: "deadline overshoot of `while (true) {}`, worst",
      unit: "ms",
      kind: "size",
      ours: endless.ours.max,
      peer: { name: library, value: endless.library.max },
      budget: { atMost: 100 },
      samples: { ours: endless.ours, peer: endless.library },
    }),
    row({
      what: "deadline overshoot of `new Array(1e9) + ''`, worst",
      unit: "ms",
      kind: "size",
      ours: loop.max,
      peer: {
        name: peerLoop.killed ? `${library}, killed from outside` : library,
        value: peerLoop.value,
      },
      budget: { atMost: 100 },
      samples: { ours: loop },
    }),
    row({
      what: "`spaces run --timeout 1s` of `while (true) {}`: time beyond 1 s, whole process, worst",
      unit: "ms",
      kind: "size",
      ours: process.max,
      budget: { atMost: 200 },
      samples: { ours: process },
    }),
    row({
      what: `memory that a script could hold beyond a cap of ${CAP / 1024 / 1024} MiB`,
      unit: "MB",
      kind: "size",
      ours: Math.max(0, held.held - CAP) / MB,
      peer: { name: `${library}, ended by itself`, value: Math.max(0, peerHeld.held - CAP) / MB },
      budget: { atMost: PAGE / MB },
      samples: { ours: held, peer: peerHeld },
    }),
    row({
      what: "growth of the whole process beyond that cap",
      unit: "MB",
      kind: "size",
      ours: Math.max(0, held.grown - CAP) / MB,
      peer: { name: library, value: Math.max(0, peerHeld.grown - CAP) / MB },
      budget: { atMost: 32 },
    }),
  ];
}
