/** `spaces exec`: runs a command in a space and passes its output and exit code through. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import { reportError } from "./failures.js";
import { examples } from "./help.js";
import { keyValues } from "./key-values.js";
import { LONGEST_MS, parseDuration } from "./quantities.js";
import { readStdin, stdinHasData } from "./read-input.js";
import type { Session } from "./session.js";

/** The most standard input that the contract takes. */
const INPUT_LIMIT = 16_777_216;

interface ExecOptions {
  readonly line?: string;
  readonly timeout?: number;
  readonly workdir?: string;
  readonly env?: Record<string, string>;
  readonly stdin: boolean;
}

export function defineExec(program: Command, session: Session): void {
  const command = program
    .command("exec")
    .summary("run a command in a space")
    .description(
      "Run a program in a running space, directly and without a shell; -c runs a line in the space's shell.",
    )
    .argument("<space>", "name or id")
    .argument("[command...]", "program and arguments, behind --")
    .option("-c, --line <line>", "command line for the space's shell")
    .option(
      "--timeout <duration>",
      "kill it after this time, such as 30s (default: none)",
      (text) => parseDuration(text, "--timeout"),
    )
    .option("-w, --workdir <directory>", "directory in the space to start in")
    .option("-e, --env <name=value>", "environment variable; repeatable", keyValues("--env"))
    .option("--no-stdin", "leave standard input alone; it is passed on when it is a file or pipe")
    .action(async (space: string, argv: string[], options: ExecOptions) => {
      session.exitCode = await exec(session, space, argv, options);
    });
  examples(
    command,
    "exec dev -- ls -la",
    "exec dev --timeout 10s -c 'make test | tail -5'",
    "exec dev -- wc -l < notes.txt",
  );
}

async function exec(
  session: Session,
  space: string,
  argv: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const { signal, output } = session;
  const what = commandOf(argv, options.line);
  const input = options.stdin && stdinHasData() ? await readStdin(INPUT_LIMIT, signal) : undefined;
  const client = await session.client();
  const result = await client.processes.run(
    {
      space,
      ...what,
      timeoutMs: options.timeout ?? LONGEST_MS,
      workdir: options.workdir,
      env: options.env,
      input,
    },
    { signal },
  );
  if (output.isJson) {
    output.json(result);
  } else {
    output.data(result.stdout);
    output.errorData(result.stderr);
    if (result.truncated) output.note("The output was cut: it exceeded the limit.");
  }
  if (!result.timedOut) return result.exitCode;
  if (!output.isJson) reportError(output, new SpacesError("COMMAND_TIMEOUT"));
  return EXIT.timeout;
}

function commandOf(
  argv: readonly string[],
  line: string | undefined,
): { command: string; args?: string[] } {
  const [program, ...args] = argv;
  if (line === undefined && program === undefined) {
    throw new SpacesError("INVALID_INPUT", "No command was given.", {
      suggestion: "Give it behind --, such as `spaces exec dev -- ls`, or as a line with -c.",
    });
  }
  if (line !== undefined && program !== undefined) {
    throw new SpacesError("INVALID_INPUT", "A command and a line with -c were given.", {
      suggestion: "Give one of them.",
    });
  }
  return line !== undefined ? { command: line } : { command: program ?? "", args };
}
