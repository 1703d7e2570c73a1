/** The options by which schedules are added and changed, and what they say to the contract. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Permission } from "../runtime/contract/permissions.js";
import type { Schedule } from "../runtime/contract/schedules.js";
import { parseNames, parsePermissions } from "./permission-list.js";
import { parseCount, parseDelay, parseDuration, parseOffset } from "./quantities.js";
import { readFileOrStdin } from "./read-input.js";
import { parseInput } from "./run.js";
import type { Session } from "./session.js";

type Change = Omit<Parameters<Client["schedules"]["update"]>[0], "schedule">;

/** What can be taken away, by the names that options have. */
const CLEARABLE = {
  space: { space: null },
  input: { input: null },
  args: { args: [] },
  grant: { grant: null },
  notify: { notify: null },
  "script-version": { scriptVersion: null },
} as const satisfies Record<string, Change>;

export interface SettingOptions {
  readonly cron?: string;
  readonly tz?: string;
  readonly script?: string;
  readonly scriptVersion?: number;
  readonly space?: string;
  readonly arg?: readonly string[];
  readonly input?: { readonly value: unknown };
  readonly overlap?: Schedule["overlap"];
  readonly missed?: Schedule["missed"];
  readonly window?: number;
  readonly jitter?: number;
  readonly timeout?: number;
  readonly retries?: number;
  readonly retryDelay?: number;
  readonly grant?: Permission[];
  readonly notifyUrl?: string;
  readonly notifySecretFile?: string;
  readonly notifySecretEnv?: string;
  readonly notifyCommand?: string;
  readonly notifySpace?: string;
  readonly description?: string;
  readonly clear?: readonly (keyof typeof CLEARABLE)[];
}

/** The time zone of this machine, which cron expressions on its command line mean. */
export function localTimezone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Adds the options that `add` and `update` share. */
export function settingOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[] = []) => [...before, value];
  return command
    .option("--space <space>", "space that the script's `space` module is bound to")
    .option("--arg <text>", "argument for the script (repeatable)", collect)
    .option("--input <json>", "value that `runtime.input` gives to the script", parseInput)
    .option("--script-version <number>", "version of the script (default: the newest)", (text) =>
      parseCount(text, "--script-version"),
    )
    .addOption(
      new Option("--overlap <policy>", "when one is due while the last one runs").choices([
        "skip",
        "queue",
        "cancel",
        "allow",
      ]),
    )
    .addOption(
      new Option("--missed <policy>", "of those that were due while nothing ran them").choices([
        "skip",
        "once",
        "all",
      ]),
    )
    .option("--window <duration>", "leave out what was missed longer ago, such as 6h", (text) =>
      parseDuration(text, "--window"),
    )
    .option("--jitter <duration>", "begin later by a random time up to this", (text) =>
      parseDelay(text, "--jitter"),
    )
    .option("--timeout <duration>", "time for each attempt, such as 1h", (text) =>
      parseDuration(text, "--timeout"),
    )
    .option("--retries <count>", "further attempts after one that failed", (text) =>
      parseOffset(text, "--retries"),
    )
    .option("--retry-delay <duration>", "before the second attempt; it doubles", (text) =>
      parseDelay(text, "--retry-delay"),
    )
    .option("--grant <permissions>", "what the script may do, separated by commas", (text) =>
      parsePermissions(text, "--grant"),
    )
    .option("--notify-url <url>", "POST a report of failures there")
    .option("--notify-secret-file <file>", "secret that signs them, from a file, or -")
    .option("--notify-secret-env <name>", "the same, from a variable of the environment")
    .option("--notify-command <line>", "run this with a report of failures as its input")
    .option("--notify-space <space>", "space that it runs in (default: the schedule's)")
    .option("--description <text>", "what it is for");
}

/** Adds the option that takes settings away. */
export function clearOption(command: Command): Command {
  return command.option(
    "--clear <settings>",
    `take these away, separated by commas: ${Object.keys(CLEARABLE).join(", ")}`,
    (text) =>
      parseNames(text).map((name) => {
        if (Object.hasOwn(CLEARABLE, name)) return name as keyof typeof CLEARABLE;
        throw new InvalidArgumentError(
          `"${name}" is none of ${Object.keys(CLEARABLE).join(", ")}.`,
        );
      }),
  );
}

