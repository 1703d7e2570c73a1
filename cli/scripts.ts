/** `spaces scripts …`: scripts that are stored in versions and run by name. */
import { type Command, Option } from "commander";
import type { Permission } from "../runtime/contract/permissions.js";
import { examples } from "./help.js";
import { parsePermissions } from "./permission-list.js";
import { parseCount, parseDuration } from "./quantities.js";
import { ARGUMENTS, parseInput, scriptOptions } from "./run.js";
import { readyToRun, runScript, runStored } from "./run-script.js";
import { storedScript } from "./script-source.js";
import { saveScript } from "./scripts-save.js";
import {
  deleteScript,
  listScripts,
  rollbackScript,
  showHistory,
  showScript,
} from "./scripts-show.js";
import type { Session } from "./session.js";

interface RunOptions {
  readonly driver?: string;
  readonly space?: string;
  readonly timeout?: number;
  readonly memory?: number;
  readonly input?: { readonly value: unknown };
  readonly version?: number;
  readonly grant?: Permission[];
}

export function defineScripts(program: Command, session: Session): void {
  const scripts = program
    .command("scripts")
    .summary("save, run, test and compare stored scripts")
    .description("Stored scripts are run by name: in the sandbox, or natively in a space.");
  defineSaving(scripts, session);
  defineShowing(scripts, session);
  defineRunning(scripts, session);
}

function defineSaving(scripts: Command, session: Session): void {
  const save = scripts
    .command("save")
    .summary("store a script as a new version")
    .description(
      "Store a script as a new version. One that starts with #! is run inside of a space. What it says in its header may also be given here.",
    )
    .argument("<file>", "the file, or - for standard input")
    .option("--name <name>", "its name (default: that of the file)")
    .option("-d, --description <text>", "what it does")
    .addOption(
      new Option("--kind <kind>", "a lib is imported by other stored scripts").choices([
        "script",
        "lib",
      ]),
    )
    .option("--tool", "give it to MCP clients as a tool of its own")
    .option("--no-tool", "do not")
    .option("--inputs <file>", "file of YAML or JSON that declares its inputs")
    .option("--global", "for everybody; needs the permission ManageGlobalScripts")
    .action((file: string, options) => saveScript(session, file, options));
  examples(
    save,
    "scripts save deploy.ts",
    "scripts save - --name hello < hello.js",
    "scripts save util.ts --kind lib --global",
  );

  const edit = scripts
    .command("edit")
    .summary("change a script in your editor")
    .description("Open a script in $VISUAL or $EDITOR, and save what was changed as a new version.")
    .argument("<script>")
    .option("--global", "the one that is everybody's")
    .action(async (script: string, { global = false }: { global?: boolean }) => {
      const { editScript } = await import("./scripts-edit.js");
      await editScript(session, script, global);
    });
  examples(edit, "scripts edit deploy");

  const load = scripts
    .command("import")
    .summary("store all scripts of a directory")
    .description(
      "Store the scripts of a directory: *.ts, *.mts, *.js, *.mjs, and *.sh that start with #!. In a git checkout, those that git tracks. Directories below it are left out.",
    )
    .argument("<directory>")
    .option("--prefix <text>", "put before the names of scripts; libs keep theirs")
    .option("--global", "for everybody; needs the permission ManageGlobalScripts")
    .option("--dry-run", "show what would be stored, and store nothing")
    .action(async (directory: string, options) => {
      const { importScripts } = await import("./scripts-import.js");
      await importScripts(session, directory, options);
    });
  examples(load, "scripts import ./automation", "scripts import . --prefix ops- --dry-run");

  const rollback = scripts
    .command("rollback")
    .summary("make an earlier version the newest")
    .description("Save an earlier version once more, as the newest. No version is lost.")
    .argument("<script>")
    .option("--to <number>", "the version (default: the one before the newest)", versionOf("--to"))
    .option("--global", "the one that is everybody's")
    .action((script: string, options) => rollbackScript(session, script, options));
  examples(rollback, "scripts rollback deploy", "scripts rollback deploy --to 3");

  const remove = scripts
    .command("delete")
    .description("Delete a stored script with all of its versions.")
    .argument("<script>")
    .option("--global", "the one that is everybody's")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action((script: string, options) => deleteScript(session, script, options));
  examples(remove, "scripts delete deploy");
}

