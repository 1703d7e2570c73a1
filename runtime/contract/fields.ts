/** Fields: named values of a space, defined by its template. */
import { z } from "zod";
import { fieldNameSchema, spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { textSchema } from "./values.js";

const fieldSchema = z.object({
  name: z.string(),
  description: z.string(),
  secret: z.boolean(),
  /** The value, or the template's default; `***` for a secret that has a value. */
  value: z.string(),
  isSet: z.boolean(),
});
export type Field = z.infer<typeof fieldSchema>;

const errors = errorsOf("SPACE_NOT_FOUND", "FIELD_NOT_DEFINED");

export const fieldsContract = {
  get: procedure
    .route({
      method: "GET",
      path: "/spaces/{space}/fields/{field}",
      summary: "Get the value of a field, in clear",
    })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errors)
    .input(z.strictObject({ space: spaceRefSchema, field: fieldNameSchema }))
    .output(
      z.object({
        value: z.string(),
        /** Whether it is to be kept out of lists, logs and output. */
        secret: z.boolean(),
      }),
    ),

  set: procedure
    .route({
      method: "PUT",
      path: "/spaces/{space}/fields/{field}",
      summary: "Set the value of a field",
    })
    .meta({ permission: "UseSpaces", audited: true, idempotent: true })
    .errors(errors)
    .input(
      z.strictObject({ space: spaceRefSchema, field: fieldNameSchema, value: textSchema(65_536) }),
    )
    .output(z.object({ secret: z.boolean() })),

  list: procedure
    .route({ method: "GET", path: "/spaces/{space}/fields", summary: "List the fields of a space" })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errorsOf("SPACE_NOT_FOUND"))
    .input(z.strictObject({ space: spaceRefSchema }))
    .output(z.object({ items: z.array(fieldSchema) })),
};
