/** The `schedules` modules over a host that records its calls; the sandbox is not involved. */
import { beforeEach, describe, expect, it, vi } from "vitest";

const { calls, answers, host } = await vi.hoisted(async () =>
  (await import("../test/support/script-host.js")).scriptHost(),
);
vi.mock("spaces:host", () => host);

const { default: schedules } = await import("./schedules.js");
const { default: later } = await import("./schedules-async.js");

const job = (extra: object = {}) => ({
  id: "job_1",
  schedule: "nightly",
  dueAt: "2026-01-01T03:00:00.000Z",
  trigger: "due",
  status: "succeeded",
  attempts: 1,
  ...extra,
});
const hosted = {
  id: "sch_1",
  name: "nightly",
  description: "",
  cron: "0 3 * * *",
  timezone: "Europe/Berlin",
  script: "backup",
  scriptVersion: null,
  space: "db",
  args: ["--all"],
  input: { camelKey: 1 },
  overlap: "skip",
  missed: "once",
  missedWindowMs: 21_600_000,
  jitterMs: 500,
  timeoutMs: 3_600_000,
  retries: 2,
  retryDelayMs: 30_000,
  grant: null,
  notify: { webhook: { url: "https://example.org/", signed: true } },
  paused: false,
  owner: "ann",
  nextDueAt: "2026-01-02T03:00:00.000Z",
  lastJob: job({ lagMs: 12, exitCode: 0 }),
  failuresInARow: 0,
  problems: [],
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
};

/** The error that a call throws. */
function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

beforeEach(() => {
  calls.length = 0;
  answers.clear();
  for (const name of ["add", "get", "update", "pause", "resume"]) {
    answers.set(`schedules.${name}`, () => hosted);
  }
});

describe("adding and changing", () => {
  it("takes times in seconds and names as the command line has them", () => {
    const shown = schedules.add("nightly", {
      cron: "0 3 * * *",
      tz: "Europe/Berlin",
      script: "backup",
      version: 4,
      space: "db",
      args: ["--all"],
      input: { camelKey: 1 },
      overlap: "queue",
      missed: "all",
      window: 3600,
      jitter: 0.5,
      timeout: 90,
      retries: 3,
      retry_delay: 0,
      grant: ["UseSpaces"],
      notify: { webhook: { url: "https://example.org/", secret: "12345678" } },
      description: "",
      paused: true,
    });
    expect(calls).toEqual([
      [
        "schedules.add",
        {
          name: "nightly",
          cron: "0 3 * * *",
          timezone: "Europe/Berlin",
          script: "backup",
          scriptVersion: 4,
          space: "db",
          args: ["--all"],
          input: { camelKey: 1 },
          overlap: "queue",
          missed: "all",
          missedWindowMs: 3_600_000,
          jitterMs: 500,
          timeoutMs: 90_000,
          retries: 3,
          retryDelayMs: 0,
          grant: ["UseSpaces"],
          notify: { webhook: { url: "https://example.org/", secret: "12345678" } },
          description: "",
          paused: true,
        },
      ],
    ]);
    expect(shown).toMatchObject({
      tz: "Europe/Berlin",
      version: null,
      window: 21_600,
      jitter: 0.5,
      timeout: 3600,
      retry_delay: 30,
      input: { camelKey: 1 },
      next_due_at: "2026-01-02T03:00:00.000Z",
      last_job: { due_at: "2026-01-01T03:00:00.000Z", lag_ms: 12, exit_code: 0 },
      failures_in_a_row: 0,
    });
    expect(Object.keys(shown).join()).not.toMatch(/[A-Z]/);
  });

  it("leaves out what is not given, and takes away what is null", () => {
    schedules.update("nightly", { space: null, version: null, notify: null, grant: null });
    schedules.update("nightly", { notify: { command: { command: "mail", space: "ops" } } });
    expect(calls).toEqual([
      [
        "schedules.update",
        { schedule: "nightly", space: null, scriptVersion: null, notify: null, grant: null },
      ],
      [
        "schedules.update",
        { schedule: "nightly", notify: { command: { command: "mail", space: "ops" } } },
      ],
    ]);
  });

  const good = { cron: "@daily", script: "backup" };
  it.each<[string, () => unknown, RegExp]>([
    ["no name", () => schedules.add(), /requires schedule name as a string/],
    ["no cron", () => schedules.add("n", { script: "s" }), /option "cron" as a string/],
    ["no script", () => schedules.add("n", { cron: "@daily" }), /option "script" as a string/],
    ["an option that does not exist", () => schedules.add("n", { ...good, crom: 1 }), /"crom"/],
    ["a timeout as text", () => schedules.add("n", { ...good, timeout: "1h" }), /"timeout"/],
    ["no timeout at all", () => schedules.add("n", { ...good, timeout: 0 }), /"timeout"/],
    ["a negative jitter", () => schedules.add("n", { ...good, jitter: -1 }), /"jitter"/],
    [
      "no time at all as the jitter",
      () => schedules.add("n", { ...good, jitter: NaN }),
      /"jitter"/,
    ],
    ["half a retry", () => schedules.add("n", { ...good, retries: 0.5 }), /"retries"/],
    ["arguments that are no list", () => schedules.add("n", { ...good, args: "a" }), /"args"/],
    ["a null cron", () => schedules.update("n", { cron: null }), /"cron"/],
    ["an unknown way to tell", () => schedules.update("n", { notify: { mail: "a" } }), /"mail"/],
    [
      "a webhook that is no object",
      () => schedules.update("n", { notify: { webhook: "x" } }),
      /obj/,
    ],
    ["pausing by update", () => schedules.update("n", { paused: true }), /"paused"/],
    ["too many arguments", () => schedules.pause("n", "m"), /too many/],
  ])("refuses %s before the host is asked", (_, action, message) => {
    expect(thrown(action)).toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringMatching(message),
    });
    expect(calls).toEqual([]);
  });
});

