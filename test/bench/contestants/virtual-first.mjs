/**
 * A fresh process that makes its first space, or its first just-bash, and prints how long each part
 * took. Arguments: `ours <dist> <data directory>` or `just-bash`.
 */
import { loadFrom } from "../stage.mjs";

const [subject, dist, dataDir] = process.argv.slice(2);
const begun = performance.now();

if (subject === "ours") {
  const { openBinding } = await loadFrom(dist, "index");
  const binding = await openBinding({ binding: "local", driver: "virtual", dataDir });
  await binding.client.spaces.list({});
  const opened = performance.now();
  const { id } = await binding.client.spaces.create({ name: "first" });
  await binding.client.spaces.start({ space: id });
  await binding.client.processes.run({ space: id, command: "echo hello" });
  const done = performance.now();
  await binding.client.spaces.delete({ space: id, force: true });
  await binding[Symbol.asyncDispose]();
  print(opened - begun, done - opened);
} else {
  const { Bash } = await import("just-bash");
  const opened = begun;
  await new Bash().exec("echo hello");
  print(0, performance.now() - opened);
}

function print(openMs, firstMs) {
  process.stdout.write(`${JSON.stringify({ openMs, firstMs })}\n`);
}
