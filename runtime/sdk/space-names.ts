/** Names for spaces that are created without one: readable, and unlikely to be taken. */
import { randomInt } from "node:crypto";

const MANNERS =
  "amber brisk calm clear deep eager fair gentle golden keen light lively lucid mellow neat nimble quiet rapid silver solid still sunny swift warm";
const THINGS =
  "atlas bay brook cedar cliff comet cove dune fern field garden grove harbor heron isle lake maple meadow orbit pine reef river stone valley";

/** A new name, such as `quiet-harbor-7k2m9`. */
export function newSpaceName(): string {
  const tail = randomInt(32 ** 5)
    .toString(32)
    .padStart(5, "0");
  return `${oneOf(MANNERS)}-${oneOf(THINGS)}-${tail}`;
}

function oneOf(words: string): string {
  const all = words.split(" ");
  return all[randomInt(all.length)] ?? "plain";
}
