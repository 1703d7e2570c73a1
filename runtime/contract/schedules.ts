/**
 * Schedules: stored scripts that are run at times, and jobs: each time that one was due, with what
 * became of it.
 */
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

/** Five fields, six with seconds in front, or a name such as `@daily`. */
const cronSchema = textSchema(256).min(1, "must not be empty");
/** A name of the IANA time zone database. */
const timezoneSchema = textSchema(64).min(1, "must not be empty");

const notifySchema = z.strictObject({
  /** Sent a POST with JSON, signed with HMAC-SHA256 where a secret is given. */
  webhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).max(2048),
      /** Never shown again. */
      secret: textSchema(256).min(8, "must have 8 characters at least").optional(),
    })
    .optional(),
  /** A command line that is run in a space of the owner's; it finds the report on standard input. */
  command: z
    .strictObject({
      /** The schedule's own when absent. */
      space: spaceRefSchema.optional(),
      command: textSchema(131_072).min(1, "must not be empty"),
    })
    .optional(),
});

const specShape = {
  description: textSchema(1024),
  cron: cronSchema,
  timezone: timezoneSchema,
  /** A stored script, looked up when a job runs: the owner's own, else a global one. */
  script: nameSchema,
  /** A version of the script; the newest at that time when absent. */
  scriptVersion: z.number().int().min(1).nullable(),
  /** The space that the script's `space` module is bound to. */
  space: spaceRefSchema.nullable(),
  args: z.array(textSchema(131_072)).max(256),
  input: jsonSchema.nullable(),
  /** When a job is due while the one before it runs. */
  overlap: z.enum(["skip", "queue", "cancel", "allow"]),
  /** When jobs were due while nothing ran them: none of them, the newest one, or every one. */
  missed: z.enum(["skip", "once", "all"]),
  /** Missed jobs that were due longer ago are left out. Milliseconds. */
  missedWindowMs: durationMsSchema,
  /** Each job begins later by a random time up to this. Milliseconds. */
  jitterMs: z.number().min(0).max(86_400_000, "must be a day at most"),
  /** Time for each attempt. Milliseconds. */
  timeoutMs: durationMsSchema,
  /** Further attempts after one that failed. */
  retries: z.number().int().min(0).max(20),
  /** Before the second attempt; it doubles for each further one. Milliseconds. */
  retryDelayMs: z.number().min(0).max(86_400_000, "must be a day at most"),
  /** What the script may do, of what the owner may when it runs; all of it when null. */
  grant: z.array(permissionSchema).max(64).nullable(),
  notify: notifySchema.nullable(),
};

/** A schedule as its author writes it, on the command line or in YAML. */
export const scheduleSpecSchema = z.strictObject({
  name: nameSchema,
  description: specShape.description.default(""),
  cron: specShape.cron,
  timezone: specShape.timezone.default("UTC"),
  script: specShape.script,
  scriptVersion: specShape.scriptVersion.default(null),
  space: specShape.space.default(null),
  args: specShape.args.default([]),
  input: specShape.input.default(null),
  overlap: specShape.overlap.default("skip"),
  missed: specShape.missed.default("once"),
  missedWindowMs: specShape.missedWindowMs.default(21_600_000),
  jitterMs: specShape.jitterMs.default(0),
  timeoutMs: specShape.timeoutMs.default(3_600_000),
  retries: specShape.retries.default(0),
  retryDelayMs: specShape.retryDelayMs.default(30_000),
  grant: specShape.grant.default(null),
  notify: specShape.notify.default(null),
  paused: z.boolean().default(false),
});
export type ScheduleSpec = z.infer<typeof scheduleSpecSchema>;

/**
 * `skipped`: not run, for another job ran, or for the owner may not any more; `missed`: not run, for
 * nothing was there to run it in time; `interrupted`: what ran it ended before it was done.
 */
export const jobStatusSchema = z.enum([
  "pending",
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "interrupted",
  "skipped",
  "missed",
]);
export type JobStatus = z.infer<typeof jobStatusSchema>;

const jobSchema = z.object({
  id: z.string(),
  /** The schedule's name. */
  schedule: z.string(),
  dueAt: timestampSchema,
  /** `manual`: somebody asked for it now. */
  trigger: z.enum(["due", "manual"]),
  status: jobStatusSchema,
  /** Attempts that were begun. */
  attempts: z.number().int(),
  startedAt: timestampSchema.optional(),
  endedAt: timestampSchema.optional(),
  /** From when it was due, with its jitter, to when its first attempt began. */
  lagMs: z.number().optional(),
  /** The run of its last attempt. */
  run: z.string().optional(),
  exitCode: z.number().int().optional(),
  error: serializedErrorSchema.optional(),
  /** Why it was not run, or not to its end. */
  reason: z.string().optional(),
  /** What became of the notification, where there was to be one. */
  notification: z
    .object({ status: z.enum(["pending", "sent", "failed"]), error: z.string().optional() })
    .optional(),
});
export type Job = z.infer<typeof jobSchema>;

