/** Reads schedules from YAML for `schedules.apply`; every error names the file, line and column. */
import { z } from "zod";
import { millisecondsOf } from "../../contract/durations.js";
import { type ErrorCode, SpacesError } from "../../contract/errors.js";
import { type ScheduleSpec, scheduleSpecSchema } from "../../contract/schedules.js";
import { parseYamlDocuments } from "../yaml-documents.js";
import { DueTimes } from "./due-times.js";

const { shape } = scheduleSpecSchema;

/** A duration such as `5m`, or a number of seconds, in place of the contract's milliseconds. */
function duration<S extends z.ZodType>(milliseconds: S) {
  return z.preprocess((given, context) => {
    if (given === undefined) return undefined;
    const text = typeof given === "string" || typeof given === "number" ? String(given) : "";
    const ms = millisecondsOf(text);
    if (!Number.isNaN(ms)) return ms;
    context.addIssue({ code: "custom", message: "must be a duration such as 30s, 5m or 2h" });
    return z.NEVER;
  }, milliseconds);
}

/** The settings by the names that they have on the command line. */
const documentSchema = z.strictObject({
  name: shape.name,
  description: shape.description,
  cron: shape.cron,
  tz: shape.timezone,
  script: shape.script,
  version: shape.scriptVersion,
  space: shape.space,
  args: shape.args,
  input: shape.input,
  overlap: shape.overlap,
  missed: shape.missed,
  window: duration(shape.missedWindowMs),
  jitter: duration(shape.jitterMs),
  timeout: duration(shape.timeoutMs),
  retries: shape.retries,
  retry_delay: duration(shape.retryDelayMs),
  grant: shape.grant,
  notify: shape.notify,
  paused: z.boolean().optional(),
});

/** The names of settings in a file, where the contract has others. */
const NAMES_IN_FILES: Readonly<Record<string, string>> = {
  timezone: "tz",
  scriptVersion: "version",
};

export interface ParsedSchedule {
  /** `paused` is absent where the file does not say it: what is there stays as it is. */
  readonly spec: Omit<ScheduleSpec, "paused"> & { readonly paused?: boolean | undefined };
  /**
   * The error for a setting that is well-formed and yet cannot be, at its position.
   * @param setting its name in the contract
   */
  mistakeAt(setting: string, problem: string, code?: ErrorCode): SpacesError;
}

/**
 * Parses one or more YAML documents, one schedule each.
 * @param filename the name that errors show
 * @throws SpacesError `INVALID_INPUT` with the position of the first mistake, such as a name twice
 */
export function parseSchedules(source: string, filename: string): ParsedSchedule[] {
  const documents = parseYamlDocuments(source, filename, {
    noun: "schedule",
    schema: documentSchema,
    code: "INVALID_INPUT",
  });
  const names = new Set<string>();
  return documents.map(({ value, mistakeAt }) => {
    if (names.has(value.name)) throw mistakeAt(["name"], "must not be used twice in a file");
    names.add(value.name);
    const { tz, version, window, jitter, timeout, retry_delay, ...rest } = value;
    return {
      spec: {
        ...rest,
        timezone: tz,
        scriptVersion: version,
        missedWindowMs: window,
        jitterMs: jitter,
        timeoutMs: timeout,
        retryDelayMs: retry_delay,
      },
      mistakeAt: (setting, problem, code) =>
        mistakeAt([NAMES_IN_FILES[setting] ?? setting], problem, code),
    };
  });
}

/**
 * Looks whether a schedule is due at all.
 * @throws SpacesError `INVALID_INPUT` with the position of the time zone or of the cron expression
 */
export function requireTimes({ spec: { cron, timezone }, mistakeAt }: ParsedSchedule): void {
  for (const [setting, expression] of [
    ["timezone", "@daily"],
    ["cron", cron],
  ] as const) {
    try {
      DueTimes.of(expression, timezone);
    } catch (error) {
      throw SpacesError.isInstance(error) ? mistakeAt(setting, error.message, error.code) : error;
    }
  }
}

/** An error about what a schedule points at, with its position. */
export function placed(error: unknown, { spec, mistakeAt }: ParsedSchedule): unknown {
  if (!SpacesError.isInstance(error)) return error;
  const { code, message } = error;
  const { space, notify } = spec;
  const noSpaceToTell = notify?.command !== undefined && (notify.command.space ?? space) === null;
  switch (code) {
    case "SCRIPT_NOT_FOUND":
      return mistakeAt("script", message, code);
    case "SPACE_NOT_FOUND":
      return mistakeAt(message.includes(`"${space}"`) ? "space" : "notify", message, code);
    case "INVALID_INPUT":
      return mistakeAt(noSpaceToTell ? "notify" : "script", message, code);
    default:
      return error;
  }
}
