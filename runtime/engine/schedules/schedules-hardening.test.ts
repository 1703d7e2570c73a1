/** Schedules under clocks that jump, in several processes at once, in great numbers, and abused. */
import { setImmediate as turn } from "node:timers/promises";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newId } from "../../contract/new-id.js";
import type { Scheduler } from "./scheduler.js";
import { START, TestScheduler } from "./test-scheduler.js";

const HOUR = 3_600_000;
const MINUTE = 60_000;

let test: TestScheduler;
let scheduler: Scheduler;

beforeEach(async () => {
  test = await TestScheduler.open();
  scheduler = test.scheduler();
});
afterEach(() => test[Symbol.asyncDispose]());

async function pass(ms: number, ...more: readonly Scheduler[]): Promise<void> {
  test.sleep(ms);
  await test.look(scheduler, ...more);
}

async function endAll(): Promise<void> {
  while (test.scripts.running.size > 0) await test.end();
}

/** The due times of the jobs that ran, each as often as it did. */
const ran: string[] = [];
function countRuns(): void {
  ran.length = 0;
  const start = test.scripts.start.bind(test.scripts);
  test.scripts.start = async (context, request, options) => {
    ran.push(options.trigger?.dueAt ?? "");
    return await start(context, request, options);
  };
}

describe("a clock that jumps", () => {
  it.each(["skip", "once", "all"] as const)(
    "an hour forward has the policy %s decide of what it passed over",
    async (missed) => {
      await test.add({ cron: "*/10 * * * *", missed, overlap: "allow" });
      await test.look(scheduler);
      test.clock.jump(HOUR + 5 * MINUTE);
      await test.look(scheduler);
      const count = { skip: 0, once: 1, all: 6 }[missed];
      expect(test.scripts.running.size).toBe(count);
      expect((await test.statuses()).filter((status) => status === "missed")).toHaveLength(
        6 - count,
      );
    },
  );

  it("an hour back has nothing run twice, and nothing stand still", async () => {
    countRuns();
    await test.add({ cron: "*/10 * * * *", overlap: "allow" });
    for (let n = 0; n < 12; n++) {
      await pass(10 * MINUTE);
      await endAll();
    }
    expect(ran).toHaveLength(12);
    test.clock.jump(-HOUR);
    for (let n = 0; n < 6; n++) await pass(10 * MINUTE);
    expect(new Set(ran).size).toBe(ran.length);
    expect(ran).toHaveLength(12);
    await pass(10 * MINUTE);
    expect(ran.at(-1)).toBe(new Date(START + 130 * MINUTE).toISOString());
    expect(ran).toHaveLength(13);
  });

  it("a year ahead and back again has schedules be due as before", async () => {
    countRuns();
    await test.add({ cron: "*/10 * * * *", missed: "once", overlap: "allow" });
    await pass(10 * MINUTE);
    test.clock.jump(365 * 24 * HOUR);
    await test.look(scheduler);
    expect(ran).toHaveLength(2);
    test.clock.jump(-365 * 24 * HOUR);
    await test.look(scheduler);
    const { nextDueAt } = await test.schedules.get(test.context(), "hourly");
    expect(nextDueAt).toBe(new Date(START + 20 * MINUTE).toISOString());
    await pass(10 * MINUTE);
    expect(ran).toHaveLength(3);
  });

  it("ahead, found by a server that was started after it was put right, does no harm either", async () => {
    await test.add({ cron: "*/10 * * * *" });
    test.clock.jump(30 * 24 * HOUR);
    await test.look(scheduler);
    await endAll();
    test.clock.jump(-30 * 24 * HOUR);
    const other = test.scheduler();
    await test.look(other);
    test.sleep(10 * MINUTE);
    await test.look(other);
    const jobs = await test.jobs();
    expect(jobs[0]).toMatchObject({
      status: "running",
      dueAt: new Date(START + 10 * MINUTE).toISOString(),
    });
  });

  it("forward and back has what counted as missed run when its time comes", async () => {
    countRuns();
    await test.add({ cron: "*/10 * * * *", missed: "skip", overlap: "allow" });
    await test.look(scheduler);
    test.clock.jump(HOUR + 5 * MINUTE);
    await test.look(scheduler);
    expect((await test.statuses()).filter((status) => status === "missed")).toHaveLength(6);
    test.clock.jump(-HOUR - 5 * MINUTE);
    await test.look(scheduler);
    for (let n = 0; n < 6; n++) await pass(10 * MINUTE);
    expect(ran).toHaveLength(6);
    expect(new Set(await test.statuses())).toEqual(new Set(["running"]));
  });
});

