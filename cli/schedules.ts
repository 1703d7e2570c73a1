/** `spaces schedules …`: stored scripts that are run at times. */
import { type Command, Option } from "commander";
import { type Job, type JobStatus, jobStatusSchema } from "../runtime/contract/schedules.js";
import { exitCodeOf } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import { examples } from "./help.js";
import { parseCount } from "./quantities.js";
import { readFileOrStdin } from "./read-input.js";
import { defineScheduleRuns } from "./schedule-runs.js";
import {
  clearOption,
  localTimezone,
  type SettingOptions,
  settingOptions,
  settingsOf,
} from "./schedule-settings.js";
import type { Session } from "./session.js";
import { describeSchedule, jobTable, scheduleTable } from "./show-schedule.js";
import { ago, inTimezone } from "./text.js";

const SOURCE_LIMIT = 1_048_576;
/** What the contract lets one page hold. */
const PAGE = 1000;

interface AddOptions extends SettingOptions {
  readonly cron: string;
  readonly tz: string;
  readonly script: string;
  readonly paused?: boolean;
}

export function defineSchedules(program: Command, session: Session): void {
  const schedules = program
    .command("schedules")
    .summary("have stored scripts run at times")
    .description(
      "Schedules have stored scripts run at times, by `spaces serve` or by `spaces schedules tick`.",
    );
  defineAdd(schedules, session);
  defineApply(schedules, session);
  defineList(schedules, session);
  defineShow(schedules, session);
  defineUpdate(schedules, session);
  definePauseAndResume(schedules, session);
  defineScheduleRuns(schedules, session);
  defineHistory(schedules, session);
  defineRemove(schedules, session);
  definePreview(schedules, session);
}

function defineAdd(schedules: Command, session: Session): void {
  const add = schedules
    .command("add")
    .description("Add a schedule.")
    .argument("<name>", "its name")
    .requiredOption("--cron <expression>", 'when, such as "0 3 * * *" or @daily')
    .addOption(timezoneOption())
    .requiredOption("--script <script>", "name of the stored script");
  settingOptions(add)
    .option("--paused", "let no job become due until it is resumed")
    .action(async (name: string, options: AddOptions) => {
      const { signal, output } = session;
      const { cron, tz, script } = options;
      const settings = await settingsOf(session, options);
      const client = await session.client();
      const added = await client.schedules.add(
        { ...settings, name, cron, timezone: tz, script, paused: options.paused ?? false },
        { signal },
      );
      output.note(`Added ${added.name}: ${nextOf(added.nextDueAt, added.timezone)}.`);
      if (output.isJson) output.json(added);
    });
  examples(
    add,
    'schedules add nightly --cron "0 3 * * *" --tz Europe/Berlin --script backup --space db',
    "schedules add hourly --cron @hourly --script health --jitter 5m --timeout 10m --retries 3",
    "schedules add tell --cron @daily --script report --notify-url https://example.org/hook --notify-secret-file secret.txt",
  );
}

function timezoneOption(): Option {
  const option = new Option("--tz <zone>", "time zone of the expression");
  return option.default(localTimezone(), "this machine's");
}

function nextOf(nextDueAt: string | undefined, timezone: string): string {
  return nextDueAt === undefined ? "paused" : `next due ${inTimezone(nextDueAt, timezone)}`;
}

function defineApply(schedules: Command, session: Session): void {
  const apply = schedules
    .command("apply")
    .description("Add or change schedules from a YAML file; all of them or none.")
    .argument("<file>", "the file, or - for standard input")
    .action(async (file: string) => {
      const { signal, output } = session;
      const source = await readFileOrStdin(file, SOURCE_LIMIT, signal);
      const client = await session.client();
      const filename = file === "-" ? "stdin.yaml" : file;
      const applied = await client.schedules.apply({ source, filename }, { signal });
      for (const { name, result } of applied.items) output.note(`Schedule ${name}: ${result}.`);
      if (output.isJson) output.json(applied);
    });
  examples(apply, "schedules apply schedules.yaml", "schedules apply - < schedules.yaml");
}

function defineList(schedules: Command, session: Session): void {
  const list = schedules
    .command("list")
    .description("List your schedules.")
    .action(async () => {
      const { output, signal } = session;
      const client = await session.client();
      const listed = await client.schedules.list({}, { signal });
      const { items } = listed;
      if (items.length === 0) output.note("There are no schedules.");
      output.result(listed, () => (items.length === 0 ? "" : scheduleTable(items, output)));
      for (const { name, problems } of items) {
        for (const { message } of problems) output.note(`${name}: ${message}`);
      }
    });
  examples(list, "schedules list", "schedules list --json");
}

function defineShow(schedules: Command, session: Session): void {
  const show = schedules
    .command("show")
    .description("Show all about a schedule.")
    .argument("<schedule>")
    .action(async (schedule: string) => {
      const client = await session.client();
      const found = await client.schedules.get({ schedule }, { signal: session.signal });
      session.output.result(found, () => describeSchedule(found, session.output));
    });
  examples(show, "schedules show nightly");
}

