/**
 * Runs: the record of every script that was run, whoever ran it: what it was, what it printed, which
 * calls it made and how it ended. Runs that are under way can be followed and cancelled.
 */
import { eventIterator } from "@orpc/contract";
import { z } from "zod";
import { nameSchema, spaceRefSchema } from "./ids.js";
import { permissionSchema } from "./permissions.js";
import { errorsOf, procedure } from "./procedure.js";
import {
  durationMsSchema,
  jsonSchema,
  pagingShape,
  serializedErrorSchema,
  textSchema,
  timestampSchema,
} from "./values.js";

export const runIdSchema = z.string().regex(/^run_[0-9a-v]{20}$/, "must be the id of a run");

/**
 * `interrupted`: the process that ran it ended before the script did; what its last calls did is told
 * by `lastFinishedCall` and `openCalls`.
 */
export const runStatusSchema = z.enum([
  "running",
  "succeeded",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
]);
export type RunStatus = z.infer<typeof runStatusSchema>;

export const runCallSchema = z.object({
  /** Counts the calls of the run, from 1. */
  seq: z.number().int(),
  /** The name of the call, such as `spaces.start`. */
  procedure: z.string(),
  /** Keyed hash of the input's JSON: equal inputs of one installation have equal digests. */
  inputDigest: z.string(),
  /** Milliseconds since the start of the run. */
  startedMs: z.number(),
  durationMs: z.number().optional(),
  /** `ok`, the code of an error; `running`, or `unknown` where the run ended meanwhile. */
  outcome: z.string(),
});
export type RunCall = z.infer<typeof runCallSchema>;

/** What had the script run. */
const triggerSchema = z.object({
  kind: z.enum(["cli", "api", "mcp", "repl", "schedule", "script"]),
  /** The schedule's name, its job, and the time the job was due; of `schedule`. */
  schedule: z.string().optional(),
  job: z.string().optional(),
  dueAt: timestampSchema.optional(),
  /** Counts from 1. */
  attempt: z.number().int().optional(),
  /** The run whose script ran this one; of `script`. */
  parent: z.string().optional(),
  rerunOf: z.string().optional(),
});
export type RunTrigger = z.infer<typeof triggerSchema>;

const openedSchema = z.union([z.literal(true), z.array(z.string())]);

export const runSchema = z.object({
  id: runIdSchema,
  status: runStatusSchema,
  script: z.object({
    /** Of a stored script. */
    name: z.string().optional(),
    version: z.number().int().optional(),
    filename: z.string(),
    language: z.enum(["javascript", "typescript", "native"]),
    /** Of the source, in hexadecimal. */
    sha256: z.string(),
  }),
  args: z.array(z.string()),
  input: z.unknown().meta({ description: "Any JSON value." }).optional(),
  actor: z.object({ id: z.string(), name: z.string() }),
  /** Where its calls went. */
  binding: z.enum(["in-process", "remote"]),
  /** The server, of `remote`. */
  url: z.string().optional(),
  trigger: triggerSchema,
  /** The space that it was bound to, as it was given. */
  space: z.string().optional(),
  permissions: z.object({
    /** What it could do of what its starter may; all of it when absent. */
    grant: z.array(permissionSchema).optional(),
    net: openedSchema.optional(),
    env: openedSchema.optional(),
  }),
  limits: z.object({ timeoutMs: z.number().optional(), memoryBytes: z.number().optional() }),
  startedAt: timestampSchema,
  endedAt: timestampSchema.optional(),
  durationMs: z.number().optional(),
  exitCode: z.number().int().optional(),
  error: serializedErrorSchema.optional(),
  /** Limits that it ran into. */
  limitsHit: z.array(z.enum(["time", "memory", "output", "calls"])),
  /** How many calls it made. */
  calls: z.number().int(),
  /** Bytes of output that are kept. */
  outputBytes: z.number().int(),
  /** Of an interrupted run: the last call that is known to have ended. */
  lastFinishedCall: runCallSchema.optional(),
  /** Of an interrupted run: the calls of which nobody knows whether they were done. */
  openCalls: z.array(runCallSchema).optional(),
});
export type Run = z.infer<typeof runSchema>;

const runEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["stdout", "stderr"]),
    /** Counts the entries of the record; the id by which a broken stream goes on. */
    seq: z.number().int(),
    at: timestampSchema,
    text: z.string(),
  }),
  z.object({
    type: z.literal("call"),
    seq: z.number().int(),
    at: timestampSchema,
    call: runCallSchema,
  }),
  z.object({ type: z.literal("end"), seq: z.number().int(), run: runSchema }),
]);
export type RunEvent = z.infer<typeof runEventSchema>;

const oneRun = z.strictObject({ run: runIdSchema });

