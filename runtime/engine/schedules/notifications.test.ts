/** Notifications over a real store, real receivers and commands in real spaces; the time alone is set by hand. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import {
  isSigned,
  openReceiver,
  type WebhookReceiver,
} from "../../../test/support/webhook-receiver.js";
import type { EngineHost } from "../../bindings/in-process.js";
import type { Client } from "../../contract/contract.js";
import { newId } from "../../contract/new-id.js";
import type { Schedule } from "../../contract/schedules.js";
import { type Clock, systemClock } from "./clock.js";
import { Notifications } from "./notifications.js";

const START = Date.parse("2026-05-01T03:00:00Z");
const SECRET = "a secret of the receiver";

let test: TestHost;
let client: Client;
let receiver: WebhookReceiver;
let now: number;
const clock: Clock = { ...systemClock, now: () => now };

beforeEach(async () => {
  now = START;
  receiver = await openReceiver();
  test = await openTestHost({ webhookHosts: [receiver.host] });
  client = test.local;
  await client.scripts.save({ script: "backup", source: "1" });
});
afterEach(async () => {
  await test[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const notifierOf = ({ engine }: EngineHost): Notifications =>
  new Notifications(engine.parts, engine.processes, { clock });
const deliver = (): Promise<void> => notifierOf(test.host).deliverDue();

const webhook = () => ({ webhook: { url: receiver.url, secret: SECRET } });

const addTo = (to: Client, name: string, notify: object): Promise<Schedule> =>
  to.schedules.add({
    ...{
      name,
      cron: "@daily",
      script: "backup",
      args: ["--token=hidden"],
      input: { password: "x" },
    },
    notify,
  });
const add = (name: string, notify: object): Promise<Schedule> => addTo(client, name, notify);

/** A job that failed, of which somebody is to be told. */
async function fail({ id }: Schedule): Promise<string> {
  const job = newId("job");
  await test.host.engine.parts.store
    .insertInto("jobs")
    .values({
      ...{ id: job, schedule_id: id, trigger: "manual", status: "failed", attempts: 2 },
      ...{ due_ms: START - 5_000, not_before_ms: START - 5_000, started_ms: START - 4_000 },
      ...{ ended_ms: START - 1_000, lag_ms: 1_000, exit_code: 1, run: "run_0123456789abcdefghij" },
      error: JSON.stringify({
        code: "SCRIPT_FAILED",
        message: `cannot read ${test.dataDir}/spaces/x`,
        details: { output: "hidden" },
      }),
      ...{ notify_status: "pending", notify_due_ms: now },
    })
    .execute();
  return job;
}

async function notificationOf({ name }: Schedule, of = client) {
  const { items } = await of.schedules.history({ schedule: name });
  return items[0]?.notification;
}

