/** Durations as people write them: on the command line, and in YAML. */

const MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a duration such as `500ms`, `30s`, `1.5m`, `2h` or `1d`; a bare number is seconds.
 * @returns milliseconds; NaN for what is no duration
 */
export function millisecondsOf(text: string): number {
  const [, number, unit = "s"] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  return number === undefined ? Number.NaN : Number(number) * (MS[unit] ?? Number.NaN);
}
