/** `spaces shell` and `spaces attach`: a space's processes in the local terminal. */
import type { Command } from "commander";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { type AttachmentEnd, attach } from "./attachment.js";
import { examples } from "./help.js";
import { keyValues } from "./key-values.js";
import { findProcess, shortId, type Target } from "./process-ids.js";
import type { Session } from "./session.js";
import { calmScreen, requireTerminal, terminalEnv, terminalSize } from "./terminal.js";

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
  const client = await session.client();
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
  const target = { space: found.id, process: id };
  return await runAttached(session, client, target, {
    input: "keys",
    terminal: true,
    name: found.name,
  });
}

async function reattach(
  session: Session,
  space: string,
  given: string,
  interactive: boolean,
): Promise<number> {
  refuseJson(session, "What is attached");
  const client = await session.client();
  const target = await findProcess(client, space, given, session.signal);
  const { terminal, state } = await client.processes.get(target, { signal: session.signal });
  if (terminal) {
    requireTerminal("A process with a terminal", ["stdin", "stdout"]);
    // The keys work on a process that has ended too, but its output is all there is.
    const input = state === "running" ? "keys" : "none";
    const end = await attach(session, client, target, { input, terminal: state === "running" });
    return finish(session, target, space, end);
  }
  const input = interactive ? "stream" : "none";
  return finish(session, target, space, await attach(session, client, target, { input, terminal }));
}

interface OwnedOptions {
  readonly input: "keys" | "stream" | "none";
  readonly terminal: boolean;
  readonly timeoutMs?: number | undefined;
  /** The space, as people call it. */
  readonly name: string;
}

/**
 * Attaches to a process that this command line has started: it is killed when the attachment breaks
 * off, and forgotten when it has ended.
 * @returns its exit code; `COMMAND_TIMEOUT` is thrown after a timeout, `CANCELLED` after a signal
 */
export async function runAttached(
  session: Session,
  client: Client,
  target: Target,
  { name, ...options }: OwnedOptions,
): Promise<number> {
  let end: AttachmentEnd | undefined;
  try {
    end = await attach(session, client, target, options);
  } finally {
    if (end?.kind !== "detached") await discard(client, target, end?.kind === "exit");
  }
  if (end.kind === "exit" && end.timedOut) throw new SpacesError("COMMAND_TIMEOUT");
  if (end.kind === "stopped") {
    if (options.input === "keys") calmScreen();
    throw new SpacesError("CANCELLED");
  }
  return finish(session, target, name, end);
}

/** Kills a process that has not ended, and has the space forget it. */
async function discard(client: Client, target: Target, ended: boolean): Promise<void> {
  if (!ended) await client.processes.kill(target);
  try {
    await client.processes.remove(target);
  } catch (error) {
    // Someone else may have been faster, or the space has stopped: then it is gone too.
    if (!SpacesError.isInstance(error) || !GONE.has(error.code)) throw error;
  }
}

const GONE: ReadonlySet<string> = new Set([
  "PROCESS_NOT_FOUND",
  "SPACE_NOT_RUNNING",
  "SPACE_NOT_FOUND",
]);

function finish(session: Session, target: Target, space: string, end: AttachmentEnd): number {
  switch (end.kind) {
    case "exit":
      return end.exitCode;
    case "detached": {
      calmScreen();
      const again = `spaces attach ${space} ${shortId(target.process)}`;
      session.output.note(`\nIt goes on running. To attach to it again: ${again}`);
      return 0;
    }
    case "stopped": {
      const again = `spaces attach ${space} ${shortId(target.process)}`;
      session.output.note(`\nIt goes on running. To attach to it again: ${again}`);
      throw new SpacesError("CANCELLED");
    }
  }
}

function refuseJson(session: Session, what: string): void {
  if (!session.output.isJson) return;
  throw new SpacesError("INVALID_INPUT", `${what} cannot be shown as JSON.`, {
    suggestion: "Leave out --json, or use `spaces exec --json` or `spaces logs --json`.",
  });
}
