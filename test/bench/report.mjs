/** Shows the rows of a run: as a table on the terminal, as JSON, and in `docs/performance.md`. */
import { readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";

const START = "<!-- bench:start -->";
const END = "<!-- bench:end -->";

/** What the figures depend on. */
export function machineFacts() {
  const processors = cpus();
  return {
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    load: Number(loadavg()[0]?.toFixed(1)),
  };
}

/** The lines of the table, in Markdown. */
export function tableOf(rows) {
  const cells = [
    ["what", "ours", "peer", "ratio", "budget", "ok"],
    ...rows.map((row) =>
      row.skipped === undefined
        ? [
            row.what,
            figure(row.ours, row.unit),
            peerOf(row),
            ratioOf(row),
            budgetOf(row),
            okOf(row),
          ]
        : [row.what, "–", row.skipped, "–", "–", "–"],
    ),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`,
  );
  lines.splice(1, 0, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  return lines;
}

/** Rewrites what stands between the markers of a Markdown file. */
export async function writeInto(file, rows, facts) {
  const text = await readFile(file, "utf8");
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) throw new Error(`${file.pathname} has no ${START} … ${END}`);
  const middle = [START, "", sentence(facts), "", ...tableOf(rows), ""].join("\n");
  await writeFile(file, text.slice(0, start) + middle + text.slice(end));
}

/** The facts of the machine in one sentence. */
export function sentence({ cores, cpu, memoryGb, node, platform, load }) {
  return (
    `Measured on ${cores} cores (${cpu}), ${memoryGb} GB, ${platform}, Node ${node}; ` +
    `load before the run: ${load}.`
  );
}

function figure(value, unit) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const number = value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
  return `${number} ${unit}`;
}

const peerOf = ({ peer, unit }) =>
  peer === undefined ? "–" : `${figure(peer.value, unit)} (${peer.name})`;

function ratioOf({ ratio, better, kind }) {
  if (ratio === undefined || ratio === 0) return "–";
  const [good, bad] = kind === "size" ? ["smaller", "larger"] : ["faster", "slower"];
  const gain = better === "less" ? 1 / ratio : ratio;
  return gain >= 1 ? `${gain.toFixed(1)} × ${good}` : `${(1 / gain).toFixed(1)} × ${bad}`;
}

function budgetOf({ budget, unit, better }) {
  if (budget === undefined) return "–";
  const { atMost, atLeast, timesPeer, timesBetter } = budget;
  const betterWord = better === "less" ? "faster" : "more";
  return [
    atMost === undefined ? [] : `≤ ${figure(atMost, unit)}`,
    atLeast === undefined ? [] : `≥ ${figure(atLeast, unit)}`,
    timesPeer === undefined ? [] : `≤ ${timesPeer} × peer`,
    timesBetter === undefined ? [] : `≥ ${timesBetter} × ${betterWord}`,
  ]
    .flat()
    .join(", ");
}

const okOf = ({ ok }) => (ok === undefined ? "–" : ok ? "yes" : "MISS");
