/** The tool `run_command`: runs a command in a space. */
import { z } from "zod";
import { spaceRefSchema } from "../../contract/ids.js";
import { Excerpt } from "../excerpt.js";
import { FOREIGN_KEY } from "../foreign-text.js";
import { budgetShape, CHANGES, defineTool, timeoutShape } from "./tool.js";

export const runCommand = defineTool({
  name: "run_command",
  title: "Run a command in a space",
  description:
    "Run one command in a running space and give its exit code and output. With args the program is run as it is; without, command is a line for the space's shell. For several steps, use run_script.",
  annotations: CHANGES,
  permission: "RunCommands",
  input: z.strictObject({
    space: spaceRefSchema.describe("Name or id of the space."),
    command: z.string().min(1).max(131_072).describe("Program, or a line for the shell."),
    args: z.array(z.string().max(131_072)).max(4096).optional().describe("Arguments."),
    workdir: z.string().max(4096).optional().describe("Directory to run in."),
    env: z.record(z.string(), z.string()).optional().describe("Added to the environment."),
    input: z.string().max(4_194_304).optional().describe("Text for standard input."),
    ...timeoutShape,
    ...budgetShape,
  }),
  output: z.object({
    exit_code: z.number(),
    timed_out: z.boolean(),
    duration_ms: z.number(),
    truncated: z.boolean(),
    [FOREIGN_KEY]: z.object({ output: z.string().describe("stdout and stderr as they came.") }),
  }),
  run: async ({ timeout_seconds, max_chars, ...command }, { client, signal }) => {
    const { args, workdir, env, input, ...rest } = command;
    const result = await client.processes.run(
      {
        ...rest,
        timeoutMs: timeout_seconds * 1000,
        ...(args === undefined ? {} : { args }),
        ...(workdir === undefined ? {} : { workdir }),
        ...(env === undefined ? {} : { env }),
        ...(input === undefined ? {} : { input }),
      },
      { signal },
    );
    const excerpt = new Excerpt(
      max_chars,
      "write the output into a file and read parts of it with files, or narrow the command",
    );
    excerpt.add(result.output);
    const output = excerpt.toString();
    const truncated = excerpt.isCut || result.truncated;
    const end = result.timedOut
      ? `The command was killed after ${timeout_seconds} s (COMMAND_TIMEOUT)`
      : `The command ended with exit code ${result.exitCode} after ${Math.round(result.durationMs)} ms`;
    return {
      text: `${end}.${truncated ? " Its output is cut." : ""}`,
      foreign: [{ what: "output of the command", text: output }],
      structured: {
        exit_code: result.exitCode,
        timed_out: result.timedOut,
        duration_ms: result.durationMs,
        truncated,
        [FOREIGN_KEY]: { output },
      },
      isError: result.timedOut,
    };
  },
});
