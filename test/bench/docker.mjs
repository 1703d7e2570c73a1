/** Spaces on Docker, beside the `docker` command line on the same engine and image. */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { block, interleave, row, skipped, timed } from "./harness.mjs";

const run = promisify(execFile);
const PROGRAM = "true";

export async function measure({ stage, quick }) {
  const docker = new Docker();
  const absent = await docker.ping().then(
    () => undefined,
    (error) => `no Docker engine answers: ${error.message}`,
  );
  if (absent !== undefined) return [skipped("docker", absent)];
  if (spawnSync("docker", ["version"]).status !== 0) {
    return [skipped("docker", "there is no docker command to compare with")];
  }
  const { ensureTestImage } = await stage.load("bench-docker-image");
  const image = await ensureTestImage(docker);
  process.env.SPACES_DEFAULT_IMAGE = image;
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "docker");
  const binding = await openBinding({ binding: "local", driver: "docker", dataDir });
  const { client } = binding;
  let container;
  try {
    const { id } = await client.spaces.create({ name: "exec" });
    await client.spaces.start({ space: id });
    container = (
      await run("docker", ["run", "-d", "--init", image, "sleep", "3600"])
    ).stdout.trim();
    const exec = await interleave(
      {
        ours: () => block(() => runIn(client, id)),
        cli: () => timed(() => run("docker", ["exec", container, PROGRAM])),
        api: () => timed(() => bareExec(docker.getContainer(container))),
      },
      { rounds: quick ? 10 : 100, warmup: 3 },
    );
    const first = await interleave(
      {
        ours: (round) => firstCommand(client, `first-${round + 1}`),
        cli: () => timed(() => run("docker", ["run", "--rm", image, PROGRAM])),
      },
      { rounds: quick ? 3 : 20 },
    );
    return rowsOf({ exec, first });
  } finally {
    if (container !== undefined) await docker.getContainer(container).remove({ force: true });
    for (const { id } of (await client.spaces.list({})).items) {
      await client.spaces.delete({ space: id, force: true });
    }
    await binding[Symbol.asyncDispose]();
  }
}

async function runIn(client, space) {
  const { exitCode, output } = await client.processes.run({ space, command: PROGRAM, args: [] });
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}: ${output}`);
}

/** The same through the engine's API alone: what an exec costs before anybody watches over it. */
async function bareExec(container) {
  const exec = await container.exec({ Cmd: [PROGRAM], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({});
  stream.resume();
  await new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
  await exec.inspect();
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

function rowsOf({ exec, first }) {
  return [
    row({
      what: "docker: command in a running space, p50",
      unit: "ms",
      ours: exec.ours.p50,
      peer: { name: "`docker exec`", value: exec.cli.p50 },
      budget: { atMost: 3, timesBetter: 20 },
      samples: { ours: exec.ours, peer: exec.cli },
    }),
    row({
      what: "docker: the same beside a bare exec of the engine's API, p50",
      unit: "ms",
      ours: exec.ours.p50,
      peer: { name: "API exec, unwatched", value: exec.api.p50 },
      samples: { peer: exec.api },
    }),
    row({
      what: "docker: create + start + first command, p50",
      unit: "ms",
      ours: first.ours.p50,
      peer: { name: "`docker run --rm`", value: first.cli.p50 },
      budget: { timesPeer: 1.3 },
      samples: { ours: first.ours, peer: first.cli },
    }),
  ];
}
