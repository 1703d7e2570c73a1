/** Stored scripts: saved in versions, run by name, in a sandbox or natively in a space. */
import { z } from "zod";
import { nameSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { runSettingsShape } from "./runs.js";
import { scriptInputsSchema } from "./script-inputs.js";
import { serializedErrorSchema, textSchema, timestampSchema } from "./values.js";

/** `native` scripts start with `#!` and run inside of a space. */
const languageSchema = z.enum(["javascript", "typescript", "native"]);
/** A `lib` is imported by other stored scripts, as `./name`, and not run itself. */
export const kindSchema = z.enum(["script", "lib"]);

const scriptSchema = z.object({
  name: z.string(),
  description: z.string(),
  language: languageSchema,
  kind: kindSchema,
  /** Whether MCP clients are given it as a tool of its own. */
  tool: z.boolean(),
  inputs: scriptInputsSchema.optional(),
  /** Whether it is everybody's; a script of one's own of the same name goes before it. */
  global: z.boolean(),
  /** Counts the times that it was saved, from 1. */
  version: z.number().int(),
  /** Of the source, in hexadecimal. */
  sha256: z.string(),
  source: z.string(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Script = z.infer<typeof scriptSchema>;

const listedSchema = scriptSchema.omit({ source: true }).extend({
  /** A global one that the caller's own of the same name goes before. */
  shadowed: z.boolean(),
});
export type ListedScript = z.infer<typeof listedSchema>;

const versionSchema = scriptSchema
  .pick({
    version: true,
    sha256: true,
    language: true,
    kind: true,
    tool: true,
    description: true,
    createdAt: true,
  })
  .extend({
    /** Who saved it. */
    createdBy: z.string(),
    /** Bytes of the source. */
    size: z.number().int(),
    isCurrent: z.boolean(),
  });
export type ScriptVersion = z.infer<typeof versionSchema>;

export const scriptRunSchema = z.object({
  exitCode: z.number().int(),
  output: z.string(),
  truncated: z.boolean(),
  durationMs: z.number(),
  error: serializedErrorSchema.optional(),
  /** The record of the run. */
  run: z.string(),
});
export type ScriptRun = z.infer<typeof scriptRunSchema>;

/** The caller's own where it has one of this name, else the global one. */
const byName = z.strictObject({ script: nameSchema });
/** Means the global one alone; changing it needs the permission ManageGlobalScripts. */
const globalSchema = z.boolean().default(false);

export const scriptsContract = {
  save: procedure
    .route({ method: "PUT", path: "/scripts/{script}", summary: "Save a script as a new version" })
    .meta({ permission: "ManageScripts", audited: true, idempotent: true })
    .errors(errorsOf("INVALID_INPUT", "CONFLICT"))
    .input(
      z.strictObject({
        script: nameSchema,
        /**
         * May begin with a header, behind a shebang: a comment that begins with a line of slash, star
         * and three dashes and ends with three dashes, star and slash. In YAML it gives `description`,
         * `kind`, `tool` and `inputs`. What is given beside the source goes before it.
         */
        source: z.string().max(1_048_576, "must be 1 MiB at most"),
        description: textSchema(1024).optional(),
        /** Told from the source when absent: `native` with a shebang, else TypeScript. */
        language: languageSchema.optional(),
        kind: kindSchema.optional(),
        tool: z.boolean().optional(),
        inputs: scriptInputsSchema.optional(),
        /** Saves only while this is the newest version, 0 for none; `CONFLICT` otherwise. */
        ifVersion: z.number().int().min(0).optional(),
        global: globalSchema,
      }),
    )
    .output(scriptSchema),

  get: procedure
    .route({ method: "GET", path: "/scripts/{script}", summary: "Get a script" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(
      byName.extend({
        /** The newest when absent. */
        version: z.number().int().min(1).optional(),
        global: globalSchema,
      }),
    )
    .output(scriptSchema),

  list: procedure
    .route({ method: "GET", path: "/scripts", summary: "List the scripts, without their sources" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(listedSchema) })),

  history: procedure
    .route({
      method: "GET",
      path: "/scripts/{script}/versions",
      summary: "List the versions of a script, the newest first",
    })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(byName.extend({ global: globalSchema }))
    .output(z.object({ items: z.array(versionSchema) })),

  rollback: procedure
    .route({
      method: "POST",
      path: "/scripts/{script}/rollback",
      summary: "Save an earlier version of a script once more, as its newest",
    })
    .meta({ permission: "ManageScripts", audited: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(
      byName.extend({
        /** The one before the newest when absent. */
        version: z.number().int().min(1).optional(),
        global: globalSchema,
      }),
    )
    .output(scriptSchema),

  delete: procedure
    .route({
      method: "DELETE",
      path: "/scripts/{script}",
      summary: "Delete a script with all of its versions",
    })
    .meta({ permission: "ManageScripts", audited: true })
    .errors(errorsOf("SCRIPT_NOT_FOUND"))
    .input(byName.extend({ global: globalSchema }))
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
      byName.extend({
        /** The newest when absent. */
        version: z.number().int().min(1).optional(),
        ...runSettingsShape,
      }),
    )
    .output(scriptRunSchema),
};
