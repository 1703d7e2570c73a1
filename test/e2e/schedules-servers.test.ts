/** Two servers on one store, and a thousand jobs that are due at one moment: each is run by one. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EngineHost, openEngineHost } from "../../runtime/bindings/in-process.js";
import { localActor } from "../../runtime/engine/identity/local-user.js";
import { ServedProcess } from "../support/server-process.js";

const JOBS = 1_000;
/** The servers have started by then, mostly; what is found later within a minute is not missed. */
const DUE_IN_MS = 10_000;
const POLL = { timeout: 240_000, interval: 500 };
/** Leaves a file of its own each time that it runs. */
const SCRIPT = `import files from "files";
import runtime from "runtime";
runtime.sleep(Number(runtime.args[1]));
files.write("marks", \`ran/\${runtime.args[0]}.\${crypto.randomUUID()}\`, "");`;

let dataDir: string;
let host: EngineHost;
let servers: ServedProcess[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "spaces-schedules-"));
  host = await openEngineHost({ dataDir, driver: "virtual" });
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await client().spaces.delete({ space: "marks" });
  await host[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

const client = () => host.clientFor({ actor: localActor(), depth: 0, local: true });

/** Schedules that are all due at one moment, and two servers. @param seconds that each job takes */
async function serveThousand(seconds: number): Promise<void> {
  await client().spaces.create({ name: "marks" });
  await client().files.mkdir({ space: "marks", path: "ran" });
  await client().scripts.save({ script: "mark", source: SCRIPT });
  const due = new Date(Date.now() + DUE_IN_MS);
  const at = [due.getUTCSeconds(), due.getUTCMinutes(), due.getUTCHours()].join(" ");
  for (let n = 0; n < JOBS; n++) {
    await client().schedules.add({
      ...{ name: `job-${n}`, cron: `${at} * * *`, script: "mark", args: [`${n}`, `${seconds}`] },
    });
  }
  const serve = { dataDir, driver: "virtual", flags: ["--auth", "none"] };
  servers = await Promise.all([ServedProcess.start(serve), ServedProcess.start(serve)]);
}

async function jobs() {
  return await host.engine.parts.store
    .selectFrom("jobs")
    .innerJoin("schedules", "schedules.id", "jobs.schedule_id")
    .selectAll("jobs")
    .select("schedules.name")
    .execute();
}

async function ended(): Promise<number> {
  const { count } = await host.engine.parts.store
    .selectFrom("jobs")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("ended_ms", "is not", null)
    .executeTakeFirstOrThrow();
  return count;
}

/** How often each schedule's script has run to its end. */
async function marks(): Promise<ReadonlyMap<string, number>> {
  const { id } = await client().spaces.get({ space: "marks" });
  const counts = new Map<string, number>();
  for (const file of await readdir(join(dataDir, "spaces", id, "workspace", "ran"))) {
    const name = `job-${file.split(".")[0]}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

async function endedBy(server: ServedProcess): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^spaces_schedule_jobs_total\{status="succeeded"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function printLag(what: string): Promise<void> {
  const lags = (await jobs()).map(({ lag_ms }) => lag_ms ?? 0).sort((one, other) => one - other);
  const at = (part: number): number => lags[Math.floor((lags.length - 1) * part)] ?? 0;
  process.stdout.write(
    `${what}: lag of ${lags.length} jobs: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms\n`,
  );
}

describe("two servers on one store", () => {
  it("run each of a thousand jobs once, between them", { timeout: 400_000 }, async () => {
    await serveThousand(0);
    await expect.poll(ended, POLL).toBe(JOBS);
    const rows = await jobs();
    expect(rows).toHaveLength(JOBS);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(JOBS);
    expect(new Set(rows.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    expect(new Set(rows.map(({ attempts }) => attempts))).toEqual(new Set([1]));
    const counts = await marks();
    expect(counts.size).toBe(JOBS);
    expect(new Set(counts.values())).toEqual(new Set([1]));
    const shares = await Promise.all(servers.map(endedBy));
    expect(shares[0]).toBeGreaterThan(0);
    expect(shares[1]).toBeGreaterThan(0);
    expect((shares[0] ?? 0) + (shares[1] ?? 0)).toBe(JOBS);
    await printLag("two servers");
  });

  it("run none twice when one of them is killed", { timeout: 400_000 }, async () => {
    await serveThousand(0.05);
    await expect.poll(ended, POLL).toBeGreaterThan(JOBS / 10);
    const [killed] = servers;
    await killed?.end("SIGKILL");
    await expect.poll(ended, POLL).toBe(JOBS);
    const rows = await jobs();
    expect(rows).toHaveLength(JOBS);
    expect(new Set(rows.map(({ attempts }) => attempts))).toEqual(new Set([1]));
    const interrupted = rows.filter(({ status }) => status === "interrupted");
    const succeeded = rows.filter(({ status }) => status === "succeeded");
    expect(interrupted.length + succeeded.length).toBe(JOBS);
    // What the killed server was at, and nothing more.
    expect(interrupted.length).toBeGreaterThan(0);
    expect(interrupted.length).toBeLessThanOrEqual(16);
    const counts = await marks();
    for (const { name } of succeeded) expect(counts.get(name), name).toBe(1);
    for (const { name } of interrupted) expect(counts.get(name) ?? 0, name).toBeLessThanOrEqual(1);
    await printLag("one of two servers killed");
  });
});
