/** `spaces repl`: an interactive session in the sandbox of scripts. */
import type { Command } from "commander";
import { hostCallFor } from "../runtime/bindings/host-call.js";
import { recorded } from "../runtime/bindings/recorded-script.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { defaultDataDir } from "../runtime/data-dir.js";
import { createInterpreter } from "../runtime/interpreter/interpreter.js";
import type { SessionRequest } from "../runtime/interpreter/types.js";
import type { RunRecorder } from "../runtime/runs/recorder.js";
import { EXIT } from "./exit-codes.js";
import { reportScriptError } from "./failures.js";
import { examples } from "./help.js";
import { historyPath, ReplHistory } from "./repl-history.js";
import { runPiped } from "./repl-piped.js";
import { ReplSession } from "./repl-session.js";
import { ReplTerminal } from "./repl-terminal.js";
import { allowOptions, type ScriptOptions, scriptOptions } from "./run.js";
import { clientOfRun, recorderFor, shownToWhoDebugs } from "./run-script.js";
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
      session.exitCode = await recordedSession(session, options);
    },
  );
  examples(
    command,
    "repl",
    "repl --space dev --allow-net=api.example.org",
    `repl <<< 'spaces.list().map((space) => space.name)'`,
  );
}

/** Runs a session, which is recorded as one run, and gives its exit code. */
async function recordedSession(session: Session, options: ScriptOptions): Promise<number> {
  if (isTerminal() && session.output.isJson) {
    throw new SpacesError("INVALID_INPUT", "--json shows no session at a terminal.", {
      suggestion: "Pipe the input in, or leave --json out.",
    });
  }
  const recorder = recorderFor(
    session,
    { filename: "repl.ts", source: "" },
    {
      args: [],
      input: options.input?.value,
      space: options.space,
      memoryBytes: options.memory,
      permissions: { net: options.allowNet, env: options.allowEnv },
      trigger: { kind: "repl" },
    },
    defaultDataDir(),
  );
  recorder.signal.addEventListener("abort", () => session.stop(EXIT.interrupted), { once: true });
  let exitCode: number = EXIT.failure;
  try {
    exitCode = await runSession(session, options, recorder);
    return exitCode;
  } finally {
    const stopped = session.stopCode !== undefined;
    const status = stopped ? "cancelled" : exitCode === EXIT.ok ? "succeeded" : "failed";
    await recorder.end({ status, exitCode: session.stopCode ?? exitCode });
  }
}

async function runSession(
  session: Session,
  options: ScriptOptions,
  recorder: RunRecorder,
): Promise<number> {
  const { output } = session;
  let terminal: ReplTerminal | undefined;
  let printed = "";
  const show = (action: () => void): void =>
    terminal === undefined ? action() : terminal.above(action);
  const traffic: Pick<SessionRequest, "moduleSource" | "onOutput"> = {
    moduleSource: modulesBeside("./repl"),
    onOutput(stream, text) {
      if (output.isJson) printed += text;
      else show(() => (stream === "stdout" ? output.data(text) : output.errorData(text)));
    },
  };
  let inputs = 0;
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
      host: shownToWhoDebugs(
        output,
        hostCallFor(() => clientOfRun(session, options.driver, recorder)),
      ),
      onUncaught: (error) => show(() => reportScriptError(output, error)),
      ...recorded(traffic, recorder),
    },
    {
      timeoutMs: options.timeout,
      onInput(source) {
        inputs += 1;
        recorder.module(`input-${inputs}.ts`, source);
      },
    },
  );
  if (!isTerminal()) {
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

function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}