function defineUpdate(schedules: Command, session: Session): void {
  const update = schedules
    .command("update")
    .description("Change what is given of a schedule; the rest stays.")
    .argument("<schedule>")
    .option("--cron <expression>", 'when, such as "0 3 * * *" or @daily')
    .option("--tz <zone>", "time zone of the expression")
    .option("--script <script>", "name of the stored script");
  clearOption(settingOptions(update)).action(async (schedule: string, options: SettingOptions) => {
    const { signal, output } = session;
    const client = await session.client();
    const current = await client.schedules.get({ schedule }, { signal });
    const change = await settingsOf(session, options, current);
    const changed = await client.schedules.update({ ...change, schedule }, { signal });
    output.note(`Updated ${changed.name}: ${nextOf(changed.nextDueAt, changed.timezone)}.`);
    if (output.isJson) output.json(changed);
  });
  examples(
    update,
    'schedules update nightly --cron "30 3 * * *"',
    "schedules update nightly --clear space,notify",
  );
}

function definePauseAndResume(schedules: Command, session: Session): void {
  for (const [action, meaning] of [
    ["pause", "Let no further job of a schedule become due; one that runs goes on."],
    ["resume", "Let jobs of a schedule become due from now on."],
  ] as const) {
    const command = schedules
      .command(action)
      .description(meaning)
      .argument("<schedule>")
      .action(async (schedule: string) => {
        const { signal, output } = session;
        const client = await session.client();
        const changed = await client.schedules[action]({ schedule }, { signal });
        output.note(`${changed.name}: ${nextOf(changed.nextDueAt, changed.timezone)}.`);
        if (output.isJson) output.json(changed);
      });
    examples(command, `schedules ${action} nightly`);
  }
}

function defineHistory(schedules: Command, session: Session): void {
  const history = schedules
    .command("history")
    .description("List the jobs of a schedule, the newest first.")
    .argument("<schedule>")
    .addOption(new Option("--status <status>", "only these").choices(jobStatusSchema.options))
    .option("--limit <count>", "at most so many", (text) => parseCount(text, "--limit"), 20)
    .action(async (schedule: string, { status, limit }: { status?: JobStatus; limit: number }) => {
      const { signal, output } = session;
      const client = await session.client();
      const items: Job[] = [];
      let cursor: string | undefined;
      do {
        const page = await client.schedules.history(
          { schedule, status, cursor, limit: Math.min(PAGE, limit - items.length) },
          { signal },
        );
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== undefined && items.length < limit);
      if (items.length === 0) output.note("There are no such jobs.");
      output.result({ items }, () => (items.length === 0 ? "" : jobTable(items, output)));
    });
  examples(history, "schedules history nightly", "schedules history nightly --status failed");
}

function defineRemove(schedules: Command, session: Session): void {
  const remove = schedules
    .command("remove")
    .alias("delete")
    .description("Remove schedules with their history; jobs that run are cancelled.")
    .argument("<schedule...>", "names")
    .option("--dry-run", "show what would be removed, and remove nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (names: string[], { dryRun = false }: { dryRun?: boolean }) => {
      const { signal, output } = session;
      const client = await session.client();
      const items: { schedule: string; removed: boolean }[] = [];
      for (const schedule of names) {
        try {
          if (dryRun) await client.schedules.get({ schedule }, { signal });
          else await client.schedules.remove({ schedule }, { signal });
          items.push({ schedule, removed: !dryRun });
          output.note(`${dryRun ? "Would remove" : "Removed"} ${schedule}.`);
        } catch (failure) {
          if (signal.aborted) throw failure;
          const error = toSpacesError(failure);
          items.push({ schedule, removed: false });
          reportError(output, error);
          if (session.exitCode === 0) session.exitCode = exitCodeOf(error.code);
        }
      }
      if (output.isJson) output.json({ items });
    });
  examples(remove, "schedules remove nightly", "schedules remove nightly --dry-run");
}

function definePreview(schedules: Command, session: Session): void {
  const preview = schedules
    .command("preview")
    .description("Tell when a schedule of this cron expression would be due next.")
    .argument("<expression>", 'such as "0 3 * * *" or @daily')
    .addOption(timezoneOption())
    .option("--count <count>", "how many times", (text) => parseCount(text, "--count"), 5)
    .action(async (cron: string, { tz, count }: { tz: string; count: number }) => {
      const client = await session.client();
      const found = await client.schedules.preview(
        { cron, timezone: tz, count },
        { signal: session.signal },
      );
      session.output.result(found, () =>
        found.times.map((time) => `${inTimezone(time, tz)}  ${ago(time)}\n`).join(""),
      );
    });
  examples(preview, 'schedules preview "0 3 * * *" --tz Europe/Berlin --count 3');
}
