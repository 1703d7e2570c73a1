/**
 * What every benchmark shares: samples of subject and peer taken in turns, their percentiles, and
 * the rows of the result. Called by the area files.
 */
import { setTimeout as wait } from "node:timers/promises";

/**
 * Sums up samples.
 * @param {readonly number[]} samples in any unit
 */
export function summarize(samples) {
  if (samples.length === 0) throw new Error("there are no samples to sum up");
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return {
    count: sorted.length,
    min: sorted[0],
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: sorted[sorted.length - 1],
    mean: sorted.reduce((sum, sample) => sum + sample, 0) / sorted.length,
  };
}

/**
 * Takes samples of several subjects in turns, so that noise of the machine hits all of them, and
 * turns the order around every other round, so that none always follows the same neighbour.
 * @param {Record<string, (round: number) => number | number[] | Promise<number | number[]>>} subjects
 *   each gives one sample or a block of them
 * @param {{ rounds: number, warmup?: number, pauseMs?: number }} options warm-up rounds are dropped
 * @returns {Promise<Record<string, ReturnType<typeof summarize>>>}
 */
export async function interleave(subjects, { rounds, warmup = 1, pauseMs = 0 }) {
  const names = Object.keys(subjects);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -warmup; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const taken = await subjects[name](round);
      if (round >= 0) samples[name].push(...[taken].flat());
      if (pauseMs > 0) await wait(pauseMs);
    }
  }
  return Object.fromEntries(names.map((name) => [name, summarize(samples[name])]));
}

/** Milliseconds that a call takes. */
export async function timed(call) {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

/**
 * A block of samples of one call, taken one after the other: as callers make calls, and not each as
 * the first after something else has had the processor.
 */
export async function block(call, count = 10) {
  const samples = [];
  for (let index = 0; index < count; index += 1) samples.push(await timed(call));
  return samples;
}

/**
 * Makes a row of the result.
 *
 * @param {object} row
 * @param {string} row.what the thing measured
 * @param {string} row.unit such as `ms`, `µs`, `MB`, `/s`
 * @param {number} row.ours
 * @param {{ name: string, value: number }} [row.peer] in the same unit, from the same run
 * @param {"less" | "more"} [row.better] whether a smaller (the default) or larger figure is better
 * @param {"speed" | "size"} [row.kind] whether to speak of faster or of smaller; speed when left out
 * @param {Budget} [row.budget] what design asks for; all parts that are given must hold
 * @param {object} [row.samples] summaries that the JSON keeps
 *
 * @typedef {object} Budget
 * @property {number} [atMost] bound on ours, in its unit
 * @property {number} [atLeast]
 * @property {number} [timesPeer] ours may be this many times the peer
 * @property {number} [timesBetter] ours must be this many times better than the peer
 */
export function row({ what, unit, ours, peer, better = "less", kind = "speed", budget, samples }) {
  const ratio = peer === undefined || peer.value === 0 ? undefined : ours / peer.value;
  return {
    what,
    unit,
    ours,
    peer,
    better,
    kind,
    ratio,
    budget,
    ok: meets(ours, ratio, better, budget),
    samples,
  };
}

/** A row for what could not be measured here, with the reason. */
export function skipped(what, reason) {
  return { what, skipped: reason };
}

function meets(ours, ratio, better, budget) {
  if (budget === undefined) return undefined;
  const { atMost, atLeast, timesPeer, timesBetter } = budget;
  const gain = ratio === undefined ? undefined : better === "less" ? 1 / ratio : ratio;
  return (
    (atMost === undefined || ours <= atMost) &&
    (atLeast === undefined || ours >= atLeast) &&
    (timesPeer === undefined || (ratio !== undefined && ratio <= timesPeer)) &&
    (timesBetter === undefined || (gain !== undefined && gain >= timesBetter))
  );
}
