/** `spaces run`: runs a script in the sandbox. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { examples } from "./help.js";
import { allowList } from "./key-values.js";
import { parseDuration, parseSize } from "./quantities.js";
import { runScript } from "./run-script.js";
import { findScript } from "./script-source.js";
import type { Session } from "./session.js";

/** What `scriptOptions` and `allowOptions` read. */
export interface ScriptOptions {
  readonly driver?: string;
  readonly space?: string;
  readonly timeout?: number;
  readonly memory?: number;
  readonly allowNet?: readonly string[] | true;
  readonly allowEnv?: readonly string[] | true;
  readonly input?: { readonly value: unknown };
}

interface RunOptions extends ScriptOptions {
  readonly watch?: boolean;
}

export function defineRun(program: Command, session: Session): void {
  const command = program
    .command("run")
    .summary("run a script")
    .description(
      "Run a script in the sandbox: a file, a stored script by its name, or - for standard input.",
    )
    .argument("<script>", "file, name of a stored script, or -")
    .argument("[args...]", ARGUMENTS);
  allowOptions(scriptOptions(command))
    .option("--watch", "run it again when its file, or one that it imports, changes")
    .action(async (given: string, args: string[], options: RunOptions) => {
      const settings = {
        args,
        driver: options.driver,
        space: options.space,
        timeoutMs: options.timeout,
        memoryBytes: options.memory,
        input: options.input?.value,
        permissions: { net: options.allowNet, env: options.allowEnv },
      };
      const call = "spaces run";
      if (options.watch === true) {
        const { runWatched } = await import("./run-watched.js");
        session.exitCode = await runWatched(session, given, settings, call);
        return;
      }
      const client = () => session.client(options.driver);
      const script = await findScript(given, client, session.signal);
      session.exitCode = await runScript(session, script, settings, call);
    });
  examples(
    command,
    "run hello.ts",
    "run deploy.ts staging --timeout 5m --allow-net=api.example.org",
    "run backup.ts -- --keep 3 --dry-run",
    "run backup.ts -- --help",
    "run --watch report.ts",
    "run - < script.js",
  );
}

/** What the arguments behind a script are. */
export const ARGUMENTS =
  "arguments for the script, and flags for its inputs; put -- before those that start with a dash";

/**
 * The options of everything that runs a script.
 * @param timeout what `--timeout` does
 */
export function scriptOptions(
  command: Command,
  timeout = "stop it after this time, such as 30s",
): Command {
  return command
    .option("--driver <name>", "driver for new spaces whose template names none")
    .option("--space <space>", "space that the script's `space` module is bound to")
    .option("--timeout <duration>", `${timeout} (default: none)`, (text) =>
      parseDuration(text, "--timeout"),
    )
    .option("--memory <size>", "memory of the script, such as 64Mi", (text) =>
      parseSize(text, "--memory"),
    )
    .option("--input <json>", "value that `runtime.input` gives to the script", parseInput);
}

/** The options that give a script more than the spaces. */
export function allowOptions(command: Command): Command {
  return command
    .option(
      "--allow-net [hosts]",
      "let it fetch from any public host, or from =host,host",
      (text, before: ScriptOptions["allowNet"]) => allowList(text, "--allow-net", before),
    )
    .option(
      "--allow-env [names]",
      "let it read the environment, or only =NAME,NAME",
      (text, before: ScriptOptions["allowEnv"]) => allowList(text, "--allow-env", before),
    );
}

/** Reads the value of `--input`. @throws SpacesError `INVALID_INPUT` for what is no JSON */
export function parseInput(text: string): { readonly value: unknown } {
  try {
    return { value: JSON.parse(text) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpacesError("INVALID_INPUT", `--input is not JSON: ${reason}.`, {
      suggestion: `Give one JSON value, such as --input '{"name": "dev"}'.`,
      cause,
    });
  }
}
