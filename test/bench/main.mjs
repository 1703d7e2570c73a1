/**
 * `npm run bench`: measures every area, prints one table and keeps the figures as JSON. A missed
 * budget is marked and fails nothing; an area that cannot be measured does.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts, sentence, tableOf, writeInto } from "./report.mjs";
import { prepareStage } from "./stage.mjs";

const AREAS = {
  cold: () => import("./cold.mjs"),
  warm: () => import("./warm.mjs"),
  calls: () => import("./calls.mjs"),
  memory: () => import("./memory.mjs"),
  limits: () => import("./limits.mjs"),
  virtual: () => import("./virtual.mjs"),
  docker: () => import("./docker.mjs"),
  bubblewrap: () => import("./bubblewrap.mjs"),
  ports: () => import("./ports.mjs"),
  store: () => import("./store.mjs"),
  files: () => import("./files.mjs"),
  server: () => import("./server.mjs"),
  runs: () => import("./runs.mjs"),
  mcp: () => import("./mcp.mjs"),
  schedules: () => import("./schedules.mjs"),
};

const HELP = `Usage: npm run bench -- [options]

  --only <area>   measure one area; may be repeated: ${Object.keys(AREAS).join(", ")}
  --quick         few rounds: to try the benchmarks, not to judge by
  --json <file>   where the figures go (default: test/bench/results.json)
  --write         rewrite the table in docs/performance.md
`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (options.help) {
  process.stdout.write(HELP);
} else {
  await main(options);
}

async function main({ only, json, quick, write }) {
  const names = only ?? Object.keys(AREAS);
  const unknown = names.find((name) => !Object.hasOwn(AREAS, name));
  if (unknown !== undefined) throw new Error(`there is no area "${unknown}"\n\n${HELP}`);
  if (write && (quick || only !== undefined)) {
    throw new Error("--write keeps full measurements of all areas: leave --only and --quick out");
  }

  const facts = machineFacts();
  const rows = [];
  const stage = await prepareStage();
  try {
    for (const name of names) {
      process.stderr.write(`measuring ${name} …\n`);
      rows.push(...(await measureArea(name, { stage, quick })));
    }
  } finally {
    await stage.remove();
  }

  process.stdout.write(`${sentence(facts)}\n\n${tableOf(rows).join("\n")}\n`);
  const file = json ?? fileURLToPath(new URL("./results.json", import.meta.url));
  await writeFile(file, `${JSON.stringify({ quick, machine: facts, rows }, null, 2)}\n`);
  if (write) await writeInto(new URL("../../docs/performance.md", import.meta.url), rows, facts);
}

async function measureArea(name, context) {
  try {
    const { measure } = await AREAS[name]();
    return (await measure(context)).map((row) => ({ area: name, ...row }));
  } catch (error) {
    process.stderr.write(`${name} could not be measured: ${error.stack}\n`);
    process.exitCode = 1;
    return [
      { area: name, what: name, skipped: `failed: ${error.message.split("\n")[0].slice(0, 80)}` },
    ];
  }
}
