/** Spaces on the virtual driver, beside just-bash itself in the main thread. */
import { execFileSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bash } from "just-bash";
import { interleave, row, timed } from "./harness.mjs";

const FIRST = fileURLToPath(new URL("./contestants/virtual-first.mjs", import.meta.url));
const COMMAND = "echo hello";

export async function measure({ stage, quick }) {
  const cold = await interleave(
    {
      ours: async () => first("ours", stage.dist, await mkdtemp(join(stage.temp, "first-"))),
      bash: () => first("just-bash"),
    },
    { rounds: quick ? 3 : 15 },
  );
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "virtual");
  const binding = await openBinding({ binding: "local", driver: "virtual", dataDir });
  try {
    const { client } = binding;
    const warm = await interleave(
      { ours: (round) => firstCommand(client, `warm-${round + 2}`), bash: freshBash },
      { rounds: quick ? 5 : 30, warmup: 2, pauseMs: 250 },
    );
    const { id } = await client.spaces.create({ name: "exec" });
    await client.spaces.start({ space: id });
    const bash = new Bash();
    const exec = await interleave(
      {
        ours: () => timed(() => client.processes.run({ space: id, command: COMMAND })),
        bash: () => timed(() => bash.exec(COMMAND)),
      },
      { rounds: quick ? 50 : 500, warmup: 10 },
    );
    await client.spaces.delete({ space: id, force: true });
    return rowsOf({ cold, warm, exec });
  } finally {
    await binding[Symbol.asyncDispose]();
  }
}

function first(...args) {
  const printed = execFileSync(process.execPath, [FIRST, ...args], { encoding: "utf8" });
  return JSON.parse(printed).firstMs;
}

async function firstCommand(client, name) {
  let id = "";
  const took = await timed(async () => {
    ({ id } = await client.spaces.create({ name }));
    await client.spaces.start({ space: id });
    await client.processes.run({ space: id, command: COMMAND });
  });
  await client.spaces.delete({ space: id, force: true });
  return took;
}

const freshBash = () => timed(() => new Bash().exec(COMMAND));

function rowsOf({ cold, warm, exec }) {
  const virtual = (what, taken, budget) =>
    row({
      what,
      unit: "ms",
      ours: taken.ours.p50,
      peer: { name: "just-bash, main thread", value: taken.bash.p50 },
      budget,
      samples: { ours: taken.ours, peer: taken.bash },
    });
  return [
    virtual("virtual: create + start + first command, first of a process, p50", cold, {
      atMost: 150,
    }),
    virtual("virtual: the same, later in the process, half a second apart, p50", warm, {
      atMost: 10,
    }),
    virtual("virtual: command in a running space, p50", exec),
  ];
}
