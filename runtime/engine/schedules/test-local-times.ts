/**
 * Due times found the slow way, for tests: by a look at every minute on the wall clock of a zone, as
 * Intl has it. Knows five fields of numbers, lists, ranges, steps and `*`.
 */
const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;

const quartersKnown = new Map<string, readonly number[]>();

type Field = (value: number) => boolean;

function fieldOf(text: string): Field {
  const parts = text.split(",").map((part): Field => {
    const [range = "", step] = part.split("/");
    const [from, to] = range === "*" ? [0, 99] : range.split("-").map(Number);
    const low = from ?? 0;
    const high = to ?? (step === undefined ? low : 99);
    return (value) => value >= low && value <= high && (value - low) % Number(step ?? 1) === 0;
  });
  return (value) => parts.some((matches) => matches(value));
}

/** The wall clock at each quarter of an hour of a span, in milliseconds; offsets change at quarters. */
function quartersOf(zone: string, fromMs: number, toMs: number): readonly number[] {
  const key = `${zone} ${fromMs} ${toMs}`;
  const known = quartersKnown.get(key);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" },
  });
  const quarters: number[] = [];
  for (let quarter = fromMs; quarter < toMs; quarter += QUARTER) {
    const parts = new Map(format.formatToParts(quarter).map(({ type, value }) => [type, +value]));
    const at = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    quarters.push(Date.UTC(at("year"), at("month") - 1, at("day"), at("hour"), at("minute")));
  }
  quartersKnown.set(key, quarters);
  return quarters;
}

/** Every minute of a span, with what the wall clock shows then. */
function* wallClock(zone: string, fromMs: number, toMs: number): Generator<[number, number]> {
  const quarters = quartersOf(zone, fromMs, toMs);
  for (const [index, local] of quarters.entries()) {
    const quarter = fromMs + index * QUARTER;
    for (let ms = 0; ms < QUARTER; ms += MINUTE) yield [quarter + ms, local + ms];
  }
}

/**
 * The due times of a cron expression, in milliseconds since 1970.
 * @param fromMs a whole quarter of an hour
 */
export function dueTimesByMinutes(
  cron: string,
  zone: string,
  fromMs: number,
  toMs: number,
): number[] {
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = cron.split(" ");
  const isFixed = !/[*/]/.test(minute + hour);
  const [inMinute, inHour, inDay, inMonth, inWeekday] = [minute, hour, day, month, weekday].map(
    fieldOf,
  ) as [Field, Field, Field, Field, Field];
  const matches = (local: number): boolean => {
    const minutes = local / MINUTE;
    if (!inMinute(minutes % 60) || !inHour(Math.floor(minutes / 60) % 24)) return false;
    const date = new Date(local);
    if (!inMonth(date.getUTCMonth() + 1)) return false;
    const dayMatches = inDay(date.getUTCDate());
    const weekdayMatches = inWeekday(date.getUTCDay()) || (date.getUTCDay() === 0 && inWeekday(7));
    // Where both are restricted, either will do.
    return day !== "*" && weekday !== "*"
      ? dayMatches || weekdayMatches
      : dayMatches && weekdayMatches;
  };
  const due: number[] = [];
  let latest = Number.NEGATIVE_INFINITY;
  for (const [ms, local] of wallClock(zone, fromMs, toMs)) {
    const isRepeated = local <= latest;
    let isDue = matches(local) && !(isFixed && isRepeated);
    if (isFixed && Number.isFinite(latest)) {
      for (let skipped = latest + MINUTE; skipped < local; skipped += MINUTE) {
        isDue ||= matches(skipped);
      }
    }
    if (isDue) due.push(ms);
    latest = Math.max(latest, local);
  }
  return due;
}

/** Six zones: summer time in the north and the south, by half an hour, at midnight, in Ramadan, none. */
export const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Santiago",
  "Africa/Casablanca",
  "Asia/Kathmandu",
] as const;
