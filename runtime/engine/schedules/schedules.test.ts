import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import type { Client } from "../../contract/contract.js";
import type { Permission } from "../../contract/permissions.js";

const USER: readonly Permission[] = ["UseSpaces", "ManageScripts", "ExecuteScripts"];

let test: TestHost;
let client: Client;

beforeEach(async () => {
  test = await openTestHost();
  client = test.local;
  await client.scripts.save({ script: "backup", source: "console.log(1)" });
});
afterEach(() => test[Symbol.asyncDispose]());

const nightly = { name: "nightly", cron: "0 3 * * *", timezone: "Europe/Berlin", script: "backup" };

describe("schedules", () => {
  it("are added, shown, listed and removed", async () => {
    const added = await client.schedules.add(nightly);
    expect(added).toMatchObject({
      ...nightly,
      ...{ paused: false, overlap: "skip", missed: "once", problems: [], failuresInARow: 0 },
      owner: test.actor.id,
    });
    expect(Date.parse(added.nextDueAt ?? "")).toBeGreaterThan(Date.now());
    expect(await client.schedules.get({ schedule: "nightly" })).toEqual(added);
    expect((await client.schedules.list({})).items).toEqual([added]);
    await client.schedules.remove({ schedule: "nightly" });
    expect((await client.schedules.list({})).items).toEqual([]);
    for (const call of ["get", "pause", "resume", "run", "history", "remove"] as const) {
      await expect(client.schedules[call]({ schedule: "nightly" })).rejects.toMatchObject({
        code: "SCHEDULE_NOT_FOUND",
      });
    }
  });

  it("have a name that is unique for their owner", async () => {
    await client.schedules.add(nightly);
    await expect(client.schedules.add(nightly)).rejects.toMatchObject({ code: "SCHEDULE_EXISTS" });
    const other = await test.as(await test.addUser("other", [...USER, "ManageSchedules"]));
    await other.scripts.save({ script: "backup", source: "1" });
    await other.schedules.add(nightly);
    expect((await other.schedules.list({})).items).toHaveLength(1);
  });

  it("are paused and resumed, and due from now on", async () => {
    await client.schedules.add({ ...nightly, paused: true });
    const paused = await client.schedules.get({ schedule: "nightly" });
    expect(paused.paused).toBe(true);
    expect(paused.nextDueAt).toBeUndefined();
    const resumed = await client.schedules.resume({ schedule: "nightly" });
    expect(resumed.paused).toBe(false);
    expect(Date.parse(resumed.nextDueAt ?? "")).toBeGreaterThan(Date.now());
    expect(await client.schedules.resume({ schedule: "nightly" })).toEqual(resumed);
    expect((await client.schedules.pause({ schedule: "nightly" })).paused).toBe(true);
  });

  it("are changed in what is given, and keep the rest", async () => {
    await client.schedules.add({ ...nightly, args: ["a"], input: { deep: [1, { two: 2 }] } });
    const changed = await client.schedules.update({
      schedule: "nightly",
      ...{ cron: "@hourly", overlap: "queue", description: "each hour" },
    });
    expect(changed).toMatchObject({
      ...{ cron: "@hourly", overlap: "queue", description: "each hour", args: ["a"] },
      ...{ input: { deep: [1, { two: 2 }] }, timezone: "Europe/Berlin" },
    });
    expect(Date.parse(changed.nextDueAt ?? "") - Date.now()).toBeLessThanOrEqual(3_600_000);
  });

  it("lose no change where several are made at once", async () => {
    await client.schedules.add(nightly);
    const changes = [
      { cron: "@hourly" },
      { overlap: "queue" as const },
      { missed: "all" as const },
      { retries: 3 },
      { description: "changed" },
      { args: ["x"] },
    ];
    await Promise.all(
      changes.map((change) => client.schedules.update({ schedule: "nightly", ...change })),
    );
    expect(await client.schedules.get({ schedule: "nightly" })).toMatchObject(
      Object.assign({}, ...changes),
    );
  });

  it("tell of scripts and spaces that are gone", async () => {
    await client.spaces.create({ name: "db" });
    await client.schedules.add({ ...nightly, space: "db" });
    await client.spaces.delete({ space: "db" });
    await client.scripts.delete({ script: "backup" });
    const { problems } = await client.schedules.get({ schedule: "nightly" });
    expect(problems.map(({ code }) => code)).toEqual(["SCRIPT_NOT_FOUND", "SPACE_NOT_FOUND"]);
    await expect(
      client.schedules.update({ schedule: "nightly", space: "never-there" }),
    ).rejects.toMatchObject({ code: "SCRIPT_NOT_FOUND" });
    await client.schedules.update({ schedule: "nightly", description: "still there" });
  });

  it("never give back the secret of a webhook, and keep it while its URL stays", async () => {
    const url = "https://example.org/hook";
    const added = await client.schedules.add({
      ...nightly,
      notify: { webhook: { url, secret: "correct horse" } },
    });
    expect(added.notify).toEqual({ webhook: { url, signed: true } });
    const row = await test.host.engine.parts.store
      .selectFrom("schedules")
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(row)).not.toContain("correct horse");
    const change = (notify: { webhook: { url: string; secret?: string } } | null) =>
      client.schedules.update({ schedule: "nightly", notify });
    expect((await change({ webhook: { url } })).notify?.webhook?.signed).toBe(true);
    const elsewhere = { webhook: { url: "https://example.net/" } };
    expect((await change(elsewhere)).notify?.webhook?.signed).toBe(false);
    expect((await change({ webhook: { url, secret: "battery staple" } })).notify).toEqual({
      webhook: { url, signed: true },
    });
    expect((await change(null)).notify).toBeNull();
  });

  it.each([
    ["a script that is not there", { script: "none" }, "SCRIPT_NOT_FOUND"],
    ["a version that is not there", { scriptVersion: 7 }, "SCRIPT_NOT_FOUND"],
    ["a space that is not there", { space: "none" }, "SPACE_NOT_FOUND"],
    ["a lib", { script: "shared" }, "INVALID_INPUT"],
    ["a native script without a space", { script: "native" }, "INVALID_INPUT"],
    [
      "a command to notify with in no space",
      { notify: { command: { command: "true" } } },
      "INVALID_INPUT",
    ],
    [
      "a command to notify with in a space that is not there",
      { notify: { command: { space: "none", command: "true" } } },
      "SPACE_NOT_FOUND",
    ],
  ])("refuse %s", async (_, change, code) => {
    await client.scripts.save({ script: "shared", source: "export {}", kind: "lib" });
    await client.scripts.save({ script: "native", source: "#!/bin/sh\ntrue" });
    await expect(client.schedules.add({ ...nightly, ...change })).rejects.toMatchObject({ code });
    await client.schedules.add(nightly);
    await expect(client.schedules.update({ schedule: "nightly", ...change })).rejects.toMatchObject(
      { code },
    );
  });

  it("have their history in pages, the newest first", async () => {
    await client.schedules.add(nightly);
    const ids: string[] = [];
    for (let n = 0; n < 5; n++)
      ids.unshift((await client.schedules.run({ schedule: "nightly" })).id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.schedules.history({ schedule: "nightly", limit: 2, cursor });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect([...seen].sort()).toEqual([...ids].sort());
    await expect(
      client.schedules.history({ schedule: "nightly", cursor: "nonsense" }),
    ).rejects.toMatchObject({ code: "INVALID_INPUT" });
    const { items } = await client.schedules.history({ schedule: "nightly", status: "succeeded" });
    expect(items).toEqual([]);
  });

  it("are added or changed by what is put, and left alone where nothing changes", async () => {
    const schedules = await test.host.engine.schedules();
    const context = { actor: test.actor, depth: 0, local: true };
    const webhook = { url: "https://example.org/", secret: "correct horse" };
    const { scheduleSpecSchema } = await import("../../contract/schedules.js");
    const spec = scheduleSpecSchema.parse({ ...nightly, notify: { webhook } });
    expect(await schedules.put(context, spec)).toBe("created");
    expect(await schedules.put(context, spec)).toBe("unchanged");
    expect(await schedules.put(context, { ...spec, paused: true })).toBe("updated");
    expect(await schedules.put(context, { ...spec, retries: 1, paused: true })).toBe("updated");
    expect(await schedules.put(context, { ...spec, retries: 1, paused: true })).toBe("unchanged");
  });
});
