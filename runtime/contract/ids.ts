/** Ids and names: how they are made, and the forms that are accepted from outside. */
import { randomFillSync } from "node:crypto";
import { z } from "zod";

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

const NAME_RULE =
  "must start with a lower-case letter or digit and hold only lower-case letters, digits and hyphens, 63 at most";

/** The name of a space, template or stored script. */
export const nameSchema = z
  .string()
  .max(63, NAME_RULE)
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, NAME_RULE);

/** A space, by id (`spc_…`) or by name. */
export const spaceRefSchema = z
  .string()
  .max(63, "must be the id or the name of a space")
  .regex(/^(spc_[0-9a-v]{20}|[a-z0-9][a-z0-9-]{0,62})$/, "must be the id or the name of a space");

/** The name of a field as a template defines it. */
export const fieldNameSchema = z
  .string()
  .max(64, "must be 64 characters at most")
  .regex(
    /^[A-Za-z][A-Za-z0-9_-]*$/,
    "must start with a letter and hold only letters, digits, hyphens and underscores",
  );
