/** Turns the contract's schemas into JSON Schema, for the OpenAPI document and for reading queries. */
import { ZodToJsonSchemaConverter } from "@orpc/zod/zod4";
import { z } from "zod";

/** Makes a converter. */
export function schemaConverter(): ZodToJsonSchemaConverter {
  return new ZodToJsonSchemaConverter({
    interceptors: [
      ({ next, ...options }) => {
        const { schema } = options;
        // Maps are looked at raw before they are parsed: what they are is told by the second step.
        const isMap = schema instanceof z.ZodPipe && schema.in instanceof z.ZodUnknown;
        return next(isMap ? { ...options, schema: schema.out } : options);
      },
    ],
  });
}
