/** The prompts: requests that users pick in their client and fill in. */
import {
  ErrorCode,
  type GetPromptResult,
  McpError,
  type Prompt,
} from "@modelcontextprotocol/sdk/types.js";

type Values = Readonly<Record<string, string>>;

interface Definition extends Prompt {
  readonly text: (values: Values) => string;
}

/** A value that somebody filled in, set apart from our own words. */
const quoted = (value: string): string => `\n\n${value.trim().replace(/^/gm, "> ")}\n\n`;

const DEFINITIONS: readonly Definition[] = [
  {
    name: "automate",
    title: "Automate a task with one script",
    description: "Do a task in spaces with a single script.",
    arguments: [
      { name: "task", description: "What is to be done.", required: true },
      { name: "space", description: "The space to do it in; a new one when left out." },
    ],
    text: ({ task = "", space }) =>
      `Do this with a script for run_script:${quoted(task)}${
        space === undefined
          ? "Create a space for it with a short name, and say at the end whether it is still needed."
          : `Do it in the space "${space}", and start it where it does not run.`
      }

1. Look up the functions that you need with search and describe; do not guess their names.
2. Write one script. Let it check what it depends on, handle the errors that can be foreseen by their code, and print only what matters.
3. Run it, read the result, mend the script and run it again until it does the task.
4. Tell me what was done, and show the script so that I can keep it.`,
  },
  {
    name: "debug-run",
    title: "Find out why a run failed",
    description: "Read the record and log of a run, and explain and mend what went wrong.",
    arguments: [{ name: "run", description: "The id of the run, run_…", required: true }],
    text: ({ run = "" }) =>
      `Find out why this run did not do what it should:${quoted(run)}Read its record (the resource spaces://runs/<id>) and its log (run_log). Where it ran a stored script, read that too (spaces://scripts/<name>). Look at the state of the spaces that it used before you change anything.

Then tell me the cause with the lines of the log that prove it, and propose a mended script. Ask me before you run anything that changes a space.`,
  },
  {
    name: "maintenance-job",
    title: "Write a maintenance job",
    description: "Write a script that is fit to run unattended on a schedule.",
    arguments: [
      { name: "job", description: "What the job does.", required: true },
      { name: "when", description: "When it runs, such as every night at three." },
    ],
    text: ({ job = "", when }) =>
      `Write a script that does this unattended${when === undefined ? "" : ` (${when.trim().slice(0, 200)})`}:${quoted(job)}It must be safe to run twice, go on after the failure of one space and report all failures at the end, end with exit code 1 if anything failed, and take a --dry-run argument that only shows what would be done. The example scripts (search for "example") show the style.

Try it with --dry-run through run_script first and show me what it prints. When I agree, tell me the commands that store it (spaces scripts save) and schedule it (spaces schedules add).`,
  },
];

export const PROMPTS: readonly Prompt[] = DEFINITIONS.map(({ text, ...prompt }) => prompt);

/**
 * Fills in a prompt.
 * @throws McpError for a prompt that there is not, and for an argument that is missing
 */
export function fillPrompt(name: string, values: Values): GetPromptResult {
  const prompt = DEFINITIONS.find((each) => each.name === name);
  if (prompt === undefined) {
    throw new McpError(ErrorCode.InvalidParams, `There is no prompt "${name.slice(0, 80)}".`);
  }
  for (const { name: argument, required } of prompt.arguments ?? []) {
    if (required === true && (values[argument] ?? "").trim() === "") {
      throw new McpError(ErrorCode.InvalidParams, `The prompt ${name} needs ${argument}.`);
    }
  }
  return {
    ...(prompt.description === undefined ? {} : { description: prompt.description }),
    messages: [{ role: "user", content: { type: "text", text: prompt.text(values) } }],
  };
}
