/**
 * Schemas of the values that a script's inputs take, made from what the script declares. The defaults
 * of inputs and the input of a run are held against the same ones.
 */
import { z } from "zod";

interface StringType {
  readonly type: "string";
  readonly enum?: readonly string[] | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
}

interface NumberType {
  readonly type: "integer" | "number";
  readonly enum?: readonly number[] | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
}

/** What an input takes, of what it declares. */
type ValueType =
  | { readonly type: "boolean" }
  | { readonly type: "array"; readonly items: ValueType; readonly maxItems?: number | undefined }
  | StringType
  | NumberType;

/** The schema of an input's values; its messages end a sentence that begins with the input's name. */
export function valueSchema(input: ValueType): z.ZodType {
  switch (input.type) {
    case "boolean":
      return z.boolean("must be true or false");
    case "array": {
      const list = z.array(valueSchema(input.items), "must be a list");
      const { maxItems } = input;
      return maxItems === undefined
        ? list
        : list.max(maxItems, `must have ${maxItems} items at most`);
    }
    case "string":
      return stringSchema(input);
    default:
      return numberSchema(input);
  }
}

function stringSchema({ enum: values, minLength = 0, maxLength }: StringType): z.ZodType {
  const text = z
    .string("must be a text")
    .min(minLength, `must have ${minLength} characters at least`);
  const bounded =
    maxLength === undefined
      ? text
      : text.max(maxLength, `must have ${maxLength} characters at most`);
  return oneOf(bounded, values);
}

function numberSchema({ type, enum: values, minimum, maximum }: NumberType): z.ZodType {
  let number = z.number(type === "integer" ? "must be a whole number" : "must be a number");
  if (type === "integer") number = number.int("must be a whole number");
  if (minimum !== undefined) number = number.min(minimum, `must be ${minimum} at least`);
  if (maximum !== undefined) number = number.max(maximum, `must be ${maximum} at most`);
  return oneOf(number, values);
}

function oneOf<T>(schema: z.ZodType<T>, values: readonly T[] | undefined): z.ZodType<T> {
  if (values === undefined) return schema;
  const names = values.map((value) => JSON.stringify(value)).join(", ");
  return schema.refine((value) => values.includes(value), `must be one of ${names}`);
}