const scheduleSchema = z.object({
  ...scheduleSpecSchema.shape,
  id: z.string(),
  notify: notifySchema
    .extend({
      webhook: z.object({ url: z.string(), signed: z.boolean() }).optional(),
    })
    .nullable(),
  owner: z.string(),
  /** When the next job is due; absent while the schedule is paused. */
  nextDueAt: timestampSchema.optional(),
  /** The newest job that has begun or will not begin any more. */
  lastJob: jobSchema.optional(),
  /** Jobs that failed since one succeeded. */
  failuresInARow: z.number().int(),
  /** What keeps it from running well, such as a script that is gone. */
  problems: z.array(z.object({ code: z.string(), message: z.string() })),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Schedule = z.infer<typeof scheduleSchema>;

const byName = z.strictObject({ schedule: nameSchema });
const one = "/schedules/{schedule}" as const;

export const schedulesContract = {
  add: procedure
    .route({ method: "POST", path: "/schedules", successStatus: 201, summary: "Add a schedule" })
    .meta({ permission: "ManageSchedules", audited: true })
    .errors(
      errorsOf(
        "INVALID_INPUT",
        "SCHEDULE_EXISTS",
        "SCRIPT_NOT_FOUND",
        "SPACE_NOT_FOUND",
        "LIMIT_EXCEEDED",
      ),
    )
    .input(scheduleSpecSchema)
    .output(scheduleSchema),

  apply: procedure
    .route({ method: "PUT", path: "/schedules", summary: "Add or change schedules from YAML" })
    .meta({ permission: "ManageSchedules", audited: true, idempotent: true })
    .errors(errorsOf("INVALID_INPUT", "SCRIPT_NOT_FOUND", "SPACE_NOT_FOUND"))
    .input(
      z.strictObject({
        /** One or more YAML documents, one schedule each; durations such as 5m. */
        source: textSchema(1_048_576),
        /** The name that errors show for the text. */
        filename: textSchema(4096).default("schedules.yaml"),
      }),
    )
    .output(
      z.object({
        items: z.array(
          z.object({ name: z.string(), result: z.enum(["created", "updated", "unchanged"]) }),
        ),
      }),
    ),

  list: procedure
    .route({ method: "GET", path: "/schedules", summary: "List the schedules" })
    .meta({ permission: "ManageSchedules", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(scheduleSchema) })),

  get: procedure
    .route({ method: "GET", path: one, summary: "Get a schedule" })
    .meta({ permission: "ManageSchedules", idempotent: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName)
    .output(scheduleSchema),

  update: procedure
    .route({ method: "PATCH", path: one, summary: "Change a schedule" })
    .meta({ permission: "ManageSchedules", audited: true, idempotent: true })
    .errors(errorsOf("INVALID_INPUT", "SCHEDULE_NOT_FOUND", "SCRIPT_NOT_FOUND", "SPACE_NOT_FOUND"))
    .input(z.strictObject({ ...byName.shape, ...z.strictObject(specShape).partial().shape }))
    .output(scheduleSchema),

  pause: procedure
    .route({ method: "POST", path: `${one}/pause`, summary: "Let no further job become due" })
    .meta({ permission: "ManageSchedules", audited: true, idempotent: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName)
    .output(scheduleSchema),

  resume: procedure
    .route({ method: "POST", path: `${one}/resume`, summary: "Let jobs become due from now on" })
    .meta({ permission: "ManageSchedules", audited: true, idempotent: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName)
    .output(scheduleSchema),

  run: procedure
    .route({
      method: "POST",
      path: `${one}/run`,
      successStatus: 201,
      summary: "Have a job of a schedule run now",
    })
    .meta({ permission: "ManageSchedules", audited: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName)
    .output(jobSchema),

  history: procedure
    .route({ method: "GET", path: `${one}/jobs`, summary: "List the jobs, the newest first" })
    .meta({ permission: "ManageSchedules", idempotent: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName.extend({ status: jobStatusSchema.optional(), ...pagingShape }))
    .output(z.object({ items: z.array(jobSchema), nextCursor: z.string().optional() })),

  remove: procedure
    .route({ method: "DELETE", path: one, summary: "Remove a schedule and its history" })
    .meta({ permission: "ManageSchedules", audited: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(byName)
    .output(z.object({})),

  preview: procedure
    .route({
      method: "POST",
      path: "/schedules/preview",
      summary: "Tell when a schedule of this cron expression would be due next",
    })
    .meta({ permission: "ManageSchedules", idempotent: true })
    .errors(errorsOf("INVALID_INPUT"))
    .input(
      z.strictObject({
        cron: cronSchema,
        timezone: timezoneSchema.default("UTC"),
        count: z.number().int().min(1).max(100).default(5),
      }),
    )
    .output(z.object({ times: z.array(timestampSchema) })),

  tick: procedure
    .route({
      method: "POST",
      path: "/schedules/tick",
      summary: "Run the caller's jobs that are due, and wait for their end",
    })
    .meta({ permission: "ManageSchedules", audited: true, idempotent: true })
    .errors(errorsOf("SCHEDULE_NOT_FOUND"))
    .input(
      z
        .strictObject({
          /** Only the jobs of this schedule. */
          schedule: nameSchema.optional(),
        })
        .default({}),
    )
    .output(z.object({ items: z.array(jobSchema) })),
};