describe("looking and acting", () => {
  it("lists, gets, pauses, resumes, runs and removes", () => {
    answers.set("schedules.list", () => ({ items: [hosted] }));
    answers.set("schedules.run", () => job({ trigger: "manual", status: "pending", attempts: 0 }));
    expect(schedules.list().map(({ name }) => name)).toEqual(["nightly"]);
    expect(schedules.get("nightly").cron).toBe("0 3 * * *");
    expect([schedules.pause("nightly").name, schedules.resume("nightly").name]).toHaveLength(2);
    expect(schedules.run("nightly")).toEqual({
      id: "job_1",
      schedule: "nightly",
      due_at: "2026-01-01T03:00:00.000Z",
      trigger: "manual",
      status: "pending",
      attempts: 0,
    });
    expect([schedules.remove("nightly"), schedules.delete("nightly")]).toEqual([true, true]);
    expect(calls.map(([name]) => name)).toEqual([
      ...["schedules.list", "schedules.get", "schedules.pause", "schedules.resume"],
      ...["schedules.run", "schedules.remove", "schedules.remove"],
    ]);
  });

  it("goes through the pages of a history until it has enough", () => {
    answers.set("schedules.history", ({ cursor, limit }) => ({
      items: Array.from({ length: Math.min(Number(limit), 2) }, () => job()),
      ...(cursor === "b" ? {} : { nextCursor: cursor === undefined ? "a" : "b" }),
    }));
    expect(schedules.history("nightly")).toHaveLength(6);
    expect(schedules.history("nightly", { status: "failed", limit: 3 })).toHaveLength(3);
    expect(calls.slice(3)).toEqual([
      ["schedules.history", { schedule: "nightly", status: "failed", limit: 3 }],
      ["schedules.history", { schedule: "nightly", status: "failed", limit: 1, cursor: "a" }],
    ]);
  });

  it("previews times", () => {
    answers.set("schedules.preview", () => ({ times: ["2026-01-01T00:00:00.000Z"] }));
    expect(schedules.preview("@daily", { tz: "Asia/Tokyo", count: 1 })).toHaveLength(1);
    expect(schedules.preview("@daily")).toHaveLength(1);
    expect(calls).toEqual([
      ["schedules.preview", { cron: "@daily", timezone: "Asia/Tokyo", count: 1 }],
      ["schedules.preview", { cron: "@daily" }],
    ]);
  });
});

describe("schedules/async", () => {
  it("has the same functions, which return promises", async () => {
    expect(Object.keys(later)).toEqual(Object.keys(schedules));
    expect(await Promise.all([later.get("a"), later.get("b")])).toHaveLength(2);
    await expect(later.add("n", {})).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
