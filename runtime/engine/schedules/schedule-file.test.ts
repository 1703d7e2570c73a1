import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SpacesError } from "../../contract/errors.js";
import { parseSchedules } from "./schedule-file.js";

function problemOf(source: string): string {
  try {
    parseSchedules(source, "s.yaml");
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code === "INVALID_INPUT") return error.message;
    throw error;
  }
  return "no problem";
}

const LEAST = 'name: a\ncron: "@daily"\nscript: backup\n';

describe("parseSchedules", () => {
  it("fills in the defaults of the contract", () => {
    expect(parseSchedules(LEAST, "s").map(({ spec }) => spec)).toEqual([
      {
        name: "a",
        description: "",
        cron: "@daily",
        timezone: "UTC",
        script: "backup",
        scriptVersion: null,
        space: null,
        args: [],
        input: null,
        overlap: "skip",
        missed: "once",
        missedWindowMs: 21_600_000,
        jitterMs: 0,
        timeoutMs: 3_600_000,
        retries: 0,
        retryDelayMs: 30_000,
        grant: null,
        notify: null,
      },
    ]);
  });

  it("reads several documents with durations as people write them", () => {
    const [, second] = parseSchedules(
      `${LEAST}---
name: b
cron: 0 3 * * *
tz: Europe/Berlin
script: backup
version: 3
space: db
args: [--all, "2"]
input: { keep: 7 }
overlap: queue
missed: all
window: 1d
jitter: 5m
timeout: 90
retries: 3
retry_delay: 1.5m
grant: [UseSpaces, RunCommands]
notify:
  webhook: { url: "https://example.org/hook", secret: "0123456789" }
  command: { space: ops, command: ./tell.sh }
paused: true
`,
      "s.yaml",
    );
    expect(second?.spec).toMatchObject({
      name: "b",
      timezone: "Europe/Berlin",
      scriptVersion: 3,
      missedWindowMs: 86_400_000,
      jitterMs: 300_000,
      timeoutMs: 90_000,
      retryDelayMs: 90_000,
      notify: {
        webhook: { url: "https://example.org/hook", secret: "0123456789" },
        command: { space: "ops", command: "./tell.sh" },
      },
      paused: true,
    });
  });

  it.each([
    ["a setting that does not exist", `${LEAST}crom: x\n`, "s.yaml:4:7: crom: is not a setting"],
    [
      "the contract's name of a setting",
      `${LEAST}timeoutMs: 5\n`,
      "s.yaml:4:12: timeoutMs: is not",
    ],
    ["no name", 'cron: "@daily"\nscript: x\n', "s.yaml:1:1: name: "],
    ["no cron", "name: a\nscript: x\n", "s.yaml:1:1: cron: "],
    ["a name that is none", LEAST.replace("a\n", "../a\n"), "s.yaml:1:7: name: must start with"],
    ["no duration", `${LEAST}jitter: soon\n`, "s.yaml:4:9: jitter: must be a duration such as"],
    ["a list as a duration", `${LEAST}window: [1]\n`, "s.yaml:4:9: window: must be a duration"],
    ["a timeout of nothing", `${LEAST}timeout: 0\n`, "s.yaml:4:10: timeout: must be more than 0"],
    ["too long a jitter", `${LEAST}jitter: 2d\n`, "s.yaml:4:9: jitter: must be a day at most"],
    ["an unknown policy", `${LEAST}overlap: stack\n`, "s.yaml:4:10: overlap: "],
    ["an unknown permission", `${LEAST}grant: [Everything]\n`, "s.yaml:4:9: grant.0: "],
    ["half a retry", `${LEAST}retries: 0.5\n`, "s.yaml:4:10: retries: "],
    [
      "a webhook that is no URL of the web",
      `${LEAST}notify:\n  webhook: { url: "file:///etc/passwd" }\n`,
      "s.yaml:5:19: notify.webhook.url: must be an http or https URL",
    ],
    [
      "an unknown way to tell",
      `${LEAST}notify:\n  mail: me\n`,
      "s.yaml:5:9: notify.mail: is not a setting of schedules",
    ],
    ["broken YAML", "name: a\nargs: [\n", "s.yaml:3:1: "],
    ["a mistake in the second document", `${LEAST}---\nname: B\n`, "s.yaml:5:7: name: "],
    ["a name twice", `${LEAST}---\n${LEAST}`, "s.yaml:5:7: name: must not be used twice in a file"],
    ["text that is no map", "just text\n", "s.yaml:1:1: "],
    ["nothing", "", "s.yaml:1:1: The file holds no schedule."],
    ["a bomb of aliases", `a: &a [${"x,".repeat(50)}]\nb: [${"*a,".repeat(50)}]\n`, "s.yaml:"],
  ])("names the position of %s", (_, source, start) => {
    expect(problemOf(source).slice(0, start.length)).toBe(start);
  });

  it("names the position of a setting that turned out to be impossible", () => {
    const [, second] = parseSchedules(
      `${LEAST}---\n${LEAST.replace("a\n", "b\n")}tz: X\n`,
      "s.yaml",
    );
    const error = second?.mistakeAt("timezone", "is no time zone");
    expect(error).toMatchObject({
      code: "INVALID_INPUT",
      message: "s.yaml:8:5: tz: is no time zone",
      details: { file: "s.yaml", line: 8, column: 5 },
    });
    expect(second?.mistakeAt("script", "is gone", "SCRIPT_NOT_FOUND").code).toBe(
      "SCRIPT_NOT_FOUND",
    );
  });

  it("never fails in another way, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (source) => {
        expect(typeof problemOf(source)).toBe("string");
      }),
    );
  });
});
