/** Schemas of the values that several domains share. */
import { z } from "zod";

/** Keys that would reach into an object's prototype where code is careless. */
const RESERVED_KEYS = new Set(["__proto__", "constructor", "prototype"]);

const noNul = (text: string): boolean => !text.includes("\0");
/** Half of a surrogate pair has no form in UTF-8: it would arrive as another text. */
export const LONE_SURROGATE = /\p{Surrogate}/u;

/** Text that can be carried everywhere: NUL is for neither argument lists nor environments. */
export const textSchema = (maxLength: number) =>
  z
    .string()
    .max(maxLength, `must be ${maxLength} characters at most`)
    .refine(noNul, "must not contain a NUL character")
    .refine((text) => !LONE_SURROGATE.test(text), "must be well-formed Unicode text");

/**
 * Whether an object has none of the reserved keys. They are looked for in the input itself: parsing
 * would drop `__proto__` without a word.
 */
export function hasNoReservedKey(map: unknown): boolean {
  return !Object.keys(map ?? {}).some((name) => RESERVED_KEYS.has(name));
}

/** A map with keys that users choose. */
function mapSchema(key: z.ZodType<string, string>, value: z.ZodType<string, string>, most: number) {
  return z
    .unknown()
    .refine(hasNoReservedKey, "must not use a reserved key (__proto__, constructor, prototype)")
    .pipe(
      z
        .record(key, value)
        .refine((map) => Object.keys(map).length <= most, `must have ${most} entries at most`),
    );
}

export const envSchema = mapSchema(
  z
    .string()
    .regex(
      /^[A-Za-z_][A-Za-z0-9_]{0,254}$/,
      "must be a name of letters, digits and underscores, not starting with a digit",
    ),
  textSchema(131_072),
  256,
);

export const metadataSchema = mapSchema(
  z.string().min(1, "must not be empty").max(128, "must be 128 characters at most").refine(noNul),
  textSchema(4096),
  64,
);

export const fieldValuesSchema = mapSchema(z.string().min(1).max(64), textSchema(65_536), 256);

export const shellSchema = z.enum(["bash", "zsh", "fish", "sh"]);

/** A span of time in milliseconds, up to a week. */
export const durationMsSchema = z
  .number()
  .positive("must be more than 0")
  .max(604_800_000, "must be a week at most");

/** A point in time, ISO 8601 in UTC. */
export const timestampSchema = z.string();

export const serializedErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  suggestion: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** Any JSON value, of 256 KiB at most. */
export const jsonSchema = z
  .json()
  .refine((value) => JSON.stringify(value).length <= 262_144, "must be 256 KiB of JSON at most");

export type JsonValue = z.infer<typeof jsonSchema>;

/** A page of a list: how many, and from where. */
export const pagingShape = {
  limit: z.number().int().min(1).max(1000).optional(),
  cursor: z.string().max(512).optional(),
};