describe("a notification by webhook", () => {
  it("tells what ran and how it ended, signed, and no secrets", async () => {
    const nightly = await add("nightly", webhook());
    const job = await fail(nightly);
    await deliver();
    expect(receiver.received).toHaveLength(1);
    const [message] = receiver.received;
    if (message === undefined) throw new Error("nothing came");
    expect(isSigned(message, SECRET)).toBe(true);
    expect(message.headers).toMatchObject({
      "spaces-event": "job.failed",
      "spaces-delivery": `${job}.1`,
      "spaces-signature": expect.stringContaining(`t=${START / 1000},`),
    });
    expect(JSON.parse(message.body)).toEqual({
      event: "job.failed",
      schedule: {
        ...{ id: nightly.id, name: "nightly", cron: "@daily", timezone: "UTC" },
        ...{ script: "backup", space: null },
      },
      job: {
        ...{ id: job, dueAt: "2026-05-01T02:59:55.000Z", trigger: "manual", status: "failed" },
        ...{ attempts: 2, startedAt: "2026-05-01T02:59:56.000Z", lagMs: 1000, exitCode: 1 },
        ...{ endedAt: "2026-05-01T02:59:59.000Z", run: "run_0123456789abcdefghij" },
      },
      error: { code: "SCRIPT_FAILED", message: "cannot read <data>/spaces/x" },
      failuresInARow: 0,
    });
    expect(message.body).not.toMatch(/hidden|password|secret/);
    expect(await notificationOf(nightly)).toEqual({ status: "sent" });
    await deliver();
    expect(receiver.received).toHaveLength(1);
  });

  it("and the job itself have no secret that the script met and failed with", async () => {
    await client.templates.apply({ source: "name: login\nfields: [{name: key, secret: true}]\n" });
    await client.spaces.create({
      name: "db",
      template: "login",
      fields: { key: "hunter2-hunter2" },
    });
    const source = `
      import spaces from "spaces";
      throw new Error("no login with " + spaces.get_field("db", "key"));
    `;
    await client.scripts.save({ script: "backup", source });
    now = Date.now();
    await add("nightly", webhook());
    await client.schedules.run({ schedule: "nightly" });
    await client.schedules.tick({});
    const [message] = receiver.received;
    expect(JSON.parse(message?.body ?? "{}").error).toMatchObject({ code: "SCRIPT_FAILED" });
    const { items } = await client.schedules.history({ schedule: "nightly" });
    expect(items[0]?.error?.message).toContain("no login with ***");
    expect(message?.body + JSON.stringify(items)).not.toContain("hunter2");
  });

  it("is tried again after one, five and thirty minutes, and then given up", async () => {
    const nightly = await add("nightly", webhook());
    const job = await fail(nightly);
    receiver.answer((response) => response.writeHead(503).end());
    const pending = { status: "pending", error: expect.stringContaining("answered with 503") };
    for (const minutes of [1, 5, 30]) {
      await deliver();
      expect(await notificationOf(nightly)).toEqual(pending);
      now += minutes * 60_000 - 1;
      const before = receiver.received.length;
      await deliver();
      expect(receiver.received).toHaveLength(before);
      now += 1;
    }
    await deliver();
    expect(await notificationOf(nightly)).toEqual({ ...pending, status: "failed" });
    now += 86_400_000;
    await deliver();
    expect(receiver.received.map(({ headers }) => headers["spaces-delivery"])).toEqual(
      [1, 2, 3, 4].map((attempt) => `${job}.${attempt}`),
    );
  });

  it("forgets the error of an attempt when a later one gets through", async () => {
    const nightly = await add("nightly", webhook());
    await fail(nightly);
    receiver.answer((response) => response.writeHead(500).end());
    await deliver();
    receiver.answer((response) => response.writeHead(200).end());
    now += 60_000;
    await deliver();
    expect(await notificationOf(nightly)).toEqual({ status: "sent" });
  });

  it("is not sent to a private address that the operator did not allow", async () => {
    const other = await openReceiver();
    const nightly = await add("nightly", { webhook: { url: other.url } });
    await fail(nightly);
    await deliver();
    expect(other.received).toEqual([]);
    expect(await notificationOf(nightly)).toEqual({
      status: "pending",
      error: expect.stringContaining(`--webhook-host ${other.host}`),
    });
    await other[Symbol.asyncDispose]();
  });

  it("is nobody's any more when the schedule tells nobody, or is gone", async () => {
    const nightly = await add("nightly", webhook());
    await fail(nightly);
    await client.schedules.update({ schedule: "nightly", notify: null });
    await deliver();
    expect(await notificationOf(nightly)).toBeUndefined();
    const brief = await add("brief", webhook());
    await fail(brief);
    await client.schedules.remove({ schedule: "brief" });
    await deliver();
    expect(receiver.received).toEqual([]);
  });

  it("waits for no other that hangs", async () => {
    const slow = await openReceiver();
    slow.answer(() => undefined);
    await test[Symbol.asyncDispose]();
    test = await openTestHost({ webhookHosts: [receiver.host, slow.host] });
    client = test.local;
    await client.scripts.save({ script: "backup", source: "1" });
    await fail(await add("slow", { webhook: { url: slow.url } }));
    const quick = await add("quick", webhook());
    await fail(quick);
    const delivered = deliver();
    await expect.poll(() => notificationOf(quick)).toEqual({ status: "sent" });
    await slow[Symbol.asyncDispose]();
    await delivered;
  });

  it("waits for none of another owner whose receivers all hang", async () => {
    const slow = await openReceiver();
    slow.answer(() => undefined);
    await test[Symbol.asyncDispose]();
    test = await openTestHost({ webhookHosts: [receiver.host, slow.host] });
    client = test.local;
    await client.scripts.save({ script: "backup", source: "1", global: true });
    const permissions = ["ExecuteScripts", "ManageSchedules"] as const;
    const ann = await test.as(await test.addUser("ann", permissions));
    const hanging = await addTo(ann, "slow", { webhook: { url: slow.url } });
    for (let n = 0; n < 120; n++) await fail(hanging);
    now += 1;
    const quick = await add("quick", webhook());
    await fail(quick);
    const abort = new AbortController();
    const delivered = notifierOf(test.host).deliverDue({ signal: abort.signal });
    await expect.poll(() => notificationOf(quick)).toEqual({ status: "sent" });
    abort.abort();
    await delivered;
    await slow[Symbol.asyncDispose]();
  });

  it("is delivered once by two engines on one store", async () => {
    const other = await test.openAnother();
    const jobs: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const schedule = await add(name, webhook());
      for (let n = 0; n < 10; n++) jobs.push(await fail(schedule));
    }
    const both = [notifierOf(test.host), notifierOf(other), notifierOf(other)];
    await Promise.all(both.map((each) => each.deliverDue()));
    const told = receiver.received.map(({ headers }) => String(headers["spaces-delivery"]));
    expect(told.sort()).toEqual(jobs.map((job) => `${job}.1`).sort());
  });

  it("is delivered by another process where the one that claimed it has died", async () => {
    const nightly = await add("nightly", webhook());
    const job = await fail(nightly);
    await test.host.engine.parts.store
      .updateTable("jobs")
      .set({ notify_attempts: 1, notify_due_ms: now + 120_000 })
      .where("id", "=", job)
      .execute();
    await deliver();
    expect(receiver.received).toEqual([]);
    now += 120_000;
    await deliver();
    expect(receiver.received[0]?.headers["spaces-delivery"]).toBe(`${job}.2`);
  });

  it("leaves no word of the store's key when its secret cannot be read", async () => {
    const nightly = await add("nightly", webhook());
    await fail(nightly);
    await test.host.engine.parts.store
      .updateTable("schedules")
      .set({ webhook_secret: `aes-256-gcm:${Buffer.alloc(60).toString("base64")}` })
      .execute();
    await deliver();
    expect(receiver.received).toEqual([]);
    expect((await notificationOf(nightly))?.error).toContain("cannot be decrypted");
  });
});

