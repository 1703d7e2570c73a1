/** Spaces on bubblewrap, beside bare `bwrap` of the same machine. */
import { execFile, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { block, interleave, row, skipped, timed } from "./harness.mjs";

const run = promisify(execFile);
const BWRAP = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];
const STREAMED_MB = 500;

export async function measure({ stage, quick }) {
  if (spawnSync("bwrap", BWRAP).status !== 0) {
    return [skipped("bubblewrap", "bwrap cannot make a namespace here")];
  }
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "bubblewrap");
  const binding = await openBinding({ binding: "local", driver: "bubblewrap", dataDir });
  const { client } = binding;
  try {
    const { id } = await client.spaces.create({ name: "exec" });
    await client.spaces.start({ space: id });
    const exec = await interleave(
      {
        ours: () => block(() => runIn(client, id)),
        bwrap: () => timed(() => run("bwrap", BWRAP)),
      },
      { rounds: quick ? 10 : 60, warmup: 3 },
    );
    const first = await interleave(
      { ours: (round) => firstCommand(client, `first-${round + 1}`) },
      { rounds: quick ? 5 : 30 },
    );
    const atOnce = await timed(() =>
      Promise.all(Array.from({ length: 100 }, () => runIn(client, id))),
    );
    const streamed = await streamedRate(client, id, quick ? 100 : STREAMED_MB);
    const many = await manySpaces(client, quick ? 20 : 200);
    return rowsOf({ exec, first, atOnce, streamed, many });
  } finally {
    for (const { id } of (await client.spaces.list({ limit: 1000 })).items) {
      await client.spaces.delete({ space: id, force: true });
    }
    await binding[Symbol.asyncDispose]();
  }
}

async function runIn(client, space) {
  const { exitCode, output } = await client.processes.run({ space, command: "true", args: [] });
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}: ${output}`);
}

async function firstCommand(client, name) {
  let id = "";
  const took = await timed(async () => {
    ({ id } = await client.spaces.create({ name }));
    await client.spaces.start({ space: id });
    await runIn(client, id);
  });
  await client.spaces.delete({ space: id, force: true });
  return took;
}

/** MB/s of a process's output as a follower of it gets it. */
async function streamedRate(client, space, megabytes) {
  const process = await client.processes.start({
    space,
    command: `sleep 0.2; head -c ${megabytes}000000 /dev/zero`,
  });
  let bytes = 0;
  let start = 0;
  for await (const event of await client.processes.follow({ space, process: process.id })) {
    if (start === 0) start = performance.now();
    if (event.type === "stdout") bytes += Buffer.byteLength(event.data, "base64");
  }
  return bytes / 1e6 / ((performance.now() - start) / 1000);
}

/** What running spaces cost that do nothing: time to start them all, and memory of each. */
async function manySpaces(client, count) {
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  const took = await timed(() =>
    Promise.all(
      names.map(async (name) => {
        const { id } = await client.spaces.create({ name });
        await client.spaces.start({ space: id });
        await runIn(client, id);
      }),
    ),
  );
  return { count, took, memory: agentMemory() / (count + 1) };
}

/** Memory that belongs to processes of bubblewrap and guest agents alone, in MB. */
function agentMemory() {
  let kilobytes = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      if (!/^(bwrap|guest)/.test(name)) continue;
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    } catch (error) {
      // A process may end while it is looked at.
      if (error.code !== "ENOENT" && error.code !== "ESRCH") throw error;
    }
  }
  return kilobytes / 1024;
}

function rowsOf({ exec, first, atOnce, streamed, many }) {
  return [
    row({
      what: "bubblewrap: command in a running space, p50",
      unit: "ms",
      ours: exec.ours.p50,
      peer: { name: "`bwrap … true`", value: exec.bwrap.p50 },
      budget: { atMost: 3 },
      samples: { ours: exec.ours, peer: exec.bwrap },
    }),
    row({ what: "bubblewrap: 100 commands at once", unit: "ms", ours: atOnce }),
    row({
      what: "bubblewrap: create + start + first command, p50",
      unit: "ms",
      ours: first.ours.p50,
      peer: { name: "`bwrap … true`", value: exec.bwrap.p50 },
      budget: { atMost: 40 },
      samples: { ours: first.ours },
    }),
    row({
      what: "bubblewrap: output of a process, followed",
      unit: "MB/s",
      ours: streamed,
      better: "more",
    }),
    row({
      what: `bubblewrap: ${many.count} spaces created, started and used at once`,
      unit: "ms",
      ours: many.took,
    }),
    row({
      what: "bubblewrap: memory of an idle running space",
      unit: "MB",
      ours: many.memory,
      kind: "size",
    }),
  ];
}
