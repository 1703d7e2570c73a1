/** Templates: what a space is made from. */
import { z } from "zod";
import { fieldNameSchema, nameSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { envSchema, shellSchema, textSchema, timestampSchema } from "./values.js";

const absolutePath = textSchema(4096).regex(/^\//, "must be an absolute path");
const memory = z.string().regex(/^[1-9][0-9]*(Ki|Mi|Gi)$/, "must be a size such as 512Mi or 2Gi");

/** A template as its author writes it, in YAML. */
export const templateSpecSchema = z.strictObject({
  name: nameSchema,
  description: textSchema(1024).default(""),
  /** Where its spaces live; chosen by what is usable when absent. */
  driver: z.enum(["docker", "bubblewrap", "virtual"]).optional(),
  image: textSchema(512)
    .regex(/^[a-z0-9][a-z0-9._/:@-]*$/, "must be the name of an image")
    .optional(),
  shell: shellSchema.optional(),
  workdir: absolutePath.optional(),
  /** `uid:gid` or a user of the image; the owner's own uid when absent. */
  user: textSchema(64)
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/,
      "must be a user or uid:gid",
    )
    .optional(),
  env: envSchema.default({}),
  fields: z
    .array(
      z.strictObject({
        name: fieldNameSchema,
        description: textSchema(1024).default(""),
        default: textSchema(65_536).optional(),
        secret: z.boolean().default(false),
      }),
    )
    .max(100)
    .default([])
    .refine(
      (fields) => new Set(fields.map((field) => field.name)).size === fields.length,
      "must not define a field twice",
    ),
  ports: z
    .array(
      z.strictObject({
        port: z.number().int().min(1).max(65_535),
        name: nameSchema.optional(),
        description: textSchema(1024).default(""),
      }),
    )
    .max(100)
    .default([]),
  resources: z
    .strictObject({
      memory: memory.optional(),
      cpus: z.number().positive().max(1024).optional(),
      pids: z.number().int().min(1).max(4_194_304).optional(),
    })
    .default({}),
  network: z.enum(["open", "internal", "none"]).optional(),
  /** Commands that run once, at the first start. */
  setup: z.array(textSchema(65_536)).max(100).default([]),
  /** Commands that run at each start. */
  startup: z.array(textSchema(65_536)).max(100).default([]),
});
export type TemplateSpec = z.infer<typeof templateSpecSchema>;

const templateSchema = z.object({
  name: z.string(),
  description: z.string(),
  builtin: z.boolean(),
  spec: templateSpecSchema,
  /** The YAML text as its author gave it. */
  source: z.string(),
  updatedAt: timestampSchema.optional(),
});
export type Template = z.infer<typeof templateSchema>;

const byName = z.strictObject({ template: nameSchema });

export const templatesContract = {
  list: procedure
    .route({ method: "GET", path: "/templates", summary: "List the templates" })
    .meta({ permission: "UseSpaces", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(templateSchema) })),

  get: procedure
    .route({ method: "GET", path: "/templates/{template}", summary: "Get a template" })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errorsOf("TEMPLATE_NOT_FOUND"))
    .input(byName)
    .output(templateSchema),

  apply: procedure
    .route({ method: "POST", path: "/templates", summary: "Add or replace templates from YAML" })
    .meta({ permission: "ManageTemplates", audited: true, idempotent: true })
    .errors(errorsOf("TEMPLATE_INVALID", "CONFLICT"))
    .input(
      z.strictObject({
        /** One or more YAML documents, one template each. */
        source: textSchema(1_048_576),
        /** The name that errors show for the text. */
        filename: textSchema(4096).default("template.yaml"),
      }),
    )
    .output(
      z.object({
        items: z.array(
          z.object({ name: z.string(), result: z.enum(["created", "updated", "unchanged"]) }),
        ),
      }),
    ),

  delete: procedure
    .route({ method: "DELETE", path: "/templates/{template}", summary: "Delete a template" })
    .meta({ permission: "ManageTemplates", audited: true })
    .errors(errorsOf("TEMPLATE_NOT_FOUND", "TEMPLATE_IN_USE", "CONFLICT"))
    .input(byName)
    .output(z.object({})),
};
