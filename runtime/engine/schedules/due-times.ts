/**
 * When a schedule is due: a cron expression in a time zone. Around changes of the clock it goes as
 * people know it from cron: what is due at fixed times is due once a day, at the end of the gap where
 * its time is left out; what is due every so often keeps its pace.
 */
import { Cron } from "croner";
import { SpacesError } from "../../contract/errors.js";

const NAMES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const MOST_KEPT = 1_000;
const kept = new Map<string, DueTimes>();

export class DueTimes {
  readonly #cron: Cron;

  private constructor(cron: Cron) {
    this.#cron = cron;
  }

  /**
   * @param expression five fields, six with seconds in front, or a name such as `@daily`
   * @param timezone a name of the IANA time zone database
   * @throws SpacesError `INVALID_INPUT` for what cannot be read, an unknown time zone, and what would
   *   never be due
   */
  static of(expression: string, timezone: string): DueTimes {
    const key = `${timezone} ${expression}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    requireForm(expression);
    requireTimezone(timezone);
    const times = new DueTimes(read(expression, timezone));
    if (times.after(Date.now()) === undefined) {
      throw invalid(expression, "is never due: there is no such date");
    }
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, times);
    return times;
  }

  /** The first due time after one, both in milliseconds since 1970. */
  after(ms: number): number | undefined {
    return this.#cron.nextRun(new Date(ms))?.getTime();
  }

  /** The newest due times up to one, the oldest of them first. */
  newest(ms: number, count: number): number[] {
    // What croner gives lies before the time that it is given.
    return this.#cron
      .previousRuns(count, new Date(ms + 1))
      .map((date) => date.getTime())
      .reverse();
  }
}

/** @throws SpacesError `INVALID_INPUT` */
function requireForm(expression: string): void {
  const fields = expression.trim().split(/\s+/);
  const [first = ""] = fields;
  if (first.toLowerCase() === "@reboot") {
    throw invalid(expression, "names no time: schedules are not bound to a start of anything");
  }
  if (first.startsWith("@")) {
    if (fields.length === 1 && NAMES.includes(first.toLowerCase())) return;
    throw invalid(expression, `is none of the names ${NAMES.join(", ")}`);
  }
  if (fields.length === 5 || fields.length === 6) return;
  const count = first === "" ? "no fields" : fields.length === 1 ? "1 field" : undefined;
  throw invalid(
    expression,
    `has ${count ?? `${fields.length} fields`}: it needs 5, or 6 with seconds in front`,
  );
}

/** @throws SpacesError `INVALID_INPUT` */
function requireTimezone(timezone: string): void {
  try {
    // Newer versions of Node take offsets too, which know nothing of summer time.
    if (/^[A-Za-z]/.test(timezone)) {
      new Intl.DateTimeFormat("en", { timeZone: timezone });
      return;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new SpacesError("INVALID_INPUT", `There is no time zone "${timezone}".`, {
    suggestion: "Give a name of the IANA database, such as UTC or Europe/Berlin.",
  });
}

function read(expression: string, timezone: string): Cron {
  try {
    return new Cron(expression.trim(), {
      timezone,
      mode: "5-or-6-parts",
      fixedTimeRule: "no-wildcard",
      paused: true,
    });
  } catch (cause) {
    const [, reason = ""] = /^CronPattern: (.*)$/s.exec((cause as Error).message) ?? [];
    throw invalid(expression, `cannot be read: ${reason.replace(/\.$/, "")}`, cause);
  }
}

function invalid(expression: string, why: string, cause?: unknown): SpacesError {
  return new SpacesError("INVALID_INPUT", `The cron expression "${expression}" ${why}.`, {
    suggestion: 'Give one such as "0 3 * * *" (every day at 3) or "@daily".',
    cause,
  });
}