describe("several schedulers on one store", () => {
  it("run each job once, whoever looks first", async () => {
    countRuns();
    const others = [test.scheduler(), test.scheduler(), test.scheduler()];
    for (let n = 0; n < 20; n++) await test.add({ name: `s-${n}`, overlap: "allow" });
    for (let n = 0; n < 3; n++) {
      test.sleep(HOUR);
      await Promise.all([scheduler, ...others].map((each) => each.look()));
      await test.rest();
      await endAll();
    }
    expect(ran).toHaveLength(60);
    expect(new Set(test.ended.map(({ id }) => id)).size).toBe(60);
    expect(test.ended).toHaveLength(60);
  });

  it("cancel what another one runs, where a new job takes its place", async () => {
    await test.add({ overlap: "cancel" });
    await pass(HOUR);
    const other = test.scheduler();
    test.sleep(HOUR);
    await test.look(other);
    expect(await test.statuses()).toEqual(["running", "pending"]);
    // The other one has asked; whoever runs it hears of that with its next sign of life.
    test.clock.pass(2_000);
    await test.rest();
    await test.look(other);
    expect(await test.jobs()).toMatchObject([
      { status: "cancelled", reason: "A newer job was due." },
      { status: "running" },
    ]);
  });

  it("keep a job waiting behind one that runs elsewhere, and no longer", async () => {
    await test.add({ overlap: "queue" });
    await pass(HOUR);
    const other = test.scheduler();
    test.sleep(HOUR);
    await test.look(other);
    test.sleep(HOUR);
    await test.look(other);
    expect(await test.statuses()).toEqual(["running", "pending", "pending"]);
    await test.end();
    await test.look(other);
    expect(await test.statuses()).toEqual(["succeeded", "running", "pending"]);
  });
});

describe("great numbers", () => {
  it("of one owner's schedules are refused, also in one file, which then adds none", async () => {
    const context = test.context();
    const documents = Array.from(
      { length: 2_001 },
      (_, n) => `name: s-${n}\ncron: "@daily"\nscript: backup\n`,
    );
    await expect(
      test.schedules.apply(context, documents.join("---\n"), "many.yaml"),
    ).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await test.schedules.list(context)).toEqual([]);
  });

  it("of schedules that are due at one moment leave the event loop its turns", async () => {
    const count = 10_000;
    const { id: _, ...first } = await test.store
      .selectFrom("schedules")
      .selectAll()
      .where("id", "=", (await test.add({ name: "one" })).id)
      .executeTakeFirstOrThrow();
    for (let from = 1; from < count; from += 100) {
      const length = Math.min(100, count - from);
      const rows = Array.from({ length }, (_, n) => ({
        ...first,
        id: newId("sch"),
        name: `s-${from + n}`,
      }));
      await test.store.insertInto("schedules").values(rows).execute();
    }
    test.sleep(HOUR);
    let turns = 0;
    let isLooking = true;
    const looking = scheduler.look().finally(() => {
      isLooking = false;
    });
    while (isLooking) {
      await turn();
      turns += 1;
    }
    await looking;
    const { jobs } = await test.store
      .selectFrom("jobs")
      .select(({ fn }) => fn.countAll<number>().as("jobs"))
      .executeTakeFirstOrThrow();
    expect(jobs).toBe(count);
    expect(turns).toBeGreaterThanOrEqual(count / 100);
    expect(test.scripts.running.size).toBeLessThanOrEqual(16);
  });

  it("of one owner's jobs keep nobody else's from running", async () => {
    const token = await test.host.addUser("ann", [
      "ManageSchedules",
      "ExecuteScripts",
      "ManageScripts",
    ]);
    const ann = await test.host.host.engine.identity.authenticate(token);
    await (await test.host.as(token)).scripts.save({ script: "backup", source: "1" });
    for (let n = 0; n < 200; n++) await test.add({ name: `many-${n}`, cron: "0 * * * *" });
    await test.add({ name: "few", cron: "10 1 * * *" }, ann);
    await pass(HOUR);
    const full = test.scripts.running.size;
    expect(full).toBeLessThan(16);
    // All that run are the one owner's, and none of them ends.
    await pass(10 * MINUTE);
    expect(test.scripts.running.size).toBe(full + 1);
    expect((await test.jobs("few", ann))[0]).toMatchObject({ status: "running", lagMs: 0 });
  });

  it("of jobs that wait are bounded", async () => {
    await test.add({ overlap: "queue", cron: "* * * * * *", missedWindowMs: 7 * 24 * HOUR });
    for (let n = 0; n < 25; n++) await pass(50_000);
    const statuses = await test.store
      .selectFrom("jobs")
      .select(["status", ({ fn }) => fn.countAll<number>().as("count")])
      .groupBy("status")
      .execute();
    const counts = new Map(statuses.map(({ status, count }) => [status, count]));
    expect(counts.get("pending")).toBe(1_000);
    expect(counts.get("running")).toBe(1);
    expect(counts.get("skipped")).toBe(249);
    await expect(test.schedules.run(test.context(), "hourly")).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
  });

  it("of jobs that nothing was free to run count as missed, where late is too late", async () => {
    const few = test.scheduler({ jobsAtOnce: 1 });
    await test.add({ name: "long", overlap: "allow" });
    await test.add({ name: "now-or-never", missed: "skip", cron: "1 1 * * *" });
    await test.add({ name: "later", missed: "once", cron: "2 1 * * *" });
    for (const ms of [HOUR, MINUTE, MINUTE, 10 * MINUTE]) {
      test.sleep(ms);
      await test.look(few);
    }
    await test.end();
    expect((await test.jobs("now-or-never"))[0]).toMatchObject({ status: "missed" });
    expect((await test.jobs("later"))[0]).toMatchObject({ status: "running" });
  });
});

