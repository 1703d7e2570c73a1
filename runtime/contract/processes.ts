/** Processes: commands that run in a space. */

import { eventIterator } from "@orpc/contract";
import { z } from "zod";
import { spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { durationMsSchema, envSchema, textSchema, timestampSchema } from "./values.js";

export const commandResultSchema = z.object({
  /** The program's code; 128 + n when signal n killed it. */
  exitCode: z.number().int(),
  signal: z.string().optional(),
  stdout: z.string(),
  stderr: z.string(),
  /** Both streams, as they came. */
  output: z.string(),
  /** Whether output was cut at the limit; a marker stands where. */
  truncated: z.boolean(),
  timedOut: z.boolean(),
  durationMs: z.number(),
});
export type CommandResult = z.infer<typeof commandResultSchema>;

/** 32 hexadecimal digits. */
const processIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "must be the id of a process");

const terminalSchema = z.strictObject({
  columns: z.number().int().min(1).max(65_535),
  rows: z.number().int().min(1).max(65_535),
});

export const signalSchema = z.enum([
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGTERM",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGWINCH",
]);

const processSchema = z.object({
  id: processIdSchema,
  /** The pid as the space numbers it. */
  pid: z.number().int(),
  /** The first arguments; long ones are cut. */
  argv: z.array(z.string()),
  terminal: z.boolean(),
  startedAt: timestampSchema,
  state: z.enum(["running", "exited"]),
  exitCode: z.number().int().optional(),
  signal: z.string().optional(),
});
export type Process = z.infer<typeof processSchema>;

const offsetSchema = z.number().int().min(0).default(0);

const processEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["stdout", "stderr"]),
    /** Base64: output is bytes. */
    data: z.string(),
    /** Bytes of this output before these. */
    offset: z.number().int(),
  }),
  /** Output that was asked for and is no longer kept. */
  z.object({ type: z.literal("lost"), stream: z.enum(["stdout", "stderr"]), bytes: z.number() }),
  z.object({ type: z.literal("exit"), exitCode: z.number().int(), signal: z.string().optional() }),
]);
export type ProcessEvent = z.infer<typeof processEventSchema>;

const commandShape = {
  space: spaceRefSchema,
  /**
   * With `args`: the program, executed directly. Without: a command line for the space's shell.
   */
  command: textSchema(131_072).min(1, "must not be empty"),
  args: z.array(textSchema(131_072)).max(4096).optional(),
  /** Relative paths start at the space's workdir. */
  workdir: textSchema(4096).optional(),
  env: envSchema.optional(),
};

const oneProcess = z.strictObject({ space: spaceRefSchema, process: processIdSchema });
const backgroundErrors = errorsOf(
  "SPACE_NOT_FOUND",
  "SPACE_NOT_RUNNING",
  "PROCESS_NOT_FOUND",
  "UNSUPPORTED",
);
const onProcess = "/spaces/{space}/processes/{process}" as const;

export const processesContract = {
  run: procedure
    .route({
      method: "POST",
      path: "/spaces/{space}/processes/run",
      summary: "Run a command in a space and collect its output",
    })
    .meta({ permission: "RunCommands", audited: true })
    .errors(
      errorsOf("SPACE_NOT_FOUND", "SPACE_NOT_RUNNING", "COMMAND_NOT_FOUND", "DRIVER_UNAVAILABLE"),
    )
    .input(
      z.strictObject({
        ...commandShape,
        timeoutMs: durationMsSchema.default(30_000),
        /** Text for standard input. */
        input: z.string().max(16_777_216).optional(),
      }),
    )
    .output(commandResultSchema),

  start: procedure
    .route({
      method: "POST",
      path: "/spaces/{space}/processes",
      successStatus: 201,
      summary: "Start a process that outlives this call",
    })
    .meta({ permission: "RunCommands", audited: true })
    .errors({ ...backgroundErrors, ...errorsOf("COMMAND_NOT_FOUND") })
    .input(
      z.strictObject({
        ...commandShape,
        /** Keeps standard input open for `write`. */
        input: z.boolean().default(false),
        /** Runs it in a terminal of this size; all of its output is stdout then. */
        terminal: terminalSchema.optional(),
      }),
    )
    .output(processSchema),

  list: procedure
    .route({
      method: "GET",
      path: "/spaces/{space}/processes",
      summary: "List the processes that were started, also ended ones that are still kept",
    })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(z.strictObject({ space: spaceRefSchema }))
    .output(z.object({ items: z.array(processSchema) })),

  get: procedure
    .route({ method: "GET", path: onProcess, summary: "Get a process" })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess)
    .output(processSchema),

  follow: procedure
    .route({
      method: "GET",
      path: `${onProcess}/output`,
      summary: "Follow the output of a process from an offset on, until it ends",
    })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess.extend({ stdoutOffset: offsetSchema, stderrOffset: offsetSchema }))
    .output(eventIterator(processEventSchema)),

  write: procedure
    .route({ method: "POST", path: `${onProcess}/input`, summary: "Write to standard input" })
    .meta({ permission: "RunCommands" })
    .errors(backgroundErrors)
    .input(
      oneProcess.extend({
        /** Base64: input is bytes. */
        data: z.base64().max(1_048_576, "must be 1 MiB at most").default(""),
        /** Closes standard input after the data. */
        close: z.boolean().default(false),
      }),
    )
    .output(z.object({})),

  signal: procedure
    .route({ method: "POST", path: `${onProcess}/signal`, summary: "Send a signal" })
    .meta({ permission: "RunCommands", audited: true })
    .errors(backgroundErrors)
    .input(oneProcess.extend({ signal: signalSchema.default("SIGTERM") }))
    .output(z.object({})),

  kill: procedure
    .route({
      method: "POST",
      path: `${onProcess}/kill`,
      summary: "Kill a process and everything it started",
    })
    .meta({ permission: "RunCommands", audited: true, idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess)
    .output(z.object({})),

  resize: procedure
    .route({ method: "POST", path: `${onProcess}/terminal`, summary: "Resize its terminal" })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess.extend({ terminal: terminalSchema }))
    .output(z.object({})),

  wait: procedure
    .route({ method: "POST", path: `${onProcess}/wait`, summary: "Wait until a process has ended" })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess.extend({ timeoutMs: durationMsSchema.default(60_000) }))
    .output(processSchema),

  remove: procedure
    .route({ method: "DELETE", path: onProcess, summary: "Forget a process that has ended" })
    .meta({ permission: "RunCommands", idempotent: true })
    .errors(backgroundErrors)
    .input(oneProcess)
    .output(z.object({})),
};
