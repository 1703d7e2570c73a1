/** Stored scripts: saved once, run by name, in a sandbox or natively in a space. */
import { z } from "zod";
import { nameSchema, spaceRefSchema } from "./ids.js";
import { permissionSchema } from "./permissions.js";
import { errorsOf, procedure } from "./procedure.js";
import { durationMsSchema, serializedErrorSchema, textSchema, timestampSchema } from "./values.js";

const scriptSchema = z.object({
  name: z.string(),
  description: z.string(),
  /** `native` scripts start with `#!` and run inside of a space. */
  language: z.enum(["javascript", "typescript", "native"]),
  source: z.string(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Script = z.infer<typeof scriptSchema>;

export const scriptRunSchema = z.object({
  exitCode: z.number().int(),
  output: z.string(),
  truncated: z.boolean(),
  durationMs: z.number(),
  error: serializedErrorSchema.optional(),
});
export type ScriptRun = z.infer<typeof scriptRunSchema>;

const byName = z.strictObject({ script: nameSchema });

export const scriptsContract = {
  save: procedure
    .route({ method: "PUT", path: "/scripts/{script}", summary: "Save a script" })
    .meta({ permission: "ManageScripts", audited: true, idempotent: true })
    .errors(errorsOf("INVALID_INPUT"))
    .input(
      z.strictObject({
        script: nameSchema,
        source: z.string().max(1_048_576, "must be 1 MiB at most"),
        description: textSchema(1024).optional(),
        /** Told from the source when absent: `native` with a shebang, else TypeScript. */
        language: z.enum(["javascript", "typescript", "native"]).optional(),
      }),
    )
    .output(scriptSchema),

  get: procedure
    .route({ method: "GET", path: "/scripts/{script}", summary: "Get a script" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(byName)
    .output(scriptSchema),

  list: procedure
    .route({ method: "GET", path: "/scripts", summary: "List the scripts, without their sources" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(scriptSchema.omit({ source: true })) })),

  delete: procedure
    .route({ method: "DELETE", path: "/scripts/{script}", summary: "Delete a script" })
    .meta({ permission: "ManageScripts", audited: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(byName)
    .output(z.object({})),

  run: procedure
    .route({ method: "POST", path: "/scripts/{script}/run", summary: "Run a script" })
    .meta({ permission: "ExecuteScripts", audited: true })
    .errors(
      errorsOf(
        "SCRIPT_NOT_FOUND",
        "SPACE_NOT_FOUND",
        "SPACE_NOT_RUNNING",
        "UNSUPPORTED",
        "LIMIT_EXCEEDED",
      ),
    )
    .input(
      z.strictObject({
        script: nameSchema,
        /** The space that the script runs in; native scripts need one. */
        space: spaceRefSchema.optional(),
        args: z.array(textSchema(131_072)).max(4096).default([]),
        timeoutMs: durationMsSchema.default(30_000),
        /**
         * What it may do, of what its starter may. A sandboxed script may do all of it when absent.
         * A native one may do nothing then; otherwise it finds `SPACES_URL` and a `SPACES_TOKEN` in
         * its environment that is valid while it runs.
         */
        grant: z.array(permissionSchema).max(64).optional(),
      }),
    )
    .output(scriptRunSchema),
};
