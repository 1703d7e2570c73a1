/** Reads the durations, sizes and counts that people give to options. */
import { millisecondsOf } from "../runtime/contract/durations.js";
import { SpacesError } from "../runtime/contract/errors.js";

const BYTES: Readonly<Record<string, number>> = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };

/** The longest duration that any call takes: a week, in milliseconds. */
export const LONGEST_MS = 604_800_000;
/** The longest delay of a job: a day, in milliseconds. */
const LONGEST_DELAY_MS = 86_400_000;
/** The longest life of a space or token: ten years, in milliseconds. */
const LONGEST_LIFE_MS = 315_360_000_000;

/**
 * Reads a duration such as `500ms`, `30s`, `1.5m` or `2h`; a bare number is seconds.
 * @param option the option that errors name
 * @returns milliseconds; `INVALID_INPUT` for anything but a duration above 0 and up to a week
 */
export function parseDuration(text: string, option: string): number {
  const ms = millisecondsOf(text);
  if (ms > 0 && ms <= LONGEST_MS) return ms;
  throw invalid(option, text, "Give a duration above 0 and up to 7d, such as 30s, 5m or 2h.");
}

/**
 * Reads how long a space or token lives, as `parseDuration` does.
 * @param option the option or argument that errors name
 * @returns milliseconds, up to ten years
 */
export function parseLifetime(text: string, option: string): number {
  const ms = millisecondsOf(text);
  if (ms > 0 && ms <= LONGEST_LIFE_MS) return ms;
  throw invalid(option, text, "Give a duration above 0 and up to 3650d, such as 2h or 30d.");
}

/**
 * Reads a duration that may be 0, up to a day, such as a delay.
 * @param option the option that errors name
 * @returns milliseconds
 */
export function parseDelay(text: string, option: string): number {
  const ms = millisecondsOf(text);
  if (ms >= 0 && ms <= LONGEST_DELAY_MS) return ms;
  throw invalid(option, text, "Give a duration from 0 and up to 1d, such as 0, 30s or 5m.");
}

const SHOWN_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** A number of milliseconds in the largest unit that it is whole in, such as `90s` or `6h`. */
export function showDuration(ms: number): string {
  const [unit, length] = SHOWN_UNITS.find((entry) => ms % entry[1] === 0) ?? ["ms", 1];
  return ms === 0 ? "0s" : `${ms / length}${unit}`;
}

/**
 * Reads a size such as `512Ki`, `64Mi` or `1Gi`.
 * @param option the option that errors name
 * @returns bytes; `INVALID_INPUT` for anything but a size above 0
 */
export function parseSize(text: string, option: string): number {
  const [, number, unit] = /^([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (BYTES[unit ?? ""] ?? Number.NaN));
  if (!(bytes > 0 && Number.isSafeInteger(bytes))) {
    throw invalid(option, text, "Give a size such as 512Ki, 64Mi or 1Gi.");
  }
  return bytes;
}

/**
 * Reads a whole number of at least 1.
 * @param option the option that errors name
 */
export function parseCount(text: string, option: string): number {
  const count = /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw invalid(option, text, "Give a whole number of at least 1.");
  return count;
}

/**
 * Reads a number of a port.
 * @param what the argument or option that errors name
 * @returns 1 to 65535; `INVALID_INPUT` for anything else
 */
export function parsePort(text: string, what: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw invalid(what, text, "Give a port from 1 to 65535.");
  return port;
}

/**
 * Reads a whole number from 0 on.
 * @param option the option that errors name
 */
export function parseOffset(text: string, option: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw invalid(option, text, "Give a whole number from 0 on.");
}

function invalid(option: string, text: string, suggestion: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `${option} cannot be "${text.slice(0, 80)}".`, {
    suggestion,
  });
}
