/** `spaces runs list|show|logs|cancel|rerun|delete`: the records of scripts that were run. */
import { type Command, Option } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { type Run, runIdSchema, runStatusSchema } from "../runtime/contract/runs.js";
import { examples } from "./help.js";
import { parseCount } from "./quantities.js";
import { cancelRun, printRun, rerun } from "./run-output.js";
import type { Session } from "./session.js";
import { listOf, showRun } from "./show-run.js";

const PAGE = 50;

interface ListOptions {
  readonly status?: Run["status"];
  readonly script?: string;
  readonly schedule?: string;
  readonly all?: boolean;
  readonly limit?: number;
}

interface LogsOptions {
  readonly follow?: boolean;
  readonly times?: boolean;
  readonly calls?: boolean;
}

export function defineRuns(program: Command, session: Session): void {
  const runs = program
    .command("runs")
    .summary("list, show, follow, cancel and repeat runs of scripts")
    .description(
      "Every script that is run has a record: what it was, what it printed, which calls it made and how it ended.",
    );

  const list = runs
    .command("list")
    .description("List runs, the newest first.")
    .addOption(
      new Option("--status <status>", "only those that are so").choices(runStatusSchema.options),
    )
    .option("--script <name>", "only those of this stored script")
    .option("--schedule <name>", "only those of this schedule")
    .option("--all", "those of every owner")
    .option("--limit <number>", `how many at most (default: ${PAGE})`, (text) =>
      parseCount(text, "--limit"),
    )
    .action((options: ListOptions) => listRuns(session, options));
  examples(list, "runs list", "runs list --status failed --script backup", "runs list --json");

  const show = runs
    .command("show")
    .description("Show the record of a run, with the calls that it made.")
    .argument("<run>")
    .action(async (run: string) => showRun(session, checkId(run)));
  examples(show, "runs show run_1k7v53i0nikh7sc9ne1c");

  const logs = runs
    .command("logs")
    .description("Print what a run has printed. With --json, one event a line.")
    .argument("<run>")
    .option("-f, --follow", "go on until it ends")
    .option("--times", "put the time before each line")
    .option("--calls", "tell the calls too, on stderr")
    .action(async (run: string, options: LogsOptions) => {
      await printRun(session, await session.client(), checkId(run), options);
    });
  examples(
    logs,
    "runs logs run_1k7v53i0nikh7sc9ne1c --follow",
    "runs logs run_1k7v53i0nikh7sc9ne1c --times --calls",
  );

  const cancel = runs
    .command("cancel")
    .description("Cancel a run. One that has ended stays as it is.")
    .argument("<run>")
    .action((run: string) => cancelRun(session, checkId(run)));
  examples(cancel, "runs cancel run_1k7v53i0nikh7sc9ne1c");

  const again = runs
    .command("rerun")
    .description(
      "Run what a run ran once more, from the source as it was then, and print what it prints.",
    )
    .argument("<run>")
    .action(async (run: string) => {
      session.exitCode = await rerun(session, checkId(run));
    });
  examples(again, "runs rerun run_1k7v53i0nikh7sc9ne1c");

  const remove = runs
    .command("delete")
    .description("Delete the records of runs that have ended.")
    .argument("<runs...>")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action((ids: string[], { dryRun = false }: { dryRun?: boolean }) =>
      deleteRuns(session, ids.map(checkId), dryRun),
    );
  examples(remove, "runs delete run_1k7v53i0nikh7sc9ne1c");
}

async function listRuns(session: Session, { limit = PAGE, ...query }: ListOptions): Promise<void> {
  const { output, signal } = session;
  const { client, kind } = await session.binding();
  const items: Run[] = [];
  let cursor: string | undefined;
  do {
    const request = { ...query, limit: Math.min(1000, limit - items.length), cursor };
    const page = await client.runs.list(request, { signal });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && items.length < limit);
  if (items.length === 0) output.note("There are no such runs.");
  if (cursor !== undefined) output.note(`There are more than ${limit}; ask for them with --limit.`);
  if (kind === "remote") {
    output.note("Scripts that `spaces run` ran are recorded here: --binding local lists them.");
  }
  output.result({ items, ...(cursor === undefined ? {} : { nextCursor: cursor }) }, () =>
    listOf(items, output),
  );
}

async function deleteRuns(
  session: Session,
  ids: readonly string[],
  dryRun: boolean,
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  for (const run of ids) {
    if (dryRun) await client.runs.get({ run }, { signal });
    else await client.runs.delete({ run }, { signal });
    output.note(dryRun ? `Would delete ${run}.` : `Deleted ${run}.`);
  }
  if (output.isJson) output.json({ runs: ids, deleted: !dryRun });
}

/** The id as it was given. @throws SpacesError `INVALID_INPUT` for what is none */
function checkId(given: string): string {
  if (runIdSchema.safeParse(given).success) return given;
  throw new SpacesError("INVALID_INPUT", `"${given.slice(0, 80)}" is no id of a run.`, {
    suggestion: "Give an id as `spaces runs list` shows it.",
  });
}
