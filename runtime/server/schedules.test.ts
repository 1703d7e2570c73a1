import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "./test-server.js";

let server: TestServer;

beforeEach(async () => {
  server = await openTestServer();
});
afterEach(() => server[Symbol.asyncDispose]());

async function save(script: string, source: string): Promise<void> {
  const saved = await server.call("PUT", `/v1/scripts/${script}`, { body: { source } });
  expect(saved.status, JSON.stringify(saved.body)).toBe(200);
}

async function add(spec: Readonly<Record<string, unknown>>): Promise<void> {
  const added = await server.call("POST", "/v1/schedules", { body: spec });
  expect(added.status, JSON.stringify(added.body)).toBe(201);
}

async function jobs(schedule: string, of = server) {
  return (await of.call("GET", `/v1/schedules/${schedule}/jobs`)).body.items;
}

describe("a server", () => {
  it("runs the jobs of its store when they are due, and counts them", async () => {
    await save("hello", "console.log('hello')");
    await add({ name: "each-second", cron: "* * * * * *", script: "hello" });
    await add({ name: "paused", cron: "@daily", script: "hello", paused: true });
    const succeeded = async () =>
      (await jobs("each-second")).filter(({ status }: { status: string }) => status === "succeeded")
        .length;
    await expect.poll(succeeded).toBeGreaterThanOrEqual(2);
    const due = (await jobs("each-second")).map(({ dueAt }: { dueAt: string }) => dueAt);
    expect(new Set(due).size).toBe(due.length);
    const [run] = (await server.call("GET", "/v1/runs?schedule=each-second")).body.items;
    expect(run).toMatchObject({ trigger: { kind: "schedule", attempt: 1 } });
    await server.call("POST", "/v1/schedules/each-second/pause");
    const metrics = String((await server.call("GET", "/metrics")).body);
    expect(metrics).toMatch(/^spaces_schedule_jobs_total\{status="succeeded"\} [2-9]/m);
    expect(metrics).toMatch(/^spaces_schedule_lag_seconds_count [2-9]/m);
    expect(metrics).toMatch(/^spaces_schedules\{state="paused"\} 2$/m);
    expect(metrics).toMatch(/^spaces_schedule_overdue 0$/m);
  });

  it("runs a job that somebody asks for at once", async () => {
    await save("hello", "console.log('hello')");
    await add({ name: "yearly", cron: "@yearly", script: "hello" });
    const asked = await server.call("POST", "/v1/schedules/yearly/run");
    expect(asked.body).toMatchObject({ trigger: "manual", status: "pending" });
    await expect
      .poll(() => jobs("yearly"))
      .toMatchObject([{ id: asked.body.id, status: "succeeded", exitCode: 0 }]);
  });

  it("interrupts what runs when it ends, and another one tries it again", async () => {
    await save("long", "import runtime from 'runtime'; runtime.sleep(60);");
    await add({ name: "once", cron: "@yearly", script: "long" });
    await add({ name: "again", cron: "@yearly", script: "long", retries: 1, retryDelayMs: 0 });
    for (const name of ["once", "again"]) await server.call("POST", `/v1/schedules/${name}/run`);
    const running = async (name: string) => (await jobs(name))[0];
    await expect.poll(() => running("once")).toMatchObject({ status: "running" });
    await expect.poll(() => running("again")).toMatchObject({ status: "running" });
    await server.server.drain(200);
    const second = await server.another();
    await expect
      .poll(async () => (await jobs("again", second))[0])
      .toMatchObject({
        ...{ status: "running" },
        attempts: 2,
      });
    const [once] = await jobs("once", second);
    expect(once).toMatchObject({
      ...{ status: "interrupted", reason: "The server was shut down while it ran.", attempts: 1 },
    });
    const run = await second.call("GET", `/v1/runs/${once.run}`);
    expect(run.body.status).toBe("cancelled");
  });

  it("cancels the run of a schedule that is removed", async () => {
    await save("long", "import runtime from 'runtime'; runtime.sleep(60);");
    await add({ name: "removed", cron: "@yearly", script: "long" });
    await server.call("POST", "/v1/schedules/removed/run");
    await expect.poll(async () => (await jobs("removed"))[0]?.run).toBeDefined();
    const { run } = (await jobs("removed"))[0];
    expect((await server.call("DELETE", "/v1/schedules/removed")).status).toBe(200);
    const status = async () => (await server.call("GET", `/v1/runs/${run}`)).body.status;
    await expect.poll(status).toBe("cancelled");
  });
});
