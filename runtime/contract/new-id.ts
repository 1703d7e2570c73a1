/** Makes ids. Loads nothing: what starts fast has ids too. */
import { randomFillSync } from "node:crypto";

const ALPHABET = "0123456789abcdefghijklmnopqrstuv";
const TAIL_LENGTH = 11;
/** Random bytes for many ids: to ask for a few costs as much as to ask for these. */
const random = Buffer.alloc(TAIL_LENGTH * 128);
let used = random.length;

/**
 * A new id: the prefix, nine characters of time (so that ids sort by age) and eleven random ones
 * (55 bits).
 */
export function newId(
  prefix: "spc" | "op" | "ins" | "fwd" | "usr" | "tok" | "req" | "run" | "sch" | "job",
): string {
  let time = Date.now();
  let stamp = "";
  for (let i = 0; i < 9; i++) {
    stamp = ALPHABET.charAt(time % 32) + stamp;
    time = Math.floor(time / 32);
  }
  let tail = "";
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  for (const byte of random.subarray(used, used + TAIL_LENGTH)) tail += ALPHABET.charAt(byte & 31);
  used += TAIL_LENGTH;
  return `${prefix}_${stamp}${tail}`;
}
