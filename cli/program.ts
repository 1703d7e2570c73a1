/**
 * The command line as a whole: finds the command group that was asked for, loads only that, runs it
 * and ends with its exit code. `main.ts` calls it.
 */
import { Command, CommanderError, Help, Option } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import { defineRun } from "./run.js";
import { type GlobalOptions, Session } from "./session.js";

/** Adds the commands of a group to the program. */
export type DefineGroup = (program: Command, session: Session) => void;

interface Group {
  readonly names: readonly string[];
  readonly load: () => Promise<DefineGroup>;
}

/**
 * In the order in which help shows them. `run` is loaded with this file, for it is to start fast and
 * each further file costs about a millisecond; the others are loaded when they are chosen.
 */
const GROUPS: readonly Group[] = [
  { names: ["run"], load: async () => defineRun },
  { names: ["repl"], load: async () => (await import("./repl.js")).defineRepl },
  {
    names: ["create", "list", "show", "start", "stop", "restart", "extend", "delete"],
    load: async () => (await import("./spaces.js")).defineSpaces,
  },
  { names: ["exec"], load: async () => (await import("./exec.js")).defineExec },
  { names: ["shell", "attach"], load: async () => (await import("./shell.js")).defineShell },
  {
    names: ["ps", "logs", "kill"],
    load: async () => (await import("./processes.js")).defineProcesses,
  },
  { names: ["files"], load: async () => (await import("./files.js")).defineFiles },
  { names: ["cp"], load: async () => (await import("./cp.js")).defineCp },
  { names: ["ports"], load: async () => (await import("./ports.js")).definePorts },
  { names: ["fields"], load: async () => (await import("./fields.js")).defineFields },
  { names: ["templates"], load: async () => (await import("./templates.js")).defineTemplates },
  { names: ["scripts"], load: async () => (await import("./scripts.js")).defineScripts },
  { names: ["runs"], load: async () => (await import("./runs.js")).defineRuns },
  { names: ["schedules"], load: async () => (await import("./schedules.js")).defineSchedules },
  { names: ["login", "logout"], load: async () => (await import("./login.js")).defineLogin },
  { names: ["whoami"], load: async () => (await import("./whoami.js")).defineWhoami },
  { names: ["users"], load: async () => (await import("./users.js")).defineUsers },
  { names: ["roles"], load: async () => (await import("./roles.js")).defineRoles },
  { names: ["tokens"], load: async () => (await import("./tokens.js")).defineTokens },
  { names: ["config"], load: async () => (await import("./config.js")).defineConfig },
  { names: ["mcp"], load: async () => (await import("./mcp.js")).defineMcp },
  { names: ["serve"], load: async () => (await import("./serve.js")).defineServe },
  { names: ["init"], load: async () => (await import("./init.js")).defineInit },
  { names: ["doctor"], load: async () => (await import("./doctor.js")).defineDoctor },
  {
    names: ["completion", "__complete"],
    load: async () => (await import("./completion.js")).defineCompletion,
  },
  { names: ["version"], load: async () => (await import("./version.js")).defineVersion },
];

/**
 * Runs the command line.
 * @param args what follows the program's name
 * @returns the exit code; everything that failed has been reported on stderr
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const session = new Session();
  const given = normalize(args);
  const program = await buildProgram(session, given);
  try {
    await program.parseAsync(given, { from: "user" });
  } catch (error) {
    session.configure(program.opts<GlobalOptions>());
    session.exitCode = report(session, error);
  }
  try {
    await session.close();
  } catch (error) {
    const code = report(session, error);
    if (session.exitCode === EXIT.ok) session.exitCode = code;
  }
  return session.stopCode ?? session.exitCode;
}

/**
 * Builds the program.
 * @param args when they name a group, only that one is loaded; all are without them
 */
export async function buildProgram(session: Session, args: readonly string[]): Promise<Command> {
  const program = new Command("spaces")
    .description("Run sandboxed scripts that drive isolated spaces.")
    .option("--json", "print one JSON value")
    .option("-q, --quiet", "print no notes and no progress")
    .option("--no-color", "print no colours")
    .addOption(
      new Option("--binding <kind>", "where spaces are managed")
        .choices(["auto", "local", "remote"])
        .default("auto"),
    )
    .option("--url <url>", "server that manages them; also SPACES_URL")
    .option("--profile <name>", "profile of your configuration; also SPACES_PROFILE")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .configureHelp({
      showGlobalOptions: true,
      // Read by `normalize`: as an option of the program it would be taken from commands that have one.
      visibleOptions(command) {
        const shown = Help.prototype.visibleOptions.call(this, command);
        return command.parent === null ? [VERSION, ...shown] : shown;
      },
      // A value that may be left out is given with an equals sign only: see `normalize`.
      optionTerm: (option) => option.flags.replace(/ \[(.*)\]$/, "[=$1]"),
    })
    .configureOutput({
      // Errors are shown by `report`, in the form that --json and colours ask for.
      outputError: () => undefined,
    })
    .exitOverride()
    .hook("preAction", () => session.configure(program.opts<GlobalOptions>()));

  const name = commandIn(args);
  const chosen = GROUPS.filter((group) => name !== undefined && group.names.includes(name));
  for (const group of chosen.length > 0 ? chosen : GROUPS) {
    const define = await group.load();
    define(program, session);
  }
  return program;
}

const VERSION = new Option("-V, --version", "print the version");

/** The options before a command whose value is the next word. */
const VALUED = new Set(["--binding", "--url", "--profile"]);

/** The name of the command, behind the options that may stand before it. */
function commandIn(args: readonly string[]): string | undefined {
  return args.find((arg, index) => !arg.startsWith("-") && !VALUED.has(args[index - 1] ?? ""));
}

/**
 * `--version` without a command is the command `version`. A permission without a value is made one with an empty
 * value, so that it cannot take the word behind it: `--allow-net script.ts` allows all hosts.
 */
function normalize(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  const own = end === -1 ? args : args.slice(0, end);
  const normal = own.map((arg) => (/^--allow-(net|env)$/.test(arg) ? `${arg}=` : arg));
  const version = normal.findIndex((arg) => arg === "--version" || arg === "-V");
  if (version !== -1 && commandIn(normal) === undefined) normal[version] = "version";
  return end === -1 ? normal : [...normal, ...args.slice(end)];
}

function report(session: Session, failure: unknown): number {
  if (failure instanceof CommanderError) {
    // Help that was asked for, or that stands in for a missing subcommand, has been printed.
    if (failure.exitCode === 0) return EXIT.ok;
    if (failure.code === "commander.help") return EXIT.usage;
    reportError(session.output, usageError(failure));
    return EXIT.usage;
  }
  const error = toSpacesError(failure);
  if (session.stopCode === undefined) reportError(session.output, error);
  return exitCodeOf(error.code);
}

/** The parser's own error in the registry's form. */
function usageError(error: CommanderError): SpacesError {
  const [message = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const guess = rest
    .join(" ")
    .replace(/^\(|\)$/g, "")
    // Every command has these two: they look like whatever was meant for a script.
    .replace(/^Did you mean --(?:help|version)\?$/, "");
  return new SpacesError("INVALID_INPUT", `${message.replace(/\.$/, "")}.`, {
    suggestion: guess === "" ? suggestionFor(error.code) : guess,
    cause: error,
  });
}

function suggestionFor(code: string): string {
  return code === "commander.unknownOption"
    ? "Add --help to see the options; put -- before arguments that are meant for a script or command."
    : "Add --help to see how the command is used.";
}
