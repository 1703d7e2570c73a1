/**
 * The inputs that a stored script declares: a small part of JSON Schema, from which command-line
 * flags and the parameters of MCP tools are made. Patterns and references are left out on purpose:
 * who stores a script must not be able to keep the host busy with them.
 */
import { z } from "zod";
import { valueSchema } from "./input-values.js";
import { hasNoReservedKey, textSchema } from "./values.js";

/** The most characters of JSON that the inputs of a script have. */
const LARGEST = 65_536;

const described = { description: textSchema(1024).optional() };

const numberShape = {
  ...described,
  default: z.number().optional(),
  enum: z.array(z.number()).min(1).max(256).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
};

const scalars = [
  z.strictObject({
    type: z.literal("string"),
    ...described,
    default: textSchema(65_536).optional(),
    enum: z.array(textSchema(1024)).min(1).max(256).optional(),
    minLength: z.number().int().min(0).optional(),
    maxLength: z.number().int().min(0).optional(),
  }),
  z.strictObject({ type: z.literal("integer"), ...numberShape }),
  z.strictObject({ type: z.literal("number"), ...numberShape }),
  z.strictObject({ type: z.literal("boolean"), ...described, default: z.boolean().optional() }),
] as const;

const scalarSchema = z.discriminatedUnion("type", scalars, {
  error: "must have a type: string, integer, number or boolean",
});

const inputSchema = z.discriminatedUnion(
  "type",
  [
    ...scalars,
    z.strictObject({
      type: z.literal("array"),
      ...described,
      items: scalarSchema,
      default: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(),
      maxItems: z.number().int().min(0).optional(),
    }),
  ],
  { error: "must have a type: string, integer, number, boolean or array" },
);
export type ScriptInput = z.infer<typeof inputSchema>;

const inputName = z
  .string()
  .regex(
    /^[a-z][A-Za-z0-9_]{0,63}$/,
    "must begin with a small letter and hold only letters, digits and underscores, 64 at most",
  );

export const scriptInputsSchema = z
  .strictObject({
    type: z.literal("object").default("object"),
    properties: z
      .unknown()
      .refine(hasNoReservedKey, "must not use a reserved name (__proto__, constructor, prototype)")
      .pipe(
        z
          .record(inputName, inputSchema)
          .refine((inputs) => Object.keys(inputs).length <= 64, "must have 64 inputs at most"),
      )
      .default({}),
    required: z.array(z.string()).max(64).default([]),
  })
  .refine(({ required, properties }) => required.every((name) => Object.hasOwn(properties, name)), {
    message: "must not require an input that it does not have",
    path: ["required"],
  })
  .refine(
    (inputs) => JSON.stringify(inputs).length <= LARGEST,
    `must have ${LARGEST} characters of JSON at most`,
  )
  .superRefine(({ properties }, context) => {
    const flags = new Map<string, string>([["help", "the help"]]);
    for (const [name, input] of Object.entries(properties)) {
      const problem = problemOf(input) ?? takenFlag(flags, name, input);
      if (problem === undefined) continue;
      const [where, message] = problem;
      context.addIssue({ code: "custom", message, path: ["properties", name, ...where] });
    }
  });
export type ScriptInputs = z.infer<typeof scriptInputsSchema>;

/** The name of an input's flag, such as `dry-run` for `dryRun`. */
export function flagOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/_/g, "-")
    .toLowerCase();
}

/** The names of all flags of an input; that of a boolean can also be denied. */
export function flagsOf(name: string, { type }: Pick<ScriptInput, "type">): string[] {
  const flag = flagOf(name);
  return type === "boolean" ? [flag, `no-${flag}`] : [flag];
}

type Problem = readonly [path: readonly string[], message: string];

/** Two inputs with one flag could not be told apart. */
function takenFlag(
  flags: Map<string, string>,
  name: string,
  input: ScriptInput,
): Problem | undefined {
  for (const flag of flagsOf(name, input)) {
    const other = flags.get(flag);
    if (other !== undefined) return [[], `has the flag --${flag}, as ${other} has`];
    flags.set(flag, name);
  }
  return undefined;
}

/** What contradicts itself in an input. */
function problemOf(input: ScriptInput): Problem | undefined {
  if ("minimum" in input || "maximum" in input) {
    const { minimum = -Infinity, maximum = Infinity } = input;
    if (minimum > maximum) return [["minimum"], "must not be more than the maximum"];
  }
  if ("minLength" in input || "maxLength" in input) {
    const { minLength = 0, maxLength = Infinity } = input;
    if (minLength > maxLength) return [["minLength"], "must not be more than maxLength"];
  }
  const items = input.type === "array" ? problemOf(input.items) : undefined;
  if (items !== undefined) return [["items", ...items[0]], items[1]];
  if (input.type === "boolean" || input.type === "array") return problemOfDefault(input);
  const values: readonly (string | number)[] = input.enum ?? [];
  if (new Set(values).size < values.length) return [["enum"], "must not name a value twice"];
  const misfit = values.find(
    (value) => !valueSchema({ ...input, enum: undefined }).safeParse(value).success,
  );
  if (misfit !== undefined)
    return [["enum"], `allows ${JSON.stringify(misfit)}, which is not valid`];
  return problemOfDefault(input);
}

function problemOfDefault(input: ScriptInput): Problem | undefined {
  if (input.default === undefined) return undefined;
  const { error } = valueSchema(input).safeParse(input.default);
  return error === undefined
    ? undefined
    : [["default"], error.issues[0]?.message ?? "is not valid"];
}
