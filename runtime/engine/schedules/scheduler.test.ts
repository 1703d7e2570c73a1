import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SpacesError } from "../../contract/errors.js";
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
afterEach(async () => {
  await test[Symbol.asyncDispose]();
  expect(test.troubles).toEqual([]);
});

/** Lets time pass, then looks. */
async function pass(ms: number): Promise<void> {
  test.sleep(ms);
  await test.look(scheduler);
}

describe("a scheduler", () => {
  it("runs a job when it is due, and tells the script of it", async () => {
    await test.add({ args: ["a"], input: { deep: true }, timeoutMs: 7_000, grant: ["UseSpaces"] });
    await pass(HOUR - 1);
    expect(await test.jobs()).toEqual([]);
    await pass(1);
    const [script] = test.scripts.running;
    expect(script?.request).toMatchObject({
      ...{ script: "backup", args: ["a"], input: { deep: true }, timeoutMs: 7_000 },
      grant: ["UseSpaces"],
    });
    const [job] = await test.jobs();
    expect(script?.options.trigger).toEqual({
      ...{ kind: "schedule", schedule: "hourly", job: job?.id, attempt: 1 },
      dueAt: "2026-02-01T01:00:00.000Z",
    });
    expect(job).toMatchObject({ status: "running", attempts: 1, lagMs: 0, trigger: "due" });
    test.sleep(5_000);
    await test.end();
    expect(await test.jobs()).toMatchObject([
      { status: "succeeded", exitCode: 0, endedAt: "2026-02-01T01:00:05.000Z" },
    ]);
    expect((await test.jobs())[0]?.run).toMatch(/^run_/);
    expect(test.ended.map(({ status }) => status)).toEqual(["succeeded"]);
  });

  it("runs a job that somebody asked for, now", async () => {
    await test.add({ paused: true });
    const asked = await test.schedules.run(test.context(), "hourly");
    expect(asked).toMatchObject({ trigger: "manual", status: "pending" });
    await test.look(scheduler);
    await test.end();
    expect(await test.jobs()).toMatchObject([{ id: asked.id, status: "succeeded" }]);
  });

  it("lets jobs begin later by their jitter, and does not count that as lag", async () => {
    const half = test.scheduler({ random: () => 0.5 });
    await test.add({ jitterMs: 10 * MINUTE });
    test.sleep(HOUR);
    await test.look(half);
    expect(await test.statuses()).toEqual(["pending"]);
    test.sleep(5 * MINUTE + 20);
    await test.look(half);
    expect(await test.jobs()).toMatchObject([{ status: "running", lagMs: 20 }]);
  });

  it("tries again what failed, later and later, and counts failures in a row", async () => {
    await test.add({ retries: 2, retryDelayMs: MINUTE });
    await pass(HOUR);
    await test.end(3);
    expect(await test.jobs()).toMatchObject([{ status: "pending", attempts: 1, exitCode: 3 }]);
    await pass(MINUTE - 1);
    expect(test.scripts.running.size).toBe(0);
    await pass(1);
    expect((await test.end(3)).options.trigger).toMatchObject({ attempt: 2 });
    await pass(MINUTE);
    expect(test.scripts.running.size).toBe(0);
    await pass(MINUTE);
    await test.end(3);
    expect(await test.jobs()).toMatchObject([{ status: "failed", attempts: 3, exitCode: 3 }]);
    const failures = async () =>
      (await test.schedules.get(test.context(), "hourly")).failuresInARow;
    expect(await failures()).toBe(1);
    await pass(HOUR);
    await test.end(0);
    expect(await failures()).toBe(0);
  });

  it("has a notification due for what failed, in the same change", async () => {
    const notify = { webhook: { url: "https://example.org/" } };
    await test.add({ notify });
    await test.add({ name: "untold" });
    await pass(HOUR);
    await test.end(1);
    await test.end(1);
    expect(await test.jobs()).toMatchObject([{ notification: { status: "pending" } }]);
    expect((await test.jobs("untold"))[0]?.notification).toBeUndefined();
    await pass(HOUR);
    await test.end(0);
    await test.end(0);
    expect((await test.jobs())[1]?.notification).toBeUndefined();
    test.sleep(3 * HOUR + 30 * MINUTE);
    await test.look(scheduler);
    // Of what was missed at once, the newest alone tells.
    expect((await test.jobs()).slice(2)).toMatchObject([
      { status: "missed" },
      { status: "missed", notification: { status: "pending" } },
      { status: "running" },
    ]);
    expect((await test.jobs())[2]?.notification).toBeUndefined();
  });

  it("keeps few rows of a long outage, and the number of the others", async () => {
    await test.add({ missed: "skip" });
    await pass(400 * HOUR + 30 * MINUTE);
    const jobs = await test.jobs();
    expect(jobs).toHaveLength(20);
    expect(jobs.at(-1)).toMatchObject({
      status: "missed",
      reason:
        "Nothing ran it in time. 380 more were missed since 2026-02-01T01:00:00.000Z, which are not listed.",
    });
    await pass(30 * MINUTE);
    expect((await test.jobs()).at(-1)).toMatchObject({ status: "running" });
  });

  it("bounds what it makes up for after an outage of many due times", async () => {
    await test.add({ cron: "* * * * * *", missed: "all", missedWindowMs: 7 * 24 * HOUR });
    await pass(48 * HOUR);
    const rows = await test.store.selectFrom("jobs").select("status").execute();
    expect(rows.length).toBeLessThanOrEqual(1_000);
    expect((await test.schedules.get(test.context(), "hourly")).nextDueAt).toBe(
      new Date(START + 48 * HOUR + 1_000).toISOString(),
    );
  });

  it("keeps no more than a thousand jobs of a schedule, or ninety days", async () => {
    const { id } = await test.add({ paused: true });
    const old = START - 100 * 24 * HOUR;
    const make = (n: number, from: number) => ({
      ...{ id: `job_${from}-${n}`, schedule_id: id, trigger: "due", status: "succeeded" },
      ...{ due_ms: from + n * 1_000, not_before_ms: from, ended_ms: from },
    });
    for (const [count, from] of [
      [30, old],
      [700, START - 24 * HOUR],
      [700, START - 12 * HOUR],
    ] as const) {
      for (let n = 0; n < count; n += 100) {
        const rows = Array.from({ length: Math.min(100, count - n) }, (_, k) => make(n + k, from));
        await test.store.insertInto("jobs").values(rows).execute();
      }
    }
    await test.look(scheduler);
    const kept = await test.store.selectFrom("jobs").select("due_ms").execute();
    expect(kept).toHaveLength(1_000);
    expect(Math.min(...kept.map(({ due_ms }) => due_ms))).toBe(START - 24 * HOUR + 400_000);
  });

  it("skips the jobs of an owner who is disabled, deleted or may not any more", async () => {
    const token = await test.host.addUser("ann", [
      "ManageSchedules",
      "ExecuteScripts",
      "ManageScripts",
    ]);
    const ann = await test.host.host.engine.identity.authenticate(token);
    await (await test.host.as(token)).scripts.save({ script: "backup", source: "1" });
    await test.add({}, ann);
    const { local } = test.host;
    const newest = async () => (await test.jobs("hourly", ann)).at(-1);
    await local.users.update({ user: "ann", disabled: true });
    await pass(HOUR);
    expect(await newest()).toMatchObject({
      ...{ status: "skipped", attempts: 0, reason: "The schedule's owner is disabled." },
    });
    expect((await newest())?.startedAt).toBeUndefined();
    await local.users.update({ user: "ann", disabled: false });
    await local.roles.save({ role: "role-of-ann", permissions: ["ManageSchedules"] });
    await pass(HOUR);
    expect(await newest()).toMatchObject({
      status: "skipped",
      reason: expect.stringContaining("ExecuteScripts"),
    });
    await local.roles.save({
      role: "role-of-ann",
      permissions: ["ManageSchedules", "ExecuteScripts"],
    });
    await pass(HOUR);
    expect(await newest()).toMatchObject({ status: "running" });
    // Who loses what the script began with does not keep it until the script's end.
    await local.roles.save({ role: "role-of-ann", permissions: ["ManageSchedules"] });
    test.clock.pass(2_000);
    await test.rest();
    expect(await newest()).toMatchObject({
      status: "cancelled",
      reason: expect.stringContaining("ExecuteScripts"),
    });
    await local.users.delete({ user: "ann" });
    await pass(HOUR);
    expect(await test.store.selectFrom("jobs").selectAll().execute()).toEqual([]);
  });

  it("runs scripts within the limits of who made the schedule, and of who changed it", async () => {
    const { local, host } = test.host;
    const limitedTo = async (
      ...scope: readonly ("ManageSchedules" | "ExecuteScripts" | "UseSpaces" | "RunCommands")[]
    ) =>
      host.engine.identity.authenticate(
        (await local.tokens.create({ name: "few", scope: [...scope] })).token,
      );
    const maker = await limitedTo("ManageSchedules", "ExecuteScripts", "UseSpaces");
    await test.add({}, maker);
    const permissions = async () => {
      await pass(HOUR);
      const script = await test.end();
      return [...script.context.actor.permissions].sort();
    };
    expect(await permissions()).toEqual(["ExecuteScripts", "ManageSchedules", "UseSpaces"]);
    await test.schedules.update(test.context(), "hourly", { description: "by one without limits" });
    expect(await permissions()).toEqual(["ExecuteScripts", "ManageSchedules", "UseSpaces"]);
    const other = await limitedTo("ManageSchedules", "ExecuteScripts", "RunCommands");
    await test.schedules.update(test.context(other), "hourly", {
      description: "by one with others",
    });
    expect(await permissions()).toEqual(["ExecuteScripts", "ManageSchedules"]);
    const few = await limitedTo("ManageSchedules");
    for (const call of [
      test.add({ name: "more" }, few),
      test.schedules.update(test.context(few), "hourly", { description: "more" }),
      test.schedules.run(test.context(few), "hourly"),
    ]) {
      await expect(call).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    }
  });

  it("cancels the job of a schedule that is removed", async () => {
    await test.add();
    await pass(HOUR);
    const listening = test.schedules.listen(() => scheduler.wake());
    scheduler.start();
    await test.rest();
    expect(test.scripts.running.size).toBe(1);
    await test.schedules.remove(test.context(), "hourly");
    await expect
      .poll(() => {
        test.clock.pass(1_000);
        return test.scripts.running.size;
      })
      .toBe(0);
    listening[Symbol.dispose]();
    expect(await test.store.selectFrom("jobs").selectAll().execute()).toEqual([]);
  });

  it("goes by the changed schedule from its next attempt on", async () => {
    await test.add({ retries: 1, retryDelayMs: 0 });
    await pass(HOUR);
    await test.schedules.update(test.context(), "hourly", {
      args: ["changed"],
      cron: "30 * * * *",
    });
    const first = await test.end(1);
    expect(first.request.args).toEqual([]);
    await pass(1);
    expect((await test.end()).request.args).toEqual(["changed"]);
    await pass(30 * MINUTE - 1);
    expect(await test.jobs()).toMatchObject([
      { status: "succeeded", attempts: 2 },
      { status: "running", dueAt: "2026-02-01T01:30:00.000Z" },
    ]);
  });

  it("ends what its process was at when that has died, and tries again what may be", async () => {
    await test.add({ overlap: "allow" });
    await test.add({ name: "again", retries: 1, retryDelayMs: 0 });
    await pass(HOUR);
    const dead = await deadProcess();
    await test.store.updateTable("jobs").set({ holder: dead }).execute();
    const other = test.scheduler();
    // Held by nobody here: as the second process sees it.
    const { heldHere } = await import("./abandoned.js");
    const held = [...heldHere];
    heldHere.clear();
    await test.look(other);
    expect(await test.jobs()).toMatchObject([
      { status: "interrupted", reason: expect.stringContaining("ended before") },
    ]);
    expect(await test.jobs("again")).toMatchObject([{ status: "running", attempts: 2 }]);
    for (const id of held) heldHere.add(id);
    // The process that was thought dead changes nothing any more.
    for (const script of [...test.scripts.running].slice(0, 2)) script.end(0);
    await test.rest();
    expect(await test.jobs()).toMatchObject([{ status: "interrupted" }]);
    expect(await test.jobs("again")).toMatchObject([{ status: "running", attempts: 2 }]);
    await test.end();
    expect(await test.jobs("again")).toMatchObject([{ status: "succeeded", attempts: 2 }]);
  });

  it("believes in a process of another host as long as that gives signs", async () => {
    await test.add();
    await pass(HOUR);
    const { heldHere } = await import("./abandoned.js");
    heldHere.clear();
    const holder = "elsewhere/boot/1/1";
    await test.store.updateTable("jobs").set({ holder, renewed_ms: 1 }).execute();
    for (let n = 2; n < 20; n++) {
      await pass(10_000);
      await test.store.updateTable("jobs").set({ renewed_ms: n }).execute();
    }
    expect(await test.statuses()).toEqual(["running"]);
    // A clock on the wall that jumps is no sign of death.
    test.clock.jump(2 * HOUR);
    test.sleep(5_000);
    await test.look(scheduler);
    expect((await test.statuses())[0]).toBe("running");
    await pass(21_000);
    expect((await test.statuses())[0]).toBe("interrupted");
  });

  it("interrupts what still runs at the end of its drain, for another one to try again", async () => {
    await test.add({ retries: 1, retryDelayMs: 0 });
    await test.add({ name: "once" });
    await pass(HOUR);
    const drained = scheduler.drain(5_000);
    test.clock.pass(4_999);
    await test.rest();
    expect(await test.statuses()).toEqual(["running"]);
    test.clock.pass(1);
    await drained;
    const reason = "The server was shut down while it ran.";
    expect(await test.jobs("once")).toMatchObject([{ status: "interrupted", reason }]);
    expect(await test.jobs()).toMatchObject([{ status: "pending", attempts: 1, reason }]);
    const other = test.scheduler();
    test.sleep(1);
    await test.look(other);
    expect(await test.jobs()).toMatchObject([{ status: "running", attempts: 2 }]);
  });

  it("takes a run that somebody cancelled for cancelled, and does not try it again", async () => {
    await test.add({ retries: 5 });
    test.scripts.start = async () => {
      throw new SpacesError("CANCELLED");
    };
    await pass(HOUR);
    expect(await test.jobs()).toMatchObject([{ status: "cancelled", attempts: 1 }]);
  });
});

async function deadProcess(): Promise<string> {
  const { PROCESS_IDENTITY } = await import("../../process-identity.js");
  const parts = PROCESS_IDENTITY.split("/");
  return [...parts.slice(0, -1), "1"].join("/");
}
