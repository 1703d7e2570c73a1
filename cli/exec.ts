/**
 * `spaces exec`: runs a command in a space and passes its output and exit code through, as they come
 * where the driver can do that.
 */
import type { Command } from "commander";
import type { Binding } from "../runtime/bindings/binding.js";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import { reportError } from "./failures.js";
import { examples } from "./help.js";
import { keyValues } from "./key-values.js";
import { runAttached } from "./owned-process.js";
import { LONGEST_MS, parseDuration } from "./quantities.js";
import { readStdin, stdinHasData } from "./read-input.js";
import type { Session } from "./session.js";
import { requireTerminal, terminalEnv, terminalSize } from "./terminal.js";

/** The most standard input that the contract takes. */
const INPUT_LIMIT = 16_777_216;

interface ExecOptions {
  readonly line?: string;
  readonly timeout?: number;
  readonly workdir?: string;
  readonly env?: Record<string, string>;
  readonly stdin: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
}

export function defineExec(program: Command, session: Session): void {
  const command = program
    .command("exec")
    .summary("run a command in a space")
    .description(
      "Run a program in a running space, directly and without a shell; -c runs a line in the space's shell. What it prints appears at once where the driver can do that and the space has no secrets to be taken out of it.",
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
    .option("-i, --interactive", "pass standard input on, also from a terminal, as it comes")
    .option("-t, --tty", "run it in a terminal; with -i, Ctrl-P Ctrl-Q leaves it running")
    .option("-d, --detach", "leave it running and print its id")
    .action(async (space: string, argv: string[], options: ExecOptions) => {
      session.exitCode = await exec(session, space, argv, options);
    });
  examples(
    command,
    "exec dev -- ls -la",
    "exec dev --timeout 10s -c 'make test | tail -5'",
    "exec dev -- wc -l < notes.txt",
    "exec dev -it -- python3",
    "exec dev -d -- ./server --port 3000",
  );
}

type What = ReturnType<typeof commandOf>;

async function exec(
  session: Session,
  space: string,
  argv: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const what = commandOf(argv, options.line);
  checkOptions(session, options);
  const binding = await session.binding();
  const { client } = binding;
  if (options.detach === true) return await startDetached(session, client, space, what, options);
  if (options.interactive === true || options.tty === true) {
    return await runStreaming(session, binding, space, what, options);
  }
  if (session.output.isJson) {
    return await runCollecting(session, client, space, what, options);
  }
  try {
    return await runStreaming(session, binding, space, what, options);
  } catch (error) {
    if (!SpacesError.isInstance(error) || error.code !== "UNSUPPORTED") throw error;
    return await runCollecting(session, client, space, what, options);
  }
}

/** Refuses options that do not go together, and a terminal that is not there. */
function checkOptions(session: Session, options: ExecOptions): void {
  const { detach = false, interactive = false, tty = false } = options;
  const streams = interactive || tty;
  if (interactive && !options.stdin) throw conflict("-i", "--no-stdin");
  if (detach && options.timeout !== undefined) throw conflict("--detach", "--timeout");
  if (!detach && streams && session.output.isJson) throw conflict(tty ? "-t" : "-i", "--json");
  if (tty && !detach) requireTerminal("-t", interactive ? ["stdin", "stdout"] : ["stdout"]);
}

function conflict(one: string, other: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `${one} and ${other} do not go together.`, {
    suggestion: "Leave one of them out.",
  });
}

async function startDetached(
  session: Session,
  client: Client,
  space: string,
  what: What,
  options: ExecOptions,
): Promise<number> {
  const started = await start(client, space, what, options, options.interactive === true);
  session.output.result(started, () => `${started.id}\n`);
  return EXIT.ok;
}

/** Runs a command whose streams come and go as they are; killed when this process is stopped. */
async function runStreaming(
  session: Session,
  binding: Binding,
  space: string,
  what: What,
  options: ExecOptions,
): Promise<number> {
  const { interactive = false, tty = false } = options;
  const input = interactive || (!tty && options.stdin && stdinHasData());
  if (session.signal.aborted) throw new SpacesError("CANCELLED");
  const { id } = await start(binding.client, space, what, options, input);
  return await runAttached(
    session,
    binding,
    { space, process: id, name: space },
    {
      input: input ? (tty ? "keys" : "stream") : "none",
      terminal: tty,
      timeoutMs: options.timeout,
    },
  );
}

function start(
  client: Client,
  space: string,
  what: What,
  { workdir, env, tty = false }: ExecOptions,
  input: boolean,
): ReturnType<Client["processes"]["start"]> {
  return client.processes.start({
    space,
    ...what,
    workdir,
    env: tty ? { ...terminalEnv(), ...env } : env,
    input,
    terminal: tty ? terminalSize() : undefined,
  });
}

/** Runs a command, and prints what it printed when it has ended. */
async function runCollecting(
  session: Session,
  client: Client,
  space: string,
  what: What,
  options: ExecOptions,
): Promise<number> {
  const { signal, output } = session;
  const input = options.stdin && stdinHasData() ? await readStdin(INPUT_LIMIT, signal) : undefined;
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
