/** `spaces shell` and `spaces attach`: a space's processes in the local terminal. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { attach } from "./attachment.js";
import { examples } from "./help.js";
import { keyValues } from "./key-values.js";
import { codeOf, runAttached } from "./owned-process.js";
import { findProcess } from "./process-ids.js";
import type { Session } from "./session.js";
import { requireTerminal, terminalEnv, terminalSize } from "./terminal.js";

interface ShellOptions {
  readonly shell?: string;
  readonly workdir?: string;
  readonly env?: Record<string, string>;
}

export function defineShell(program: Command, session: Session): void {
  const shell = program
    .command("shell")
    .summary("open a shell in a space")
    .description(
      "Open an interactive shell in a running space. Ctrl-P Ctrl-Q leaves it running; closing the terminal ends it.",
    )
    .argument("<space>", "name or id")
    .option("--shell <program>", "another shell than the space's")
    .option("-w, --workdir <directory>", "directory in the space to start in")
    .option("-e, --env <name=value>", "environment variable; repeatable", keyValues("--env"))
    .action(async (space: string, options: ShellOptions) => {
      session.exitCode = await openShell(session, space, options);
    });
  examples(shell, "shell dev", "shell dev --shell sh --workdir /tmp");

  const attached = program
    .command("attach")
    .summary("attach to a running process")
    .description(
      "Show what a process printed and go on with what it prints, until it ends. At a process with a terminal, Ctrl-P Ctrl-Q leaves it running; at another one, Ctrl-C does.",
    )
    .argument("<space>", "name or id")
    .argument("<process>", "id, or at least its first 6 digits")
    .option("-i, --interactive", "pass standard input on to a process without a terminal")
    .action(async (space: string, given: string, options: { interactive?: boolean }) => {
      session.exitCode = await reattach(session, space, given, options.interactive ?? false);
    });
  examples(attached, "attach dev 3f2a9c11d0e4", "attach dev 3f2a9c -i < data.csv");
}

async function openShell(session: Session, space: string, options: ShellOptions): Promise<number> {
  refuseJson(session, "A shell");
  requireTerminal("`spaces shell`", ["stdin", "stdout"]);
  const binding = await session.binding();
  const { client } = binding;
  const found = await client.spaces.get({ space }, { signal: session.signal });
  const { id } = await client.processes.start({
    space: found.id,
    command: options.shell ?? found.shell,
    args: ["-i"],
    workdir: options.workdir,
    env: { ...terminalEnv(), ...options.env },
    input: true,
    terminal: terminalSize(),
  });
  const shell = { space: found.id, process: id, name: found.name };
  return await runAttached(session, binding, shell, { input: "keys", terminal: true });
}

async function reattach(
  session: Session,
  space: string,
  given: string,
  interactive: boolean,
): Promise<number> {
  refuseJson(session, "What is attached");
  const binding = await session.binding();
  const { client } = binding;
  const target = await findProcess(client, space, given, session.signal);
  const { terminal, state } = await client.processes.get(target, { signal: session.signal });
  // Of a process that has ended, the output is all there is.
  const typed = terminal && state === "running";
  if (typed) requireTerminal("A process with a terminal", ["stdin", "stdout"]);
  const end = await attach(session, binding, target, {
    input: typed ? "keys" : interactive ? "stream" : "none",
    terminal: typed,
  });
  return codeOf(session, { ...target, name: space }, end);
}

function refuseJson(session: Session, what: string): void {
  if (!session.output.isJson) return;
  throw new SpacesError("INVALID_INPUT", `${what} cannot be shown as JSON.`, {
    suggestion: "Leave out --json, or use `spaces exec --json` or `spaces logs --json`.",
  });
}
