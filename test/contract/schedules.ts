/** The contract's schedules: what they must do on every binding and driver. Called by the suite. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";

interface SchedulesTraits {
  client(): Client;
  /** Creates a space under a fresh name. */
  make(state: "stopped" | "running"): Promise<string>;
}

type Spec = Parameters<Client["schedules"]["add"]>[0];

export function schedulesSuite({ client, make }: SchedulesTraits): void {
  describe("schedules", () => {
    let counter = 0;
    const add = (more: Partial<Spec> = {}) => {
      counter += 1;
      const least = { name: `sch${counter}`, cron: "0 3 1 1 *", script: "scheduled" };
      return client().schedules.add({ ...least, ...more });
    };
    const fails = async (code: ErrorCode, call: Promise<unknown>): Promise<void> => {
      await expect(call).rejects.toMatchObject({ code });
    };
    /** Runs what is due, and gives the newest job when it has ended. */
    const ended = async (schedule: string) => {
      await client().schedules.tick({ schedule });
      let newest: Awaited<ReturnType<Client["schedules"]["history"]>>["items"][number] | undefined;
      await expect
        .poll(async () => {
          [newest] = (await client().schedules.history({ schedule })).items;
          return newest?.status;
        })
        .not.toMatch(/pending|running/);
      return newest;
    };

    beforeAll(async () => {
      await client().scripts.save({
        script: "scheduled",
        source: `import { args, input } from "runtime";
                 if (args[0] === "fail") throw new Error("as it was told");
                 console.log(args.join(), JSON.stringify(input ?? null));`,
      });
    });

    it("are added with what was given, and defaults for the rest", async () => {
      const space = await make("stopped");
      const added = await add({
        timezone: "Europe/Berlin",
        space,
        args: ["a", "--b"],
        input: { deep: [1, null] },
        grant: ["UseSpaces"],
        notify: { webhook: { url: "https://example.org/hook", secret: "never shown again" } },
      });
      expect(added).toMatchObject({
        timezone: "Europe/Berlin",
        space,
        args: ["a", "--b"],
        input: { deep: [1, null] },
        grant: ["UseSpaces"],
        notify: { webhook: { url: "https://example.org/hook", signed: true } },
        overlap: "skip",
        missed: "once",
        missedWindowMs: 21_600_000,
        jitterMs: 0,
        timeoutMs: 3_600_000,
        retries: 0,
        retryDelayMs: 30_000,
        paused: false,
        failuresInARow: 0,
        problems: [],
      });
      expect(JSON.stringify(added)).not.toContain("never shown");
      expect(added.id).toMatch(/^sch_[0-9a-v]{20}$/);
      expect(new Date(added.nextDueAt ?? 0).toISOString()).toBe(added.nextDueAt);
      expect(await client().schedules.get({ schedule: added.name })).toEqual(added);
      expect((await client().schedules.list({})).items).toContainEqual(added);
      await client().schedules.remove({ schedule: added.name });
      await fails("SCHEDULE_NOT_FOUND", client().schedules.get({ schedule: added.name }));
    });

    it("refuse what cannot be", async () => {
      const { name } = await add();
      await fails("SCHEDULE_EXISTS", add({ name }));
      await fails("SCRIPT_NOT_FOUND", add({ script: "nowhere" }));
      await fails("SCRIPT_NOT_FOUND", add({ scriptVersion: 99 }));
      await fails("SPACE_NOT_FOUND", add({ space: "nowhere" }));
      for (const wrong of [
        { name: "../x" },
        { cron: "every day" },
        { cron: "0 0 30 2 *" },
        { cron: "@reboot" },
        { timezone: "Mars/Olympus" },
        { timeoutMs: 0 },
        { jitterMs: -1 },
        { retries: 21 },
        { args: ["\0"] },
        { notify: { webhook: { url: "ftp://example.org" } } },
        { notify: { webhook: { url: "https://example.org", secret: "short" } } },
        { notify: { command: { command: "true" } } },
      ]) {
        await fails("INVALID_INPUT", add(wrong));
      }
      const misspelt = { description: "", crom: "@daily" };
      await fails("INVALID_INPUT", add(misspelt));
    });

    it("are changed in what is given; null takes a setting away", async () => {
      const { name } = await add({ input: 5, notify: { webhook: { url: "https://example.org" } } });
      const changed = await client().schedules.update({
        schedule: name,
        cron: "@hourly",
        input: null,
      });
      expect(changed).toMatchObject({ cron: "@hourly", input: null, script: "scheduled" });
      expect(changed.notify).not.toBeNull();
      const cleared = await client().schedules.update({ schedule: name, notify: null });
      expect(cleared).toMatchObject({ cron: "@hourly", notify: null });
      await fails("INVALID_INPUT", client().schedules.update({ schedule: name, cron: "never" }));
      await fails(
        "SCHEDULE_NOT_FOUND",
        client().schedules.update({ schedule: "nope", cron: "@daily" }),
      );
    });

    it("are paused and resumed", async () => {
      const { name } = await add({ paused: true });
      expect((await client().schedules.get({ schedule: name })).nextDueAt).toBeUndefined();
      const resumed = await client().schedules.resume({ schedule: name });
      expect(resumed).toMatchObject({ paused: false, nextDueAt: expect.any(String) });
      const paused = await client().schedules.pause({ schedule: name });
      expect(paused.nextDueAt).toBeUndefined();
      expect(paused.paused).toBe(true);
    });

    it("run when they are asked to, and remember how it went", async () => {
      const { name } = await add({ paused: true, args: ["x", "y"], input: { n: 1 } });
      const asked = await client().schedules.run({ schedule: name });
      expect(asked).toMatchObject({ schedule: name, trigger: "manual", status: "pending" });
      const job = await ended(name);
      expect(job).toMatchObject({ id: asked.id, status: "succeeded", attempts: 1, exitCode: 0 });
      const run = await client().runs.get({ run: job?.run ?? "" });
      expect(run).toMatchObject({
        status: "succeeded",
        args: ["x", "y"],
        trigger: { kind: "schedule", schedule: name, job: asked.id, attempt: 1 },
      });
      expect((await client().schedules.get({ schedule: name })).lastJob).toEqual(job);
    });

    it("count what failed until something succeeds", async () => {
      const { name } = await add({ paused: true, args: ["fail"] });
      await client().schedules.run({ schedule: name });
      expect(await ended(name)).toMatchObject({
        status: "failed",
        error: { code: "SCRIPT_FAILED", message: expect.stringContaining("as it was told") },
      });
      await client().schedules.run({ schedule: name });
      await ended(name);
      expect((await client().schedules.get({ schedule: name })).failuresInARow).toBe(2);
      await client().schedules.update({ schedule: name, args: [] });
      await client().schedules.run({ schedule: name });
      await ended(name);
      expect((await client().schedules.get({ schedule: name })).failuresInARow).toBe(0);
      const { items, nextCursor } = await client().schedules.history({ schedule: name, limit: 2 });
      expect(items.map(({ status }) => status)).toEqual(["succeeded", "failed"]);
      const rest = await client().schedules.history({ schedule: name, cursor: nextCursor });
      expect(rest.items.map(({ status }) => status)).toEqual(["failed"]);
      const failed = await client().schedules.history({ schedule: name, status: "failed" });
      expect(failed.items).toHaveLength(2);
    });

    it("are applied from YAML, all of them or none", async () => {
      const yaml = (cron: string, more = "") =>
        `name: apply-a\ncron: "${cron}"\nscript: scheduled\nwindow: 1d\njitter: 5m\n` +
        `---\nname: apply-b\ncron: "@daily"\nscript: scheduled\n${more}`;
      const apply = (source: string) => client().schedules.apply({ source });
      const results = async (source: string) =>
        (await apply(source)).items.map(({ result }) => result);
      expect(await results(yaml("@daily"))).toEqual(["created", "created"]);
      expect(await results(yaml("@daily"))).toEqual(["unchanged", "unchanged"]);
      await client().schedules.pause({ schedule: "apply-a" });
      expect(await results(yaml("@hourly"))).toEqual(["updated", "unchanged"]);
      expect(await client().schedules.get({ schedule: "apply-a" })).toMatchObject({
        ...{ paused: true, cron: "@hourly", missedWindowMs: 86_400_000, jitterMs: 300_000 },
      });
      for (const [code, source, position] of [
        ["SCRIPT_NOT_FOUND", yaml("@weekly").replace(/scheduled\n$/, "nowhere\n"), "9:9: script: "],
        ["SPACE_NOT_FOUND", yaml("@weekly", "space: nowhere\n"), "10:8: space: "],
        ["INVALID_INPUT", yaml("@weekly", "tz: Mars/Olympus\n"), "10:5: tz: "],
        ["INVALID_INPUT", yaml("@weekly", "crom: x\n"), "10:7: crom: "],
        [
          "INVALID_INPUT",
          yaml("@weekly", "notify: { command: { command: x } }\n"),
          "10:9: notify: ",
        ],
        ["INVALID_INPUT", yaml("0 0 30 2 *"), "2:7: cron: "],
      ] as const) {
        await expect(apply(source)).rejects.toMatchObject({
          code,
          message: expect.stringContaining(`schedules.yaml:${position}`),
        });
      }
      expect((await client().schedules.get({ schedule: "apply-a" })).cron).toBe("@hourly");
    });

    it("are foretold, also where clocks change", async () => {
      const foretell = async (cron: string, timezone: string) =>
        (await client().schedules.preview({ cron, timezone, count: 3 })).times;
      const berlin = await foretell("0 12 * * *", "Europe/Berlin");
      for (const time of berlin) {
        const at = new Intl.DateTimeFormat("en", {
          ...{ timeZone: "Europe/Berlin", hour: "numeric", hour12: false },
        }).format(new Date(time));
        expect(at).toBe("12");
      }
      expect(await foretell("0 0 29 2 *", "UTC")).toHaveLength(3);
      await fails("INVALID_INPUT", foretell("0 0 30 2 *", "UTC"));
      await fails("INVALID_INPUT", client().schedules.preview({ cron: "@daily", count: 101 }));
    });
  });
}
