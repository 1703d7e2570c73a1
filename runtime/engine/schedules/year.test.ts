/**
 * A year of schedules on a clock of its own, in six time zones and with every policy for overlaps and
 * for missed jobs: what became of every due time is held against a model of it, that works from due
 * times found by a look at every minute.
 */
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import { scheduleSpecSchema } from "../../contract/schedules.js";
import { Scheduler } from "./scheduler.js";
import { Schedules } from "./schedules.js";
import { TestClock } from "./test-clock.js";
import { dueTimesByMinutes, ZONES } from "./test-local-times.js";
import { type StartedScript, TestScripts } from "./test-scripts.js";

const HOUR = 3_600_000;
const START = Date.UTC(2026, 0, 1);
const END = Date.UTC(2027, 0, 1);
const WINDOW_MS = 40 * HOUR;
const OVERLAPS = ["skip", "queue", "cancel", "allow"] as const;
const MISSED = ["skip", "once", "all"] as const;

/** At a time that a change of the clock leaves out and repeats, where the zone has such changes. */
const CRONS: Readonly<Record<string, string>> = {
  "Australia/Lord_Howe": "15 2 * * *",
  "America/Santiago": "30 0 * * *",
};

/** When nothing looks: for hours, for days, and around changes of the clock. */
const SLEEPS = [
  ["2026-01-10T00:07Z", "2026-01-10T23:07Z"],
  ["2026-02-14T10:07Z", "2026-02-19T09:07Z"],
  ["2026-03-07T20:07Z", "2026-03-09T22:07Z"],
  ["2026-03-28T12:07Z", "2026-03-30T11:07Z"],
  ["2026-04-04T06:07Z", "2026-04-05T22:07Z"],
  ["2026-06-01T00:07Z", "2026-06-12T17:07Z"],
  ["2026-09-05T12:07Z", "2026-09-06T22:07Z"],
  ["2026-10-24T12:07Z", "2026-10-26T21:07Z"],
  ["2026-11-20T00:07Z", "2026-11-20T05:07Z"],
].map(([from, to]) => ({ from: Date.parse(from ?? ""), to: Date.parse(to ?? "") }));

/** When something looks that would, but for a sleep, look at this time. */
const awake = (ms: number): number =>
  SLEEPS.find(({ from, to }) => from < ms && ms <= to)?.to ?? ms;

/** One run in four takes longer than two days. */
const durationOf = (dueMs: number): number =>
  Math.floor(dueMs / (24 * HOUR)) % 4 === 0 ? 50 * HOUR : HOUR / 3;

interface Policy {
  readonly overlap: (typeof OVERLAPS)[number];
  readonly missed: (typeof MISSED)[number];
}

/** What has to become of each due time. */
function model(due: readonly number[], { overlap, missed }: Policy): Map<number, string> {
  const became = new Map<number, string>();
  let running: { due: number; end: number }[] = [];
  let waiting: { due: number; isMadeUp: boolean; since: number }[] = [];
  let seen = 0;
  for (;;) {
    const next = due[seen];
    const events = running.map(({ end }) => awake(end));
    if (next !== undefined) events.push(awake(next));
    const now = Math.min(...events);
    if (!(now < END)) break;
    for (const job of running) if (job.end <= now) became.set(job.due, "succeeded");
    running = running.filter(({ end }) => end > now);

    const found = due.slice(seen).filter((time) => time <= now);
    seen += found.length;
    const late = found.filter((time) => now - time > 60_000);
    const onTime = found.filter((time) => now - time <= 60_000);
    const within = late.filter((time) => now - time <= WINDOW_MS);
    const newest = onTime.length > 0 ? [] : within.slice(-1);
    const madeUp = missed === "all" ? within : missed === "once" ? newest : [];
    for (const time of late) if (!madeUp.includes(time)) became.set(time, "missed");
    waiting.push(...madeUp.map((time) => ({ due: time, isMadeUp: true, since: now })));
    waiting.push(...onTime.map((time) => ({ due: time, isMadeUp: false, since: time })));

    const fresh = waiting.filter(({ isMadeUp }) => !isMadeUp);
    if (overlap === "skip" && running.length > 0) {
      for (const job of fresh) became.set(job.due, "skipped");
      waiting = waiting.filter(({ isMadeUp }) => isMadeUp);
    }
    if (overlap === "cancel" && fresh.length > 0) {
      for (const job of running) became.set(job.due, "cancelled");
      running = [];
      waiting = [...fresh, ...waiting.filter(({ isMadeUp }) => isMadeUp)];
    }
    while (waiting.length > 0 && (overlap === "allow" || running.length === 0)) {
      const job = waiting.shift();
      if (job === undefined) break;
      // None waits for another one longer than the window.
      if (now - job.since > WINDOW_MS) became.set(job.due, "missed");
      else running.push({ due: job.due, end: now + durationOf(job.due) });
    }
  }
  for (const job of running) became.set(job.due, "running");
  for (const job of waiting) became.set(job.due, "pending");
  return became;
}