/**
 * What the options say, in the contract's form.
 * @param current the schedule that is changed: who names a command keeps the webhook that is there
 * @throws SpacesError `INVALID_INPUT` for options that contradict each other, or a missing secret
 */
export async function settingsOf(
  session: Session,
  options: SettingOptions,
  current?: Schedule,
): Promise<Change> {
  const notify = await notifyOf(session, options, current?.notify ?? null);
  const { clear = [] } = options;
  const given: Change = {
    ...(options.cron === undefined ? {} : { cron: options.cron }),
    ...(options.tz === undefined ? {} : { timezone: options.tz }),
    ...(options.script === undefined ? {} : { script: options.script }),
    ...(options.scriptVersion === undefined ? {} : { scriptVersion: options.scriptVersion }),
    ...(options.space === undefined ? {} : { space: options.space }),
    ...(options.arg === undefined ? {} : { args: [...options.arg] }),
    ...(options.input === undefined ? {} : { input: options.input.value as Change["input"] }),
    ...(options.overlap === undefined ? {} : { overlap: options.overlap }),
    ...(options.missed === undefined ? {} : { missed: options.missed }),
    ...(options.window === undefined ? {} : { missedWindowMs: options.window }),
    ...(options.jitter === undefined ? {} : { jitterMs: options.jitter }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    ...(options.retryDelay === undefined ? {} : { retryDelayMs: options.retryDelay }),
    ...(options.grant === undefined ? {} : { grant: options.grant }),
    ...(notify === undefined ? {} : { notify }),
    ...(options.description === undefined ? {} : { description: options.description }),
  };
  const cleared: Change = Object.assign({}, ...clear.map((name) => CLEARABLE[name]));
  const both = Object.keys(cleared).find((key) => Object.hasOwn(given, key));
  if (both !== undefined) {
    throw new SpacesError("INVALID_INPUT", `--clear takes away what is given too: ${both}.`, {
      suggestion: "Give the one or the other.",
    });
  }
  return { ...given, ...cleared };
}

type Notify = NonNullable<Change["notify"]>;

async function notifyOf(
  session: Session,
  options: SettingOptions,
  current: Schedule["notify"],
): Promise<Notify | undefined> {
  const { notifyUrl, notifyCommand, notifySpace } = options;
  const secret = await secretOf(session, options);
  const url = notifyUrl ?? current?.webhook?.url;
  const line = notifyCommand ?? current?.command?.command;
  if (secret !== undefined && url === undefined) {
    throw lacking("A secret", "--notify-url");
  }
  if (notifySpace !== undefined && line === undefined) {
    throw lacking("--notify-space", "--notify-command");
  }
  if ([notifyUrl, notifyCommand, notifySpace, secret].every((text) => text === undefined)) {
    return undefined;
  }
  const space = notifySpace ?? current?.command?.space;
  return {
    ...(url === undefined ? {} : { webhook: { url, ...(secret === undefined ? {} : { secret }) } }),
    ...(line === undefined
      ? {}
      : { command: { command: line, ...(space === undefined ? {} : { space }) } }),
  };
}

function lacking(what: string, option: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `${what} needs ${option}.`, {
    suggestion: `Give ${option} too.`,
  });
}

const SECRET_LIMIT = 4096;

/** The secret of the webhook: never on the command line, which others on the machine can read. */
async function secretOf(
  { signal }: Session,
  { notifySecretFile: file, notifySecretEnv: name }: SettingOptions,
): Promise<string | undefined> {
  if (file !== undefined && name !== undefined) {
    throw new SpacesError("INVALID_INPUT", "The secret is given twice.", {
      suggestion: "Give --notify-secret-file or --notify-secret-env.",
    });
  }
  if (name !== undefined) {
    const value = process.env[name];
    if (value !== undefined && value !== "") return value;
    throw new SpacesError(
      "INVALID_INPUT",
      `The variable "${name}" of the environment is not set.`,
      {
        suggestion: "Set it, or name another with --notify-secret-env.",
      },
    );
  }
  if (file === undefined) return undefined;
  const text = await readFileOrStdin(file, SECRET_LIMIT, signal);
  // Editors and `echo` end a file with a line break, which nobody means.
  return text.replace(/\r?\n$/, "");
}
