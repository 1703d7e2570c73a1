import { describe, expect, it } from "vitest";
import { DueTimes } from "./due-times.js";
import { dueTimesByMinutes, ZONES } from "./test-local-times.js";

const YEAR = Date.UTC(2026, 0, 1);
const NEXT_YEAR = Date.UTC(2027, 0, 1);

function dueTimes(cron: string, zone: string): number[] {
  const times = DueTimes.of(cron, zone);
  const due: number[] = [];
  let time = times.after(YEAR - 1);
  while (time !== undefined && time < NEXT_YEAR) {
    due.push(time);
    time = times.after(time);
  }
  return due;
}

describe.each(ZONES)("due times over a year in %s", (zone) => {
  it.each([
    "30 2 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "15 2,14 * * *",
    "0,30 1-3 * * *",
    "0 3 * * 1-5",
    "*/20 1-3 * * *",
    "0 */2 * * *",
    "45 1 1,15 * *",
    "0 12 13 * 5",
    "59 23 31 * *",
    "0 2 29 2 *",
    "30 2 * 3,4,9,10,11 0",
  ])("are those that a clock on the wall shows: %s", (cron) => {
    expect(dueTimes(cron, zone)).toEqual(dueTimesByMinutes(cron, zone, YEAR, NEXT_YEAR));
  });
});

describe("due times", () => {
  it.each(ZONES)("are the same looked for backwards, in %s", (zone) => {
    for (const cron of ["30 2 * * *", "0,30 1-3 * * *"]) {
      const times = DueTimes.of(cron, zone);
      const all = dueTimes(cron, zone);
      const last = all.at(-1) ?? 0;
      expect(times.newest(last, 300)).toEqual(all.slice(-300));
      expect(times.newest(last + 999, 2)).toEqual(all.slice(-2));
      expect(times.newest(last - 1, 1)).toEqual(all.slice(-2, -1));
    }
  });

  it.each([
    ["five fields and words", "0 9 * JAN-mar MON", "2026-01-05T09:00:00.000Z"],
    ["six with seconds in front", "30 0 9 * * *", "2026-01-01T09:00:30.000Z"],
    ["a name", "@weekly", "2026-01-04T00:00:00.000Z"],
    ["a name in capitals, between blanks", " @DAILY ", "2026-01-02T00:00:00.000Z"],
    ["the last day of a month", "0 0 L 2 *", "2026-02-28T00:00:00.000Z"],
    ["the second Friday", "0 0 * * FRI#2", "2026-01-09T00:00:00.000Z"],
    ["a leap day", "0 0 29 2 *", "2028-02-29T00:00:00.000Z"],
    ["a day that also a day of the week would do for", "0 0 31 4 1", "2026-04-06T00:00:00.000Z"],
  ])("are known of %s", (_, cron, first) => {
    const next = DueTimes.of(cron, "UTC").after(Date.UTC(2026, 0, 1));
    expect(new Date(next ?? 0).toISOString()).toBe(first);
  });

  it.each([
    ["60 * * * *", /minute: 60/],
    ["*/0 * * * *", /stepping: 0/],
    ["*/0", /has 1 field:/],
    ["31 2 *", /has 3 fields/],
    ["0 0 30 2 *", /never due/],
    ["0 0 31 4,6,9,11 *", /never due/],
    ["@reboot", /start of anything/],
    ["@every 5m", /none of the names/],
    ["@fortnightly", /none of the names/],
    ["0 0 0 1 1 * 2030", /has 7 fields/],
    ["2030-01-01T00:00:00", /has 1 field:/],
    ["", /no fields/],
    ["   ", /no fields/],
    ["5/15 * * * *", /cannot be read/],
    ["-1 * * * *", /cannot be read/],
    ["1e1 * * * *", /cannot be read/],
    ["0x5 * * * *", /cannot be read/],
    ["٣ * * * *", /cannot be read/],
    ["0 0 * * 5#6", /cannot be read/],
    ["5-1 * * * *", /cannot be read/],
    [`${"1,".repeat(100)}1 * * * * *`.replace("1 ", "x "), /cannot be read/],
    ["constructor __proto__ * * *", /cannot be read/],
  ])("are none of %j, and the error says why", (cron, why) => {
    expect(() => DueTimes.of(cron, "UTC")).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringMatching(why) }),
    );
  });

  it.each([
    "Mars/Phobos",
    "",
    "local",
    "+02:00",
    "-05",
    "Europe/Berlin ",
    "../../etc/localtime",
    "__proto__",
  ])("are none in the time zone %j", (zone) => {
    expect(() => DueTimes.of("@daily", zone)).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringContaining(zone) }),
    );
  });
});
