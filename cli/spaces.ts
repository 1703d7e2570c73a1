/** `spaces create, list, show, start, stop, restart, delete`: the life of spaces. */
import { type Command, Option } from "commander";
import type { Space, SpaceStatus } from "../runtime/contract/spaces.js";
import { exitCodeOf } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import { examples } from "./help.js";
import { keyValues } from "./key-values.js";
import { parseCount, parseLifetime } from "./quantities.js";
import type { Session } from "./session.js";
import { describeSpace, spaceTable } from "./show-space.js";
import { ago } from "./text.js";

const SHELLS = ["bash", "zsh", "fish", "sh"] as const;
const STATUSES = ["creating", "stopped", "starting", "running", "stopping", "error"] as const;

/** The most spaces that one call of `spaces.list` gives. */
const PAGE = 1000;

interface CreateOptions {
  readonly template: string;
  readonly description?: string;
  readonly shell?: (typeof SHELLS)[number];
  readonly driver?: string;
  readonly env?: Record<string, string>;
  readonly field?: Record<string, string>;
  readonly metadata?: Record<string, string>;
  readonly ttl?: number;
  readonly start?: boolean;
}

interface ListOptions {
  readonly status?: SpaceStatus;
  readonly template?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

interface DeleteOptions {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export function defineSpaces(program: Command, session: Session): void {
  const create = program
    .command("create")
    .summary("create a space")
    .description("Create a space and print its id. It is stopped until it is started.")
    .argument("<name>", "lower-case letters, digits and hyphens")
    .option("-t, --template <template>", "template that it is made from", "default")
    .option("-d, --description <text>", "what it is for")
    .addOption(new Option("--shell <shell>", "shell of its command lines").choices(SHELLS))
    .option("--driver <name>", "where it lives (default: the template's, else the best usable)")
    .option("-e, --env <name=value>", "environment variable; repeatable", keyValues("--env"))
    .option("--field <name=value>", "value of a field; repeatable", keyValues("--field"))
    .option("--metadata <key=value>", "label of yours; repeatable", keyValues("--metadata"))
    .option("--ttl <duration>", "delete it after this time, such as 2h (default: never)", (text) =>
      parseLifetime(text, "--ttl"),
    )
    .option("--start", "start it too")
    .action((name: string, options: CreateOptions) => createSpace(session, name, options));
  examples(
    create,
    "create dev --start",
    "create trial --ttl 2h",
    "create api --template node --env PORT=8080 --field branch=main",
  );

  const list = program
    .command("list")
    .alias("ls")
    .summary("list spaces")
    .description("List the spaces, oldest first.")
    .addOption(new Option("--status <status>", "only with this status").choices(STATUSES))
    .option("-t, --template <template>", "only of this template")
    .option("-a, --all", "also those of other users")
    .option("--limit <count>", "at most this many", (text) => parseCount(text, "--limit"))
    .action((options: ListOptions) => listSpaces(session, options));
  examples(list, "list", "list --status running --json");

  const show = program
    .command("show")
    .summary("show a space")
    .description("Show all about a space, with its fields and the host path of its files.")
    .argument("<space>", "name or id")
    .action(async (space: string) => {
      const client = await session.client();
      const found = await client.spaces.get({ space }, { signal: session.signal });
      session.output.result(found, () => describeSpace(found, session.output));
    });
  examples(show, "show dev", "show dev --json");

  defineChange(program, session, "start", "Started");
  defineChange(program, session, "stop", "Stopped");
  defineChange(program, session, "restart", "Restarted");

  const extend = program
    .command("extend")
    .summary("put off the end of a space")
    .description("Put off the time at which a space is deleted by itself.")
    .argument("<space>", "name or id")
    .argument("<duration>", "what is added to it, such as 1h")
    .action(async (space: string, duration: string) => {
      const durationMs = parseLifetime(duration, "<duration>");
      const { output, signal } = session;
      const client = await session.client();
      const extended = await client.spaces.extend({ space, durationMs }, { signal });
      output.note(`${extended.name} expires ${ago(extended.expiresAt ?? "")}.`);
      output.result(extended, () => `${extended.expiresAt}\n`);
    });
  examples(extend, "extend trial 1h");

