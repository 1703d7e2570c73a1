/** `spaces repl`: an interactive session in the sandbox of scripts. */
import type { Command } from "commander";
import { hostCallFor } from "../runtime/bindings/host-call.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { createInterpreter } from "../runtime/interpreter/interpreter.js";
import { reportScriptError } from "./failures.js";
import { examples } from "./help.js";
import { historyPath, ReplHistory } from "./repl-history.js";
import { runPiped } from "./repl-piped.js";
import { ReplSession } from "./repl-session.js";
import { ReplTerminal } from "./repl-terminal.js";
import { allowOptions, type ScriptOptions, scriptOptions } from "./run.js";
import { modulesBeside } from "./script-source.js";
import type { Session } from "./session.js";

export function defineRepl(program: Command, session: Session): void {
  const command = program
    .command("repl")
    .summary("try out scripts line by line")
    .description(
      "Evaluate TypeScript line by line in the sandbox of scripts. The modules spaces, space, files, " +
        "runtime and yaml are there without an import, await works at top level, and what is declared " +
        "lives on. Type .help for its commands. Input that is no terminal is evaluated up to its end " +
        "or its first error.",
    );
  allowOptions(scriptOptions(command, "stop each input after this time, such as 30s")).action(
    async (options: ScriptOptions) => {
      session.exitCode = await runRepl(session, options);
    },
  );
  examples(
    command,
    "repl",
    "repl --space dev --allow-net=api.example.org",
    `repl <<< 'spaces.list().map((space) => space.name)'`,
  );
}

async function runRepl(session: Session, options: ScriptOptions): Promise<number> {
  const { output } = session;
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  if (isTerminal && output.isJson) {
    throw new SpacesError("INVALID_INPUT", "--json shows no session at a terminal.", {
      suggestion: "Pipe the input in, or leave --json out.",
    });
  }
  let terminal: ReplTerminal | undefined;
  let printed = "";
  const show = (action: () => void): void =>
    terminal === undefined ? action() : terminal.above(action);
  await using interpreter = createInterpreter({ maxWorkers: 2 });
  await using repl = await ReplSession.open(
    interpreter,
    {
      env: process.env,
      input: options.input?.value,
      space: options.space,
      limits: { memoryBytes: options.memory },
      permissions: { net: options.allowNet, env: options.allowEnv },
      colors: output.hasColors("stdout"),
      moduleSource: modulesBeside("./repl"),
      host: hostCallFor(() => session.client(options.driver)),
      onOutput(stream, text) {
        if (output.isJson) printed += text;
        else show(() => (stream === "stdout" ? output.data(text) : output.errorData(text)));
      },
      onUncaught: (error) => show(() => reportScriptError(output, error)),
    },
    options.timeout,
  );
  if (!isTerminal) {
    return await runPiped(session, repl, () => {
      const text = printed;
      printed = "";
      return text;
    });
  }
  const history = new ReplHistory(historyPath());
  terminal = new ReplTerminal(session, repl, { driver: options.driver, history });
  output.note("TypeScript in the sandbox of scripts: .help shows the commands, Ctrl-D leaves.");
  return await terminal.run();
}
