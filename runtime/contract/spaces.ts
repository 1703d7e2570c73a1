/** Spaces: what can be asked about their life. */
import { z } from "zod";
import { nameSchema, spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import {
  durationMsSchema,
  envSchema,
  fieldValuesSchema,
  metadataSchema,
  pagingShape,
  serializedErrorSchema,
  shellSchema,
  textSchema,
  timestampSchema,
} from "./values.js";

/** The states of a space. */
export const statusSchema = z.enum([
  "creating",
  "stopped",
  "starting",
  "running",
  "stopping",
  "error",
  "destroyed",
]);
export type SpaceStatus = z.infer<typeof statusSchema>;

const descriptionSchema = textSchema(1024);

/** Milliseconds, up to ten years. */
const ttlMsSchema = z.number().positive("must be more than 0").max(315_360_000_000);

export const spaceSchema = z.object({
  id: z.string(),
  name: z.string(),
  owner: z.string(),
  template: z.string(),
  description: z.string(),
  shell: shellSchema,
  status: statusSchema,
  activity: z.enum(["idle", "busy"]).optional(),
  isRunning: z.boolean(),
  /** Where the space lives; decided when it is created and kept from then on. */
  driver: z.string(),
  image: z.string().optional(),
  /**
   * How commands reached it at its last start: by the guest agent, or by the driver's own, slower
   * means, where processes cannot outlive their caller and ports cannot be forwarded.
   */
  access: z.enum(["agent", "exec"]).optional(),
  workdir: z.string(),
  env: z.record(z.string(), z.string()),
  metadata: z.record(z.string(), z.string()),
  /** Values of the fields; a secret one shows as `***`. */
  fields: z.record(z.string(), z.string()),
  createdAt: timestampSchema,
  /** When the space is deleted by itself; absent where it stays. */
  expiresAt: timestampSchema.optional(),
  updatedAt: timestampSchema,
  startedAt: timestampSchema.optional(),
  /** When a command last began or ended in the space. */
  lastActiveAt: timestampSchema.optional(),
  lastError: serializedErrorSchema.extend({ at: timestampSchema }).optional(),
  /** Host path of the space's files; local bindings only. */
  workspace: z.string().optional(),
});
export type Space = z.infer<typeof spaceSchema>;

const bySpace = z.strictObject({ space: spaceRefSchema });

const base = procedure.meta({ permission: "UseSpaces" });

export const spacesContract = {
  create: base
    .route({ method: "POST", path: "/spaces", successStatus: 201, summary: "Create a space" })
    .meta({ permission: "UseSpaces", audited: true })
    .errors(
      errorsOf(
        "SPACE_EXISTS",
        "TEMPLATE_NOT_FOUND",
        "FIELD_NOT_DEFINED",
        "DRIVER_UNAVAILABLE",
        "UNSUPPORTED",
      ),
    )
    .input(
      z.strictObject({
        name: nameSchema,
        template: nameSchema.default("default"),
        description: descriptionSchema.optional(),
        shell: shellSchema.optional(),
        driver: nameSchema.optional(),
        env: envSchema.optional(),
        fields: fieldValuesSchema.optional(),
        metadata: metadataSchema.optional(),
        /** Milliseconds until the space is deleted with all that is in it; never when absent. */
        ttlMs: ttlMsSchema.optional(),
      }),
    )
    .output(spaceSchema),

  get: base
    .route({ method: "GET", path: "/spaces/{space}", summary: "Get a space" })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errorsOf("SPACE_NOT_FOUND"))
    .input(bySpace)
    .output(spaceSchema),

  list: base
    .route({ method: "GET", path: "/spaces", summary: "List spaces, oldest first" })
    .meta({ permission: "UseSpaces", idempotent: true })
    .input(
      z
        .strictObject({
          status: statusSchema.optional(),
          template: nameSchema.optional(),
          driver: nameSchema.optional(),
          /** Only spaces that carry all of these. */
          metadata: metadataSchema.optional(),
          /** Also the spaces of others; needs `ManageSpaces`. */
          all: z.boolean().optional(),
          ...pagingShape,
        })
        .default({}),
    )
    .output(z.object({ items: z.array(spaceSchema), nextCursor: z.string().optional() })),

  update: base
    .route({ method: "PATCH", path: "/spaces/{space}", summary: "Change a space" })
    .meta({ permission: "UseSpaces", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "SPACE_EXISTS", "SPACE_RUNNING"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        name: nameSchema.optional(),
        description: descriptionSchema.optional(),
        shell: shellSchema.optional(),
        /** Replaces the space's own environment; commands started from now on have it. */
        env: envSchema.optional(),
        /** Replaces the metadata. */
        metadata: metadataSchema.optional(),
      }),
    )
    .output(spaceSchema),

  extend: base
    .route({
      method: "POST",
      path: "/spaces/{space}/extend",
      summary: "Put off the time at which a space is deleted",
    })
    .meta({ permission: "UseSpaces", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "CONFLICT"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        /** Milliseconds, added to the time at which it expires. */
        durationMs: ttlMsSchema,
      }),
    )
    .output(spaceSchema),

  start: base
    .route({ method: "POST", path: "/spaces/{space}/start", summary: "Start a space" })
    .meta({ permission: "UseSpaces", audited: true, idempotent: true })
    .errors(
      errorsOf("SPACE_NOT_FOUND", "SPACE_START_FAILED", "DRIVER_UNAVAILABLE", "IMAGE_NOT_FOUND"),
    )
    .input(bySpace)
    .output(spaceSchema),

  stop: base
    .route({ method: "POST", path: "/spaces/{space}/stop", summary: "Stop a space" })
    .meta({ permission: "UseSpaces", audited: true, idempotent: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "DRIVER_UNAVAILABLE"))
    .input(bySpace)
    .output(spaceSchema),

  restart: base
    .route({ method: "POST", path: "/spaces/{space}/restart", summary: "Restart a running space" })
    .meta({ permission: "UseSpaces", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "SPACE_NOT_RUNNING", "SPACE_START_FAILED"))
    .input(bySpace)
    .output(spaceSchema),

  delete: base
    .route({ method: "DELETE", path: "/spaces/{space}", summary: "Delete a stopped space" })
    .meta({ permission: "UseSpaces", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "SPACE_RUNNING"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        /** Stops a running space first. */
        force: z.boolean().optional(),
      }),
    )
    .output(z.object({})),

  wait: base
    .route({
      method: "POST",
      path: "/spaces/{space}/wait",
      summary: "Wait until a space has a status",
    })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "CONFLICT"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        status: statusSchema,
        timeoutMs: durationMsSchema.default(60_000),
      }),
    )
    .output(spaceSchema),
};