  const remove = program
    .command("delete")
    .alias("rm")
    .summary("delete spaces")
    .description("Delete stopped spaces and their files.")
    .argument("<space...>", "names or ids")
    .option("-f, --force", "stop those that run first")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    // Nothing is asked for what is named explicitly; scripts that say yes anyway go on working.
    .addOption(new Option("-y, --yes").hideHelp())
    .action((spaces: string[], options: DeleteOptions) => deleteSpaces(session, spaces, options));
  examples(remove, "delete dev", "delete one two --force");
}

function defineChange(
  program: Command,
  session: Session,
  name: "start" | "stop" | "restart",
  done: string,
): void {
  const what = { start: "start a space", stop: "stop a space", restart: "restart a running space" };
  const command = program
    .command(name)
    .summary(what[name])
    .description(`${capital(what[name])} and wait until it is done.`)
    .argument("<space>", "name or id")
    .action(async (space: string) => {
      const client = await session.client();
      const changed = await client.spaces[name]({ space }, { signal: session.signal });
      if (session.output.isJson) session.output.json(changed);
      else session.output.note(`${done} ${changed.name}.`);
    });
  examples(command, `${name} dev`);
}

async function createSpace(session: Session, name: string, options: CreateOptions): Promise<void> {
  const { signal, output } = session;
  const client = await session.client();
  let space = await client.spaces.create(
    {
      name,
      template: options.template,
      description: options.description,
      shell: options.shell,
      driver: options.driver,
      env: options.env,
      fields: options.field,
      metadata: options.metadata,
      ttlMs: options.ttl,
    },
    { signal },
  );
  if (options.start === true) space = await client.spaces.start({ space: space.id }, { signal });
  const state = options.start === true ? "Created and started" : "Created";
  output.note(`${state} ${space.name} from template ${space.template} on ${space.driver}.`);
  output.result(space, () => `${space.id}\n`);
}

async function listSpaces(session: Session, options: ListOptions): Promise<void> {
  const client = await session.client();
  const items: Space[] = [];
  const most = options.limit ?? Number.POSITIVE_INFINITY;
  let cursor: string | undefined;
  do {
    const page = await client.spaces.list(
      {
        status: options.status,
        template: options.template,
        all: options.all,
        limit: Math.min(PAGE, most - items.length),
        cursor,
      },
      { signal: session.signal },
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && items.length < most);
  if (items.length === 0) session.output.note("There are no such spaces.");
  session.output.result({ items }, () =>
    items.length === 0 ? "" : spaceTable(items, session.output),
  );
}

/** Deletes each space that it can, and reports those that it could not. */
async function deleteSpaces(
  session: Session,
  spaces: readonly string[],
  { force = false, dryRun = false }: DeleteOptions,
): Promise<void> {
  const { signal, output } = session;
  const client = await session.client();
  const items: { space: string; deleted: boolean; dryRun?: true }[] = [];
  for (const space of spaces) {
    try {
      if (dryRun) {
        const found = await client.spaces.get({ space }, { signal });
        items.push({ space: found.name, deleted: false, dryRun: true });
        output.note(`Would delete ${found.name} (${found.status}).`);
      } else {
        await client.spaces.delete({ space, force }, { signal });
        items.push({ space, deleted: true });
        output.note(`Deleted ${space}.`);
      }
    } catch (failure) {
      if (signal.aborted) throw failure;
      const error = toSpacesError(failure);
      items.push({ space, deleted: false });
      reportError(output, error);
      if (session.exitCode === 0) session.exitCode = exitCodeOf(error.code);
    }
  }
  if (output.isJson) output.json({ items });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
