/** The tool `run_log`: what a run printed, whole or in parts, and how it ended. */
import { z } from "zod";
import { runIdSchema, runStatusSchema } from "../../contract/runs.js";
import { FOREIGN_KEY } from "../foreign-text.js";
import { readLog } from "../run-log.js";
import { budgetShape, defineTool, READS } from "./tool.js";

export const runLog = defineTool({
  name: "run_log",
  title: "Read the log of a run",
  description:
    "Show what an earlier run printed, from any place on, and how it ended: for output that was cut in a result, and for finding out why a run failed.",
  annotations: READS,
  permission: "ExecuteScripts",
  input: z.strictObject({
    run: runIdSchema.describe("The id of the run, such as run_…"),
    offset: z.number().int().min(0).default(0).describe("Characters to leave out at the start."),
    ...budgetShape,
  }),
  output: z.object({
    run: z.string(),
    status: runStatusSchema,
    exit_code: z.number().nullable(),
    next_offset: z.number().optional().describe("Where the rest begins, if there is more."),
    [FOREIGN_KEY]: z.object({ script: z.string(), output: z.string() }),
  }),
  run: async ({ run: id, offset, max_chars }, { client, signal }) => {
    const { run, text, nextOffset } = await readLog(client, id, {
      offset,
      most: max_chars,
      signal,
    });
    const name = run.script.name ?? run.script.filename;
    const rest =
      nextOffset === undefined ? "" : ` There is more: call again with offset ${nextOffset}.`;
    return {
      text: `The run ${run.id} is ${run.status}: exit code ${run.exitCode ?? "unknown"}${run.error === undefined ? "" : `, error ${run.error.code}`}.${rest}`,
      foreign: [
        { what: "log of the run", text },
        ...(run.error === undefined
          ? []
          : [{ what: "error of the run", text: run.error.message.slice(0, 4_000) }]),
      ],
      structured: {
        run: run.id,
        status: run.status,
        exit_code: run.exitCode ?? null,
        ...(nextOffset === undefined ? {} : { next_offset: nextOffset }),
        [FOREIGN_KEY]: { script: name, output: text },
      },
    };
  },
});