describe("a notification by command", () => {
  beforeEach(async () => {
    await client.spaces.create({ name: "ops" });
    await client.spaces.start({ space: "ops" });
  });
  const tell = (command: string) => ({ command: { space: "ops", command } });

  it("runs in the space with the report as its input", async () => {
    const nightly = await add("nightly", tell("cat > report.json"));
    await fail(nightly);
    await deliver();
    expect(await notificationOf(nightly)).toEqual({ status: "sent" });
    const { content } = await client.files.read({ space: "ops", path: "report.json" });
    expect(JSON.parse(content)).toMatchObject({
      event: "job.failed",
      schedule: { name: "nightly" },
    });
    expect(content).not.toContain("hidden");
  });

  it("is tried again when the command fails or the space does not run", async () => {
    const nightly = await add("nightly", tell("exit 3"));
    await fail(nightly);
    await deliver();
    expect(await notificationOf(nightly)).toEqual({
      status: "pending",
      error: "The command to notify with ended with code 3.",
    });
    await client.spaces.stop({ space: "ops" });
    now += 60_000;
    await deliver();
    expect((await notificationOf(nightly))?.error).toContain("is stopped");
  });

  it("can do no more than the owner can now", async () => {
    const permissions = [
      ...(["UseSpaces", "RunCommands", "ManageScripts"] as const),
      ...(["ExecuteScripts", "ManageSchedules", "CopyFiles"] as const),
    ];
    const ann = await test.as(await test.addUser("ann", permissions));
    await ann.spaces.create({ name: "ops" });
    await ann.spaces.start({ space: "ops" });
    await ann.scripts.save({ script: "backup", source: "1" });
    const nightly = await addTo(ann, "nightly", tell("touch told"));
    await fail(nightly);
    await client.roles.save({
      role: "role-of-ann",
      permissions: permissions.filter((permission) => permission !== "RunCommands"),
    });
    await deliver();
    const refused = await notificationOf(nightly, ann);
    expect(refused).toMatchObject({
      status: "pending",
      error: expect.stringContaining("RunCommands"),
    });
    await client.users.update({ user: "ann", disabled: true });
    now += 60_000;
    await deliver();
    const { notify_error } = await test.host.engine.parts.store
      .selectFrom("jobs")
      .select("notify_error")
      .executeTakeFirstOrThrow();
    expect(notify_error).toContain("owner is disabled");
    await client.users.update({ user: "ann", disabled: false });
    await client.roles.save({ role: "role-of-ann", permissions: [...permissions] });
    expect((await ann.files.exists({ space: "ops", path: "told" })).exists).toBe(false);
    now += 300_000;
    await deliver();
    expect((await ann.files.exists({ space: "ops", path: "told" })).exists).toBe(true);
  });

  it("is not repeated for a webhook that fails beside it", async () => {
    const nightly = await add("nightly", { ...webhook(), ...tell("echo told >> told") });
    await fail(nightly);
    receiver.answer((response) => response.writeHead(500).end());
    await deliver();
    expect(await notificationOf(nightly)).toMatchObject({ status: "pending" });
    receiver.answer((response) => response.writeHead(200).end());
    now += 60_000;
    await deliver();
    expect(await notificationOf(nightly)).toEqual({ status: "sent" });
    expect((await client.files.read({ space: "ops", path: "told" })).content).toBe("told\n");
    expect(receiver.received).toHaveLength(2);
  });

  it("that is cut short is due again, and counts as no attempt", async () => {
    const nightly = await add("nightly", tell("sleep 60"));
    const job = await fail(nightly);
    const abort = new AbortController();
    const delivered = notifierOf(test.host).deliverDue({ signal: abort.signal });
    await expect
      .poll(async () => (await client.spaces.get({ space: "ops" })).activity)
      .toBe("busy");
    abort.abort();
    await delivered;
    const row = await test.host.engine.parts.store
      .selectFrom("jobs")
      .selectAll()
      .where("id", "=", job)
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({
      ...{ notify_status: "pending", notify_attempts: 0, notify_due_ms: now, notify_error: null },
    });
  });
});