describe.each(ZONES)("a year of schedules in %s", (zone) => {
  let test: TestHost;
  let clock: TestClock;
  let scripts: TestScripts;
  let schedules: Schedules;
  let scheduler: Scheduler;
  const ends = new Map<StartedScript, number>();
  const cron = CRONS[zone] ?? "30 2 * * *";
  const policies = OVERLAPS.flatMap((overlap) => MISSED.map((missed) => ({ overlap, missed })));

  beforeEach(async () => {
    test = await openTestHost();
    clock = new TestClock(START);
    ends.clear();
    scripts = new TestScripts((script) => {
      const dueMs = Date.parse(script.options.trigger?.dueAt ?? "");
      ends.set(script, clock.now() + durationOf(dueMs));
    });
    const { parts } = test.host.engine;
    schedules = new Schedules({ parts, scripts }, clock);
    scheduler = new Scheduler({
      ...{ parts, scripts, clock, jobsAtOnce: 1_000 },
      events: { began: () => undefined, ended: () => undefined },
      onTrouble: (error) => expect.unreachable(String(error)),
    });
    await test.local.scripts.save({ script: "backup", source: "1" });
  });
  afterEach(async () => {
    const drained = scheduler.drain(0);
    clock.pass(10_000);
    await drained;
    await test[Symbol.asyncDispose]();
  });

  it("ends every due time as its policies say, once", async () => {
    const context = { actor: test.actor, depth: 0, local: true };
    for (const { overlap, missed } of policies) {
      await schedules.add(
        context,
        scheduleSpecSchema.parse({
          ...{ name: `${overlap}-${missed}`, cron, timezone: zone, script: "backup" },
          ...{ overlap, missed, missedWindowMs: WINDOW_MS },
        }),
      );
    }
    const due = dueTimesByMinutes(cron, zone, START, END);
    const became = new Map(
      policies.map(({ overlap, missed }) => [`${overlap}-${missed}`, new Map<number, string>()]),
    );
    const collect = async (): Promise<void> => {
      const rows = await test.host.engine.parts.store
        .selectFrom("jobs")
        .innerJoin("schedules", "schedules.id", "jobs.schedule_id")
        .select(["schedules.name", "jobs.due_ms", "jobs.status"])
        .execute();
      for (const { name, due_ms, status } of rows) became.get(name)?.set(due_ms, status);
    };

    let seen = 0;
    let collected = START;
    for (;;) {
      const next = due[seen];
      const now = awake(Math.min(next ?? Number.POSITIVE_INFINITY, ...ends.values()));
      if (!(now < END)) break;
      while ((due[seen] ?? END) <= now) seen += 1;
      clock.sleepUntil(now);
      for (const [script, end] of ends) {
        if (end <= now && scripts.running.has(script)) script.end(0);
        if (end <= now || !scripts.running.has(script)) ends.delete(script);
      }
      await turn();
      await scheduler.look();
      await turn();
      for (const script of ends.keys()) if (!scripts.running.has(script)) ends.delete(script);
      if (now - collected > 30 * 24 * HOUR) {
        await collect();
        collected = now;
      }
    }
    await collect();

    for (const policy of policies) {
      const name = `${policy.overlap}-${policy.missed}`;
      const found = became.get(name) ?? new Map();
      const expected = model(due, policy);
      expect(readable(found), name).toEqual(readable(expected));
      expect(found.size, name).toBe(due.length);
    }
    const all = new Set([...became.values()].flatMap((statuses) => [...statuses.values()]));
    for (const status of ["succeeded", "skipped", "missed", "cancelled"]) {
      expect(all).toContain(status);
    }
  });
});

function readable(became: ReadonlyMap<number, string>): string[] {
  return [...became]
    .sort(([one], [other]) => one - other)
    .map(([ms, status]) => `${new Date(ms).toISOString()} ${status}`);
}
