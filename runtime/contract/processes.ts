/** Processes: commands that run in a space. */
import { z } from "zod";
import { spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { durationMsSchema, envSchema, textSchema } from "./values.js";

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
        space: spaceRefSchema,
        /**
         * With `args`: the program, executed directly. Without: a command line for the space's
         * shell.
         */
        command: textSchema(131_072).min(1, "must not be empty"),
        args: z.array(textSchema(131_072)).max(4096).optional(),
        timeoutMs: durationMsSchema.default(30_000),
        /** Relative paths start at the space's workdir. */
        workdir: textSchema(4096).optional(),
        env: envSchema.optional(),
        /** Text for standard input. */
        input: z.string().max(16_777_216).optional(),
      }),
    )
    .output(commandResultSchema),
};