function defineShowing(scripts: Command, session: Session): void {
  const list = scripts
    .command("list")
    .description("List the stored scripts: your own and those that are everybody's.")
    .action(() => listScripts(session));
  examples(list, "scripts list");

  const show = scripts
    .command("show")
    .description("Print the source of a stored script.")
    .argument("<script>")
    .option("--version <number>", "a version (default: the newest)", versionOf("--version"))
    .option("--global", "the one that is everybody's")
    .action((script: string, options) => showScript(session, script, options));
  examples(show, "scripts show deploy", "scripts show deploy --version 3");

  const history = scripts
    .command("history")
    .summary("list the versions of a script")
    .description("List the versions of a stored script, the newest first.")
    .argument("<script>")
    .option("--global", "the one that is everybody's")
    .action((script: string, { global = false }: { global?: boolean }) =>
      showHistory(session, script, global),
    );
  examples(history, "scripts history deploy");

  const diff = scripts
    .command("diff")
    .summary("compare versions of a script, or files")
    .description(
      "Compare two versions of a stored script, or one with a file. Ends with 1 where they differ.",
    )
    .argument("<script>")
    .argument("[from]", "number of a version, or a file (default: the version before the newest)")
    .argument("[to]", "number of a version, or a file (default: the newest)")
    .option("--global", "the one that is everybody's")
    .action(
      async (
        script: string,
        from: string | undefined,
        to: string | undefined,
        { global = false }: { global?: boolean },
      ) => {
        const { diffScript } = await import("./scripts-diff.js");
        await diffScript(session, script, { from, to, global });
      },
    );
  examples(
    diff,
    "scripts diff deploy",
    "scripts diff deploy 3 5",
    "scripts diff deploy ./deploy.ts",
  );
}

function defineRunning(scripts: Command, session: Session): void {
  const run = scripts
    .command("run")
    .description("Run a stored script.")
    .argument("<script>")
    .argument("[args...]", ARGUMENTS);
  scriptOptions(run)
    .option("--version <number>", "a version (default: the newest)", versionOf("--version"))
    .option("--grant <permissions>", "what it may do, separated by commas", (text) =>
      parsePermissions(text, "--grant"),
    )
    .action(async (name: string, args: string[], options: RunOptions) => {
      const { version, grant } = options;
      const client = await session.client(options.driver);
      const script = await storedScript({ script: name, version }, client, session.signal);
      const settings = {
        args,
        driver: options.driver,
        space: options.space,
        timeoutMs: options.timeout,
        memoryBytes: options.memory,
        input: options.input?.value,
        permissions: {},
      };
      const call = "spaces scripts run";
      if (grant === undefined) {
        session.exitCode = await runScript(session, script, settings, call);
        return;
      }
      const ready = await readyToRun(session, script, settings, call);
      if (ready === undefined) return;
      session.exitCode = await runStored(session, client, { name, version, grant }, ready);
    });
  examples(
    run,
    "scripts run deploy --space dev staging",
    "scripts run backup -- --keep 3 --dry-run",
    "scripts run backup -- --help",
    "scripts run report --grant UseSpaces",
  );

  const test = scripts
    .command("test")
    .summary("run a script against an engine of its own")
    .description(
      "Run a file or a stored script against an empty virtual engine in a temporary directory. Spaces, templates and scripts of yours are not there, and nothing stays behind.",
    )
    .argument("<script>", "file, or name of a stored script")
    .argument("[args...]", ARGUMENTS)
    .option("--space <name>", "make and start a space of this name, and bind the script to it")
    .option("--timeout <duration>", "stop it after this time (default: none)", (text) =>
      parseDuration(text, "--timeout"),
    )
    .option("--input <json>", "value that `runtime.input` gives to the script", parseInput)
    .action(async (script: string, args: string[], options) => {
      const { testScript } = await import("./scripts-trial.js");
      session.exitCode = await testScript(session, script, args, options);
    });
  examples(test, "scripts test backup.ts -- --keep 3", "scripts test setup.sh --space dev");
}

function versionOf(option: string): (text: string) => number {
  return (text) => parseCount(text, option);
}