describe("a store that cannot be written to", () => {
  it("delays jobs and loses none", async () => {
    await test.add({ missed: "all" });
    const lock = new Database(`${test.host.dataDir}/spaces.db`);
    lock.exec("begin immediate");
    test.sleep(HOUR);
    const looking = scheduler.look();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(test.scripts.running.size).toBe(0);
    lock.exec("rollback");
    await looking;
    await test.rest();
    expect(test.scripts.running.size).toBe(1);
    const [script] = test.scripts.running;
    lock.exec("begin immediate");
    script?.end(0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    lock.exec("rollback");
    lock.close();
    await expect.poll(() => test.statuses()).toEqual(["succeeded"]);
  });
});

describe("what cannot be run", () => {
  it("fails with what was wrong, and without paths of the host", async () => {
    const real = test.scheduler({ scripts: test.host.host.engine.scripts });
    await test.host.local.spaces.create({ name: "off" });
    await test.host.local.scripts.save({ script: "gone", source: "1" });
    await test.add({ name: "in-stopped", space: "off" });
    await test.add({ name: "gone", script: "gone" });
    await test.host.local.scripts.delete({ script: "gone" });
    test.sleep(HOUR);
    await real.look();
    await real.idle();
    expect((await test.jobs("in-stopped"))[0]).toMatchObject({
      status: "failed",
      error: { code: "SPACE_NOT_RUNNING" },
    });
    const [job] = await test.jobs("gone");
    expect(job).toMatchObject({ status: "failed", error: { code: "SCRIPT_NOT_FOUND" } });
    expect(JSON.stringify(job)).not.toContain(test.host.dataDir);
  });

  it("fails as an error of ours where it is none of the script's, and tells who runs the server", async () => {
    await test.add();
    test.scripts.start = async () => {
      throw new Error("/etc/secret is not readable");
    };
    await pass(HOUR);
    expect(await test.jobs()).toMatchObject([{ status: "failed", error: { code: "INTERNAL" } }]);
    expect(JSON.stringify(await test.jobs())).not.toContain("secret");
    expect(test.troubles.join()).toContain("/etc/secret");
  });

  it("is no harm to the others where its expression can be read no more", async () => {
    await test.add({ name: "fine" });
    const { id } = await test.add({ name: "odd" });
    const { spec } = await test.store
      .selectFrom("schedules")
      .select("spec")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    const odd = JSON.stringify({ ...JSON.parse(spec), timezone: "Mars/Phobos" });
    await test.store.updateTable("schedules").set({ spec: odd }).where("id", "=", id).execute();
    await pass(HOUR);
    expect(await test.statuses("fine")).toEqual(["running"]);
    expect(await test.jobs("odd")).toMatchObject([
      { status: "missed", reason: expect.stringContaining("Mars/Phobos") },
    ]);
  });
});

describe("a tick", () => {
  it("runs what is due of its caller alone, and waits for its end", async () => {
    const token = await test.host.addUser("ann", [
      "ManageSchedules",
      "ExecuteScripts",
      "ManageScripts",
    ]);
    const ann = await test.host.host.engine.identity.authenticate(token);
    await (await test.host.as(token)).scripts.save({ script: "backup", source: "1" });
    await test.add({ missed: "skip" });
    await test.add({ name: "hers" }, ann);
    // Cron comes by a few minutes later.
    test.sleep(HOUR + 4 * MINUTE);
    const ticking = test.schedules.tick(test.context(), {});
    await test.rest();
    expect(test.scripts.running.size).toBe(1);
    await test.end(2);
    expect(await ticking).toMatchObject([{ schedule: "hourly", status: "failed", exitCode: 2 }]);
    expect(await test.jobs("hers", ann)).toEqual([]);
    expect(await test.schedules.tick(test.context(), {})).toEqual([]);
  });

  it("runs what waits for another one after it, and leaves retries to the next tick", async () => {
    await test.add({ overlap: "queue", missed: "all", retries: 1, retryDelayMs: MINUTE });
    test.sleep(3 * HOUR + 30 * MINUTE);
    const ticking = test.schedules.tick(test.context(), {});
    await test.rest();
    for (const exitCode of [0, 0, 1]) {
      expect(test.scripts.running.size).toBe(1);
      await test.end(exitCode);
    }
    const statuses = (await ticking).map(({ status }) => status);
    expect(statuses).toEqual(["succeeded", "succeeded", "pending"]);
    test.sleep(MINUTE);
    const again = test.schedules.tick(test.context(), {});
    await test.rest();
    await test.end();
    expect(await again).toMatchObject([{ status: "succeeded", attempts: 2 }]);
  });

  it("interrupts what it runs when its caller goes away", async () => {
    await test.add();
    test.sleep(HOUR);
    const away = new AbortController();
    const ticking = test.schedules.tick(test.context(), { signal: away.signal });
    await test.rest();
    away.abort();
    expect(await ticking).toMatchObject([{ status: "interrupted" }]);
  });

  it("runs nothing that a server runs already", async () => {
    await test.add({ overlap: "allow" });
    await pass(HOUR);
    expect(await test.schedules.tick(test.context(), {})).toEqual([]);
    expect(await test.statuses()).toEqual(["running"]);
  });
});

describe("a schedule that a script makes", () => {
  it("can do no more than the script was granted", async () => {
    const { host } = test.host;
    const { granted } = await import("../script-grant.js");
    const few = granted({ actor: test.host.actor, depth: 1, local: true }, [
      "ManageSchedules",
      "ExecuteScripts",
    ]);
    await host.clientFor(few).schedules.add({ name: "made", cron: "0 * * * *", script: "backup" });
    const row = await test.store.selectFrom("schedules").selectAll().executeTakeFirstOrThrow();
    await test.store
      .updateTable("schedules")
      .set({ next_due_ms: START })
      .where("id", "=", row.id)
      .execute();
    await test.look(scheduler);
    const script = await test.end();
    expect([...script.context.actor.permissions].sort()).toEqual([
      "ExecuteScripts",
      "ManageSchedules",
    ]);
    expect(script.context.granted).toBe(true);
    const fewer = granted({ actor: test.host.actor, depth: 1, local: true }, ["ManageSchedules"]);
    await expect(
      host.clientFor(fewer).schedules.add({ name: "more", cron: "0 * * * *", script: "backup" }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(host.clientFor(fewer).schedules.run({ schedule: "made" })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
  });
});