/** What a script is run with, beside the script itself. */
export const runSettingsShape = {
  args: z.array(textSchema(131_072)).max(4096).default([]),
  /** What `runtime.input` gives; held against the script's inputs where it declares some. */
  input: jsonSchema.optional(),
  /** The space that it runs in; native scripts need one. */
  space: spaceRefSchema.optional(),
  timeoutMs: durationMsSchema.default(30_000),
  /**
   * What it may do, of what its starter may. A sandboxed script may do all of it when absent. A
   * native one may do nothing then; otherwise it finds `SPACES_URL` and a `SPACES_TOKEN` in its
   * environment that is valid while it runs.
   */
  grant: z.array(permissionSchema).max(64).optional(),
};

export const runsContract = {
  start: procedure
    .route({
      method: "POST",
      path: "/runs",
      successStatus: 201,
      summary: "Start a stored script, or a source, and do not wait for its end",
    })
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
      z
        .strictObject({
          ...runSettingsShape,
          /** The name of a stored script. */
          script: nameSchema.optional(),
          /** A version of it; the newest when absent. */
          version: z.number().int().min(1).optional(),
          /** The text of a script, in place of a stored one. */
          source: z.string().max(1_048_576, "must be 1 MiB at most").optional(),
          /** What errors call the source; its ending tells the language. */
          filename: textSchema(255)
            .regex(/^[\w.-]+\.(js|mjs|ts|mts)$/, "must be a file name that ends in .js or .ts")
            .optional(),
        })
        .refine(
          ({ script, source }) => (script === undefined) !== (source === undefined),
          "must give either script or source",
        ),
    )
    .output(runSchema),

  list: procedure
    .route({ method: "GET", path: "/runs", summary: "List runs, the newest first" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .input(
      z
        .strictObject({
          status: runStatusSchema.optional(),
          /** Runs of this stored script. */
          script: nameSchema.optional(),
          /** Runs of this schedule. */
          schedule: nameSchema.optional(),
          /** Runs of every owner; needs the permission ViewAudit. */
          all: z.boolean().optional(),
          ...pagingShape,
        })
        .default({}),
    )
    .output(z.object({ items: z.array(runSchema), nextCursor: z.string().optional() })),

  get: procedure
    .route({ method: "GET", path: "/runs/{run}", summary: "Get the record of a run" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("RUN_NOT_FOUND"))
    .input(oneRun)
    .output(runSchema),

  calls: procedure
    .route({ method: "GET", path: "/runs/{run}/calls", summary: "List the calls that a run made" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("RUN_NOT_FOUND"))
    .input(oneRun.extend(pagingShape))
    .output(z.object({ items: z.array(runCallSchema), nextCursor: z.string().optional() })),

  follow: procedure
    .route({
      method: "GET",
      path: "/runs/{run}/output",
      summary: "Follow the output of a run from its beginning, until it ends",
    })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("RUN_NOT_FOUND"))
    .input(
      oneRun.extend({
        /** Entries up to this one are left out. */
        after: z.number().int().min(0).default(0),
        /** Also the calls, each when it ends. */
        calls: z.boolean().default(false),
        /** Ends behind what is recorded so far, with the run as it is. */
        now: z.boolean().default(false),
      }),
    )
    .output(eventIterator(runEventSchema)),

  wait: procedure
    .route({ method: "POST", path: "/runs/{run}/wait", summary: "Wait until a run has ended" })
    .meta({ permission: "ExecuteScripts", idempotent: true })
    .errors(errorsOf("RUN_NOT_FOUND"))
    .input(oneRun.extend({ timeoutMs: durationMsSchema.default(60_000) }))
    .output(runSchema),

  cancel: procedure
    .route({
      method: "POST",
      path: "/runs/{run}/cancel",
      summary: "Cancel a run; one that has ended stays as it is",
    })
    .meta({ permission: "ExecuteScripts", audited: true, idempotent: true })
    .errors(errorsOf("RUN_NOT_FOUND"))
    .input(oneRun)
    .output(runSchema),

  rerun: procedure
    .route({
      method: "POST",
      path: "/runs/{run}/rerun",
      successStatus: 201,
      summary: "Start what a run ran once more, with the same source, arguments and permissions",
    })
    .meta({ permission: "ExecuteScripts", audited: true })
    .errors(errorsOf("RUN_NOT_FOUND", "SPACE_NOT_FOUND", "SPACE_NOT_RUNNING", "LIMIT_EXCEEDED"))
    .input(oneRun)
    .output(runSchema),

  delete: procedure
    .route({ method: "DELETE", path: "/runs/{run}", summary: "Delete the record of a run" })
    .meta({ permission: "ExecuteScripts", audited: true })
    .errors(errorsOf("RUN_NOT_FOUND", "CONFLICT"))
    .input(oneRun)
    .output(z.object({})),
};
