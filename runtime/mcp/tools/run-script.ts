/** The tool `run_script`: runs one script that does the work of many calls. */
import { z } from "zod";
import { SpacesError } from "../../contract/errors.js";
import { nameSchema, spaceRefSchema } from "../../contract/ids.js";
import { runStatusSchema } from "../../contract/runs.js";
import { FOREIGN_KEY } from "../foreign-text.js";
import { runToEnd } from "../run-to-end.js";
import { budgetShape, CHANGES, defineTool, timeoutShape } from "./tool.js";

/** What the tools that run scripts answer. */
export const runOutput = z.object({
  run: z.string().describe("Its record; run_log shows the whole output."),
  status: runStatusSchema,
  exit_code: z.number().nullable(),
  duration_ms: z.number(),
  calls: z.number().describe("How many calls the script made."),
  truncated: z.boolean(),
  limits_hit: z.array(z.string()),
  log: z.string().describe("The resource with the whole output."),
  [FOREIGN_KEY]: z.object({
    output: z.string(),
    error: z
      .object({
        code: z.string(),
        message: z.string(),
        suggestion: z.string().optional(),
        details: z.looseObject({}).optional(),
      })
      .optional(),
  }),
});

export const runScript = defineTool({
  name: "run_script",
  title: "Run a script",
  description:
    'Run a TypeScript or JavaScript script in a sandbox that can drive spaces: create, start and stop them, run commands, read and write files, forward ports. Write one script with loops and conditions in place of many calls, and print what you need with console.log. Example: `import spaces from "spaces"; for (const s of spaces.list()) console.log(s.name, s.status);`. The functions wait for their results, without await. Find functions with search and describe.',
  annotations: CHANGES,
  permission: "ExecuteScripts",
  input: z.strictObject({
    source: z
      .string()
      .max(1_048_576)
      .optional()
      .describe("The script. Either this or `script` is needed."),
    script: nameSchema.optional().describe("Name of a stored script, in place of source."),
    args: z.array(z.string().max(131_072)).max(4096).default([]).describe("`args` of `runtime`."),
    input: z.unknown().optional().describe("JSON that `input` of the module `runtime` gives."),
    space: spaceRefSchema
      .optional()
      .describe("The space that the module `space` means; a native script runs inside of it."),
    ...timeoutShape,
    ...budgetShape,
  }),
  output: runOutput,
  run: async ({ source, script, args, input, space, timeout_seconds, max_chars }, call) => {
    if ((source === undefined) === (script === undefined)) {
      throw new SpacesError("INVALID_INPUT", "Either source or script must be given.");
    }
    return await runToEnd(
      {
        args,
        timeoutMs: timeout_seconds * 1000,
        ...(source === undefined ? {} : { source, filename: "script.ts" }),
        ...(script === undefined ? {} : { script }),
        ...(input === undefined ? {} : { input: z.json().parse(input) }),
        ...(space === undefined ? {} : { space }),
      },
      max_chars,
      call,
    );
  },
});
