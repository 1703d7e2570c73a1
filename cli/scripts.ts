/** `spaces scripts save|list|show|run|delete`: scripts that are stored and run by name. */
import { basename, extname } from "node:path";
import { type Command, Option } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Permission } from "../runtime/contract/permissions.js";
import { examples } from "./help.js";
import { parsePermissions } from "./permission-list.js";
import { readStdin, readTextFile } from "./read-input.js";
import { scriptOptions } from "./run.js";
import { runScript, runStored } from "./run-script.js";
import { storedScript } from "./script-source.js";
import type { Session } from "./session.js";
import { ago, table } from "./text.js";

const SOURCE_LIMIT = 1_048_576;

const LANGUAGE_OF: Readonly<Record<string, "javascript" | "typescript">> = {
  ".js": "javascript",
  ".mjs": "javascript",
  ".ts": "typescript",
  ".mts": "typescript",
};

interface SaveOptions {
  readonly name?: string;
  readonly description?: string;
}

interface RunOptions {
  readonly driver?: string;
  readonly space?: string;
  readonly timeout?: number;
  readonly memory?: number;
  readonly grant?: Permission[];
}

export function defineScripts(program: Command, session: Session): void {
  const scripts = program
    .command("scripts")
    .summary("save, list, show, run and delete stored scripts")
    .description("Stored scripts are run by name: in the sandbox, or natively in a space.");

  const save = scripts
    .command("save")
    .description("Store a script, or replace it. One that starts with #! is run inside of a space.")
    .argument("<file>", "the file, or - for standard input")
    .option("--name <name>", "its name (default: that of the file)")
    .option("-d, --description <text>", "what it does")
    .action((file: string, options: SaveOptions) => saveScript(session, file, options));
  examples(save, "scripts save deploy.ts", "scripts save - --name hello < hello.js");

  const list = scripts
    .command("list")
    .description("List the stored scripts.")
    .action(async () => {
      const client = await session.client();
      const listed = await client.scripts.list({}, { signal: session.signal });
      const { items } = listed;
      if (items.length === 0) session.output.note("There are no stored scripts.");
      session.output.result(listed, () =>
        items.length === 0
          ? ""
          : table(
              ["NAME", "LANGUAGE", "UPDATED", "DESCRIPTION"],
              items.map((script) => [
                script.name,
                script.language,
                ago(script.updatedAt),
                script.description,
              ]),
              (title) => session.output.style("stdout", "bold", title),
            ),
      );
    });
  examples(list, "scripts list");

  const show = scripts
    .command("show")
    .description("Print the source of a stored script.")
    .argument("<script>")
    .action(async (script: string) => {
      const client = await session.client();
      const found = await client.scripts.get({ script }, { signal: session.signal });
      session.output.result(found, () => found.source.replace(/\n*$/, "\n"));
    });
  examples(show, "scripts show deploy");

  const run = scripts
    .command("run")
    .description("Run a stored script.")
    .argument("<script>")
    .argument("[args...]", "arguments for the script; put -- before those that start with a dash");
  scriptOptions(run)
    .option("--grant <permissions>", "what it may do, separated by commas", (text) =>
      parsePermissions(text, "--grant"),
    )
    .action(async (name: string, args: string[], options: RunOptions) => {
      const client = await session.client(options.driver);
      if (options.grant !== undefined) {
        const { grant, space, timeout: timeoutMs } = options;
        const settings = { args, space, timeoutMs };
        session.exitCode = await runStored(session, client, { name, grant }, settings);
        return;
      }
      const script = await storedScript(name, client, session.signal);
      session.exitCode = await runScript(session, script, {
        args,
        driver: options.driver,
        space: options.space,
        timeoutMs: options.timeout,
        memoryBytes: options.memory,
        permissions: {},
      });
    });
  examples(run, "scripts run deploy --space dev staging", "scripts run report --grant UseSpaces");

  const remove = scripts
    .command("delete")
    .description("Delete a stored script.")
    .argument("<script>")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (script: string, { dryRun = false }: { dryRun?: boolean }) => {
      const { signal, output } = session;
      const client = await session.client();
      if (dryRun) await client.scripts.get({ script }, { signal });
      else await client.scripts.delete({ script }, { signal });
      output.note(dryRun ? `Would delete script ${script}.` : `Deleted script ${script}.`);
      if (output.isJson) output.json({ script, deleted: !dryRun });
    });
  examples(remove, "scripts delete deploy");
}

async function saveScript(session: Session, file: string, options: SaveOptions): Promise<void> {
  const { signal, output } = session;
  if (file === "-" && options.name === undefined) {
    throw new SpacesError("INVALID_INPUT", "A script from standard input has no name.", {
      suggestion: "Name it with --name.",
    });
  }
  const source =
    file === "-" ? await readStdin(SOURCE_LIMIT, signal) : readTextFile(file, SOURCE_LIMIT);
  if (source === undefined) {
    throw new SpacesError("INVALID_INPUT", `There is no file "${file}".`, {
      suggestion: "Check the path.",
    });
  }
  const extension = extname(file);
  const client = await session.client();
  const saved = await client.scripts.save(
    {
      script: options.name ?? basename(file, extension),
      source,
      description: options.description,
      language: source.startsWith("#!") ? undefined : LANGUAGE_OF[extension],
    },
    { signal },
  );
  output.note(`Saved ${saved.name} (${saved.language}).`);
  if (output.isJson) {
    const { source: _source, ...rest } = saved;
    output.json(rest);
  }
}
