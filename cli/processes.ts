/** `spaces ps, logs, kill`: the processes of a space that outlive the command that started them. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { type Process, signalSchema } from "../runtime/contract/processes.js";
import { examples } from "./help.js";
import { printLogs } from "./logs.js";
import { findProcess, shortId } from "./process-ids.js";
import { parseOffset } from "./quantities.js";
import type { Session } from "./session.js";
import { ago, table } from "./text.js";

interface LogsOptions {
  readonly follow?: boolean;
  readonly sinceOffset?: number;
}

export function defineProcesses(program: Command, session: Session): void {
  const ps = program
    .command("ps")
    .summary("list the processes of a space")
    .description(
      "List the processes that were started with `shell` or `exec`, also ended ones that are still kept.",
    )
    .argument("<space>", "name or id")
    .action((space: string) => list(session, space));
  examples(ps, "ps dev", "ps dev --json");

  const logs = program
    .command("logs")
    .summary("print the output of a process")
    .description(
      "Print what is kept of a process's output. With --json, one event a line; data is base64.",
    )
    .argument("<space>", "name or id")
    .argument("<process>", "id, or at least its first 6 digits")
    .option("-f, --follow", "go on until it ends")
    .option("--since-offset <bytes>", "leave out so many bytes of each output", (text) =>
      parseOffset(text, "--since-offset"),
    )
    .action(async (space: string, given: string, options: LogsOptions) => {
      const client = await session.client();
      const target = await findProcess(client, space, given, session.signal);
      await printLogs(session, client, target, {
        follow: options.follow ?? false,
        offset: options.sinceOffset ?? 0,
      });
    });
  examples(logs, "logs dev 3f2a9c11d0e4", "logs dev 3f2a9c --follow", "logs dev 3f2a9c --json");

  const kill = program
    .command("kill")
    .summary("kill a process, or send it a signal")
    .description("Kill a process and everything it started, or send a signal to its group.")
    .argument("<space>", "name or id")
    .argument("<process>", "id, or at least its first 6 digits")
    .option("-s, --signal <name>", "send this signal in place of killing", parseSignal)
    .action((space: string, given: string, { signal }: { signal?: Signal }) =>
      end(session, space, given, signal),
    );
  examples(kill, "kill dev 3f2a9c11d0e4", "kill dev 3f2a9c --signal HUP");
}

async function list(session: Session, space: string): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const listed = await client.processes.list({ space }, { signal });
  const { items } = listed;
  if (items.length === 0) output.note(`${space} has no such processes.`);
  output.result(listed, () =>
    items.length === 0
      ? ""
      : table(
          ["ID", "PID", "STATE", "STARTED", "COMMAND"],
          items.map((process) => [
            shortId(process.id),
            String(process.pid),
            stateOf(process),
            ago(process.startedAt),
            commandLine(process.argv),
          ]),
          (title) => output.style("stdout", "bold", title),
        ),
  );
}

async function end(
  session: Session,
  space: string,
  given: string,
  signal: Signal | undefined,
): Promise<void> {
  const { output } = session;
  const client = await session.client();
  const target = await findProcess(client, space, given, session.signal);
  if (signal === undefined) await client.processes.kill(target, { signal: session.signal });
  else await client.processes.signal({ ...target, signal }, { signal: session.signal });
  const id = shortId(target.process);
  if (output.isJson) output.json({ process: target.process, signal: signal ?? "SIGKILL" });
  else output.note(signal === undefined ? `Killed ${id}.` : `Sent ${signal} to ${id}.`);
}

type Signal = (typeof signalSchema.options)[number];

/** Reads the name of a signal, with or without SIG. */
function parseSignal(text: string): Signal {
  const name = text.toUpperCase();
  const { data } = signalSchema.safeParse(name.startsWith("SIG") ? name : `SIG${name}`);
  if (data !== undefined) return data;
  const names = signalSchema.options.map((signal) => signal.slice(3)).join(", ");
  throw new SpacesError("INVALID_INPUT", `--signal cannot be "${text.slice(0, 80)}".`, {
    suggestion: `Give one of ${names}.`,
  });
}

/** How a process is doing, in a few words. */
export function stateOf({ state, exitCode, signal }: Process): string {
  return state === "running" ? state : `${state} (${signal ?? exitCode ?? "?"})`;
}

/** A program and its arguments as a shell would read them. */
export function commandLine(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
