/** How many jobs of schedules a process claims, runs to their end and plans, beside bare SQL. */
import { userInfo } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { interleave, row } from "./harness.mjs";

const JOBS = 500;

export async function measure({ stage, quick }) {
  const { openEngineHost } = await stage.load("bench-engine-host");
  const { Scheduler } = await stage.load("bench-scheduler");
  const { Planner } = await stage.load("bench-planner");
  const openJobs = await stage.load("bench-open-jobs");
  const host = await openEngineHost({ dataDir: join(stage.temp, "schedules"), driver: "virtual" });
  const bare = bareJobs(join(stage.temp, "bare-jobs.db"));
  const parts = {
    parts: host.engine.parts,
    scripts: { start: startNothing },
    events: { began: () => undefined, ended: () => undefined },
    onTrouble: (error) => {
      throw error;
    },
  };
  try {
    await addSchedules(host.engine.parts.store);
    const samples = await interleave(
      {
        claim: () => claimAll(host.engine.parts.store, openJobs),
        sqlClaim: () => bare.claimAll(),
        run: () => runAll(host.engine.parts.store, new Scheduler(parts)),
        sqlRun: () => bare.runAll(),
        plan: () => planAll(host.engine.parts.store, Planner),
        sqlPlan: () => bare.planAll(),
      },
      { rounds: quick ? 2 : 10, warmup: 1 },
    );
    const rate = (what, ours, sql, name) =>
      row({
        what,
        unit: "/s",
        better: "more",
        ours: (JOBS * 1000) / samples[ours].p50,
        peer: { name, value: (JOBS * 1000) / samples[sql].p50 },
        samples: { ours: samples[ours], peer: samples[sql] },
      });
    return [
      rate("jobs claimed per second", "claim", "sqlClaim", "a bare SQL update … returning"),
      rate(
        "jobs run per second, of scripts that do nothing",
        "run",
        "sqlRun",
        "two bare SQL updates",
      ),
      rate("due schedules planned per second", "plan", "sqlPlan", "a bare SQL update and insert"),
    ];
  } finally {
    bare.close();
    await host[Symbol.asyncDispose]();
  }
}

/** A script that has ended when it has begun: what is left is the scheduler's own. */
async function startNothing() {
  const result = { exitCode: 0, output: "", truncated: false, durationMs: 0, run: "run_0" };
  return { recorder: { id: "run_0", run: {} }, ended: Promise.resolve(result) };
}

async function addSchedules(store) {
  const spec = JSON.stringify({
    ...{ description: "", cron: "0 3 * * *", timezone: "Europe/Berlin", script: "none" },
    ...{ scriptVersion: null, space: null, args: [], input: null, overlap: "skip", missed: "once" },
    ...{ missedWindowMs: 1e8, jitterMs: 0, timeoutMs: 1e6, retries: 0, retryDelayMs: 0 },
    ...{ grant: null, notify: null },
  });
  const now = new Date().toISOString();
  for (let n = 0; n < JOBS; n++) {
    await store
      .insertInto("schedules")
      .values({
        ...{ id: `sch_${n}`, owner: userInfo().username, name: `bench-${n}`, spec },
        ...{ overlap: "skip", next_due_ms: null, created_at: now, updated_at: now },
      })
      .execute();
  }
}

async function addJobs(store) {
  await store.deleteFrom("jobs").execute();
  const now = Date.now();
  const rows = Array.from({ length: JOBS }, (_, n) => ({
    ...{ id: `job_${n}`, schedule_id: `sch_${n}`, trigger: "manual", status: "pending" },
    ...{ due_ms: now, not_before_ms: now },
  }));
  for (let from = 0; from < JOBS; from += 100) {
    await store
      .insertInto("jobs")
      .values(rows.slice(from, from + 100))
      .execute();
  }
}

async function claimAll(store, { jobsToBegin, claim }) {
  await addJobs(store);
  const schedule = await store.selectFrom("schedules").selectAll().executeTakeFirstOrThrow();
  const start = performance.now();
  let claimed = 0;
  for (;;) {
    const candidates = await jobsToBegin(store, { now: Date.now(), owner: undefined, limit: 128 });
    if (candidates.length === 0) break;
    for (const candidate of candidates) {
      if ((await claim(store, candidate, schedule, Date.now())) !== undefined) claimed += 1;
    }
  }
  const ms = performance.now() - start;
  if (claimed !== JOBS) throw new Error(`${claimed} jobs were claimed`);
  return ms;
}

async function runAll(store, scheduler) {
  await addJobs(store);
  const start = performance.now();
  await scheduler.look();
  await scheduler.idle();
  const ms = performance.now() - start;
  await scheduler.drain(0);
  await expectJobs(store, "succeeded");
  return ms;
}

/** All due a second ago. */
async function planAll(store, Planner) {
  await store.deleteFrom("jobs").execute();
  await store
    .updateTable("schedules")
    .set({ next_due_ms: Date.now() - 1_000 })
    .execute();
  const clock = { now: () => Date.now() };
  const planner = new Planner({
    ...{ store, clock, owner: undefined, graceMs: 60_000, random: Math.random },
  });
  const start = performance.now();
  while ((await planner.planBatch()).isMore);
  const ms = performance.now() - start;
  await expectJobs(store, "pending");
  await store.updateTable("schedules").set({ next_due_ms: null }).execute();
  return ms;
}

async function expectJobs(store, status) {
  const rows = await store.selectFrom("jobs").select("id").where("status", "=", status).execute();
  if (rows.length !== JOBS) throw new Error(`${rows.length} jobs are ${status}`);
}

/** The same changes with the same settings, and nothing else. */
function bareJobs(file) {
  const database = new Database(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec("CREATE TABLE schedules (id INTEGER PRIMARY KEY, next INTEGER)");
  database.exec("CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, holder TEXT)");
  const addSchedule = database.prepare("INSERT INTO schedules (id, next) VALUES (?, 0)");
  for (let n = 0; n < JOBS; n++) addSchedule.run(n);
  const clear = database.prepare("DELETE FROM jobs");
  const insert = database.prepare("INSERT INTO jobs (id, status) VALUES (?, 'pending')");
  const claim = database.prepare(
    "UPDATE jobs SET status = 'running', holder = 'us' WHERE id = (SELECT id FROM jobs WHERE status = 'pending' LIMIT 1) RETURNING id",
  );
  const end = database.prepare("UPDATE jobs SET status = 'succeeded', holder = NULL WHERE id = ?");
  const forward = database.prepare("UPDATE schedules SET next = next + 1 WHERE id = ?");
  const fill = () => {
    clear.run();
    for (let n = 0; n < JOBS; n++) insert.run(n);
  };
  const timed = (act) => {
    const start = performance.now();
    for (let n = 0; n < JOBS; n++) act(n);
    return performance.now() - start;
  };
  return {
    claimAll() {
      fill();
      return timed(() => claim.all());
    },
    runAll() {
      fill();
      return timed(() => end.run(claim.all()[0].id));
    },
    planAll() {
      clear.run();
      return timed((n) => {
        forward.run(n);
        insert.run(n);
      });
    },
    close: () => database.close(),
  };
}
