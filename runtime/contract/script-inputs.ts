/**
 * The inputs that a stored script declares: a small part of JSON Schema, from which command-line
 * flags and the parameters of MCP tools are made. Patterns and references are left out on purpose:
 * who stores a script must not be able to keep the host busy with them.
 */
import { z } from "zod";
import { textSchema } from "./values.js";

const described = { description: textSchema(1024).optional() };

const scalarSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("string"),
    ...described,
    default: textSchema(65_536).optional(),
    enum: z.array(textSchema(1024)).min(1).max(256).optional(),
    minLength: z.number().int().min(0).optional(),
    maxLength: z.number().int().min(0).optional(),
  }),
  z.strictObject({
    type: z.enum(["integer", "number"]),
    ...described,
    default: z.number().optional(),
    enum: z.array(z.number()).min(1).max(256).optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
  }),
  z.strictObject({ type: z.literal("boolean"), ...described, default: z.boolean().optional() }),
]);

const inputSchema = z.discriminatedUnion("type", [
  ...scalarSchema.options,
  z.strictObject({
    type: z.literal("array"),
    ...described,
    items: scalarSchema,
    default: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(),
    maxItems: z.number().int().min(0).optional(),
  }),
]);

const inputName = z
  .string()
  .regex(/^[a-z][A-Za-z0-9_]{0,63}$/, "must be a name of letters, digits and underscores")
  .refine((name) => name !== "constructor" && name !== "prototype", "must not be a reserved name");

export const scriptInputsSchema = z
  .strictObject({
    type: z.literal("object").default("object"),
    properties: z.record(inputName, inputSchema).default({}),
    required: z.array(z.string()).max(64).default([]),
  })
  .refine(({ properties }) => Object.keys(properties).length <= 64, "must have 64 inputs at most")
  .refine(
    ({ properties, required }) => required.every((name) => Object.hasOwn(properties, name)),
    "must not require an input that it does not have",
  );
export type ScriptInputs = z.infer<typeof scriptInputsSchema>;
