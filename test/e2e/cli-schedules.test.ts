/** Schedules on the command line: made, shown, changed, run and removed, with a wrong input each. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Job, Schedule } from "../../runtime/contract/schedules.js";
import { openStore } from "../../runtime/store/store.js";
import { CliHome } from "../support/cli.js";

let home: CliHome;
beforeAll(async () => {
  home = await CliHome.make();
  await save("backup", 'import { args } from "runtime"; console.log("backs up", args.join());');
  await save("broken", 'console.error("on fire"); throw new Error("no room");');
});
afterAll(() => home[Symbol.asyncDispose]());

async function save(name: string, source: string): Promise<void> {
  await home.json(["scripts", "save", await home.write(`${name}.ts`, source)]);
}

const add = (name: string, ...more: string[]): Promise<Schedule> =>
  home.json(["schedules", "add", name, "--cron", "@yearly", "--script", "backup", ...more]);
const show = (name: string): Promise<Schedule> => home.json(["schedules", "show", name]);

describe("spaces schedules add", () => {
  it("takes every setting, with durations as people write them", async () => {
    await home.json(["create", "db"]);
    const secret = await home.write("secret.txt", "a secret of the receiver\n");
    const added = await add(
      "full",
      ...["--tz", "Europe/Berlin", "--space", "db", "--arg", "all", "--arg", "--verbose"],
      ...["--input", '{"keep":7}', "--script-version", "1", "--overlap", "queue"],
      ...["--missed", "all", "--window", "1d", "--jitter", "5m", "--timeout", "2h"],
      ...["--retries", "3", "--retry-delay", "1m", "--grant", "UseSpaces,runcommands"],
      ...["--notify-url", "https://example.org/hook", "--notify-secret-file", secret],
      ...["--notify-command", "mail root", "--description", "All of it", "--paused"],
    );
    expect(added).toMatchObject({
      ...{ timezone: "Europe/Berlin", space: "db", args: ["all", "--verbose"], input: { keep: 7 } },
      ...{ scriptVersion: 1, overlap: "queue", missed: "all", missedWindowMs: 86_400_000 },
      ...{ jitterMs: 300_000, timeoutMs: 7_200_000, retries: 3, retryDelayMs: 60_000 },
      grant: ["UseSpaces", "RunCommands"],
      notify: {
        webhook: { url: "https://example.org/hook", signed: true },
        command: { command: "mail root" },
      },
      ...{ description: "All of it", paused: true },
    });
    const shown = await home.run(["schedules", "show", "full"]);
    for (const line of [
      /^state: +paused$/m,
      /^argument: +--verbose$/m,
      /^missed: +all \(window: 1d\)$/m,
      /^retries: +3 \(from 1m\)$/m,
      /^webhook: +https:\/\/example.org\/hook \(signed\)$/m,
    ]) {
      expect(shown.stdout).toMatch(line);
    }
    expect(shown.stdout).not.toContain("a secret");
  });

  it("means the time zone of this machine unless told", async () => {
    const args = ["schedules", "add", "local", "--cron", "0 12 * * *", "--script", "backup"];
    const added = await home.run(args, { env: { TZ: "Asia/Tokyo" } });
    expect(added.stderr).toMatch(/^Added local: next due \w+ [\d-]+ 12:00:00 \+09:00\.\n$/);
    expect((await show("local")).timezone).toBe("Asia/Tokyo");
    const help = await home.run(["schedules", "add", "--help"]);
    expect(help.stdout).toMatch(/--tz <zone> .*\(default: this\s+machine's\)/);
  });

  it("takes the secret from the environment or standard input", async () => {
    const url = ["--notify-url", "https://example.org/hook"];
    const args = ["--cron", "@yearly", "--script", "backup", ...url];
    const made = await home.run(
      ["schedules", "add", "by-env", ...args, "--notify-secret-env", "HOOK_SECRET"],
      { env: { HOOK_SECRET: "from the environment" } },
    );
    expect(made.code).toBe(0);
    const piped = ["schedules", "add", "by-stdin", ...args, "--notify-secret-file", "-"];
    expect((await home.run(piped, { input: "from standard input\n" })).code).toBe(0);
    for (const name of ["by-env", "by-stdin"]) {
      expect((await show(name)).notify?.webhook).toEqual({ url: url[1], signed: true });
    }
  });

  const least = ["--cron", "@daily", "--script", "backup"];
  it.each([
    [["x", "--script", "backup"], "--cron"],
    [["x", "--cron", "@daily"], "--script"],
    [["x", "--cron", "every day", "--script", "backup"], "has 2 fields"],
    [["x", ...least, "--tz", "Mars/Olympus"], "no time zone"],
    [["x", ...least, "--script", "gone"], "SCRIPT_NOT_FOUND"],
    [["x", ...least, "--space", "gone"], "SPACE_NOT_FOUND"],
    [["X", ...least], "must start with a lower-case letter"],
    [["full", ...least], "SCHEDULE_EXISTS"],
    [["x", ...least, "--overlap", "stack"], "Allowed choices are skip, queue, cancel, allow"],
    [["x", ...least, "--window", "soon"], "--window"],
    [["x", ...least, "--jitter", "2d"], "--jitter"],
    [["x", ...least, "--timeout", "0s"], "--timeout"],
    [["x", ...least, "--retries", "-1"], "--retries"],
    [["x", ...least, "--retries", "21"], "retries"],
    [["x", ...least, "--input", "{"], "--input is not JSON"],
    [["x", ...least, "--grant", "Everything"], "The permissions are"],
    [["x", ...least, "--notify-url", "ftp://example.org"], "must be an http or https URL"],
    [["x", ...least, "--notify-secret-env", "NOWHERE"], "NOWHERE"],
    [["x", ...least, "--notify-secret-file", "nowhere/secret.txt"], "There is no file"],
    [["x", ...least, "--notify-secret-file", "package.json"], "needs --notify-url"],
    [["x", ...least, "--notify-command", "true"], "needs a space"],
    [["x", ...least, "--notify-space", "db"], "needs --notify-command"],
  ])("refuses %j", async (args, said) => {
    const result = await home.run(["schedules", "add", ...args]);
    expect(result.code).not.toBe(0);
    expect(result.stdout).toBe("");
    expect(result.stderr).toContain(said);
  });
});

describe("spaces schedules apply", () => {
  const yaml = (script: string): string =>
    `name: one\ncron: "@daily"\nscript: backup\n---\nname: two\ncron: "@hourly"\nscript: ${script}\n`;

  it("adds and changes what a file holds", async () => {
    const file = await home.write("schedules.yaml", yaml("backup"));
    const first = await home.run(["schedules", "apply", file]);
    expect(first).toMatchObject({
      ...{ code: 0, stdout: "", stderr: "Schedule one: created.\nSchedule two: created.\n" },
    });
    const input = yaml("broken");
    const second = await home.run(["--json", "schedules", "apply", "-"], { input });
    expect(JSON.parse(second.stdout).items).toEqual([
      { name: "one", result: "unchanged" },
      { name: "two", result: "updated" },
    ]);
  });

  it("refuses all for one mistake, and names its place", async () => {
    const file = await home.write("wrong.yaml", yaml("gone").replace("@daily", "@weekly"));
    const result = await home.run(["schedules", "apply", file]);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain(`${file}:7:9: script: There is no script "gone". [SCRIPT_NOT_`);
    expect((await show("one")).cron).toBe("@daily");
    const missing = await home.run(["schedules", "apply", join(home.home, "none.yaml")]);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("There is no file") });
  });
});

describe("spaces schedules update", () => {
  it("changes what is given, keeps the rest, and takes away what is cleared", async () => {
    await add("changing", "--arg", "a", "--input", "1", "--notify-url", "https://example.org/a");
    const changed = await home.run(["schedules", "update", "changing", "--cron", "0 5 1 1 *"]);
    expect(changed.stderr).toMatch(/^Updated changing: next due /);
    expect(await show("changing")).toMatchObject({ cron: "0 5 1 1 *", args: ["a"], input: 1 });
    await home.json(["schedules", "update", "changing", "--clear", "args,input,notify"]);
    expect(await show("changing")).toMatchObject({ args: [], input: null, notify: null });
  });

  it("keeps a webhook and its secret where a command is added", async () => {
    const env = { HOOK_SECRET: "0123456789" };
    const url = ["--notify-url", "https://example.org/a", "--notify-secret-env", "HOOK_SECRET"];
    const args = ["--cron", "@yearly", "--script", "backup", "--space", "db", ...url];
    await home.json(["schedules", "add", "both", ...args], { env });
    await home.json(["schedules", "update", "both", "--notify-command", "cat"]);
    expect((await show("both")).notify).toEqual({
      webhook: { url: "https://example.org/a", signed: true },
      command: { command: "cat" },
    });
  });

  it.each([
    [["nowhere", "--cron", "@daily"], "SCHEDULE_NOT_FOUND"],
    [["changing", "--cron", "never"], "has 1 field"],
    [["changing", "--clear", "cron"], "is none of space, input"],
    [["changing", "--clear", "space", "--space", "db"], "--clear takes away what is given too"],
    [["changing", "--paused"], "unknown option '--paused'"],
  ])("refuses %j", async (args, said) => {
    const result = await home.run(["schedules", "update", ...args]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain(said);
  });
});

describe("spaces schedules list, pause, resume and remove", () => {
  it("shows what is due next, how the last job went, and what is wrong", async () => {
    await save("brief", "1");
    await add("orphan", "--script", "brief");
    await home.json(["scripts", "delete", "brief"]);
    const listed = await home.run(["schedules", "list"]);
    expect(listed.stdout).toMatch(/^NAME +CRON +NEXT +LAST +LAG +STATE$/m);
    expect(listed.stdout).toMatch(/^changing +0 5 1 1 \* \S+ +in \d+ \w+ +never +- +ok$/m);
    expect(listed.stdout).toMatch(/^full .* - +never +- +paused$/m);
    expect(listed.stdout).toMatch(/^orphan .* SCRIPT_NOT_FOUND$/m);
    expect(listed.stderr).toContain('orphan: There is no script "brief".\n');
  });

  it("pauses and resumes", async () => {
    const paused = await home.run(["schedules", "pause", "changing"]);
    expect(paused).toMatchObject({ code: 0, stdout: "", stderr: "changing: paused.\n" });
    expect(await home.json(["schedules", "resume", "changing"])).toMatchObject({ paused: false });
    for (const action of ["pause", "resume", "show", "history", "run"]) {
      const refused = await home.run(["schedules", action, "nowhere"]);
      expect(refused).toMatchObject({ code: 1, stdout: "" });
      expect(refused.stderr).toContain("SCHEDULE_NOT_FOUND");
    }
  });

  it("removes several, and reports those that are not there", async () => {
    const dry = await home.run(["schedules", "remove", "one", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stderr: "Would remove one.\n" });
    const removed = await home.run(["schedules", "remove", "one", "nowhere", "two"]);
    expect(removed.code).toBe(1);
    expect(removed.stderr).toMatch(/^Removed one\.\n.*SCHEDULE_NOT_FOUND[\s\S]*Removed two\.\n$/);
    expect((await home.run(["schedules", "remove", "nowhere", "--dry-run"])).code).toBe(1);
  });
});

describe("spaces schedules preview", () => {
  it("shows the times by the clocks of the zone", async () => {
    const args = ["schedules", "preview", "30 2 * * *", "--tz", "Asia/Kolkata", "--count", "2"];
    const shown = await home.run(args);
    expect(shown.stdout).toMatch(/^(\w{3} \d{4}-\d\d-\d\d 02:30:00 \+05:30 {2}in .*\n){2}$/);
    const { times } = await home.json<{ times: string[] }>(args);
    expect(times.every((time) => time.endsWith("T21:00:00.000Z"))).toBe(true);
  });

  it.each([
    [["0 0 30 2 *"], "never due"],
    [["@reboot"], "names no time"],
    [["@daily", "--tz", "Nowhere"], "no time zone"],
    [["@daily", "--count", "0"], "--count"],
  ])("refuses %j", async (args, said) => {
    const result = await home.run(["schedules", "preview", ...args]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(said);
  });
});

describe("spaces schedules run, tick and history", () => {
  it("queues a job and prints its id; tick runs it", async () => {
    await add("queued", "--paused", "--arg", "a");
    const asked = await home.run(["schedules", "run", "queued"]);
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^job_\w{20}\n$/) });
    expect(asked.stderr).toContain("spaces schedules tick");
    const ticked = await home.run(["schedules", "tick"]);
    expect(ticked).toMatchObject({ code: 0, stdout: "" });
    expect(ticked.stderr).toMatch(/^queued: succeeded after /);
    const { items } = await home.json<{ items: Job[] }>(["schedules", "history", "queued"]);
    expect(items).toMatchObject([{ id: asked.stdout.trim(), status: "succeeded", exitCode: 0 }]);
    const shown = await home.run(["schedules", "history", "queued"]);
    expect(shown.stdout).toMatch(/^DUE +STATUS[\s\S]* succeeded +manual +1 .* run_\w{20}/m);
    const none = await home.run(["schedules", "history", "queued", "--status", "failed"]);
    expect(none).toMatchObject({ code: 0, stdout: "", stderr: "There are no such jobs.\n" });
  });

  it("says nothing when nothing is due", async () => {
    expect(await home.run(["schedules", "tick"])).toEqual({
      ...{ code: 0, signal: undefined, stdout: "", stderr: "" },
    });
    expect(await home.json(["schedules", "tick"])).toEqual({ items: [] });
  });

  it("waits for the end, and shows what the script prints", async () => {
    const waited = await home.run(["schedules", "run", "queued", "--wait"]);
    expect(waited).toMatchObject({ code: 0, stdout: "" });
    expect(waited.stderr).toMatch(/^queued: succeeded after /);
    const followed = await home.run(["schedules", "run", "queued", "--follow"]);
    expect(followed).toMatchObject({ code: 0, stdout: "backs up a\n" });
    const asJson = await home.json<Job>(["schedules", "run", "queued", "--wait"]);
    expect(asJson).toMatchObject({ status: "succeeded", trigger: "manual" });
  });

  it("ends with 1 when a job failed", async () => {
    await add("failing", "--script", "broken");
    const followed = await home.run(["schedules", "run", "failing", "--follow"]);
    expect(followed).toMatchObject({ code: 1, stdout: "" });
    expect(followed.stderr).toMatch(/^on fire\n/);
    expect(followed.stderr).toMatch(/^failing: failed after .*no room/m);
    await home.run(["schedules", "run", "failing"]);
    const ticked = await home.run(["schedules", "tick", "--quiet"]);
    expect(ticked).toMatchObject({ code: 1, stdout: "" });
    expect(ticked.stderr).toMatch(/^failing: failed after .*no room.*\n$/);
    expect((await home.run(["schedules", "list"])).stdout).toMatch(/^failing .* failing \(2\)$/m);
  });

  it("tells with which exit code a job failed, and where its output is", async () => {
    const script = await home.write("leaves.ts", 'import { exit } from "runtime"; exit(3);');
    await home.json(["scripts", "save", script]);
    await home.json(["schedules", "add", "leaving", "--cron", "@yearly", "--script", "leaves"]);
    const waited = await home.run(["schedules", "run", "leaving", "--wait"]);
    expect(waited.code).toBe(1);
    expect(waited.stderr).toMatch(
      /^leaving: failed after [^:]*: exit code 3\nLook at `spaces runs logs run_\w{20}`\.\n$/,
    );
    const shown = await home.run(["schedules", "history", "leaving"]);
    expect(shown.stdout).toMatch(/^(?:just now|.* ago) +failed .* exit code 3$/m);
    await home.run(["schedules", "remove", "leaving"]);
  });

  it("waits for further attempts, and shows each", async () => {
    await add("retried", "--paused", "--script", "broken", "--retries", "1", "--retry-delay", "0");
    const followed = await home.run(["schedules", "run", "retried", "--follow"]);
    expect(followed.code).toBe(1);
    expect(followed.stderr).toMatch(/^on fire\non fire\nretried: failed after /);
    const { items } = await home.json<{ items: Job[] }>(["schedules", "history", "retried"]);
    expect(items[0]?.attempts).toBe(2);
  });

  it("interrupts the job that it runs itself when it is told to end", async () => {
    const source = 'import { sleep } from "runtime"; console.log("up"); sleep(60);';
    await save("endless", source);
    await add("ended", "--paused", "--script", "endless");
    const running = home.start(["schedules", "run", "ended", "--follow"]);
    await running.printed("up\n");
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    const { items } = await home.json<{ items: Job[] }>(["schedules", "history", "ended"]);
    expect(items[0]).toMatchObject({ status: "interrupted" });
  });

  it("runs no other schedule's jobs while it waits", async () => {
    await home.run(["schedules", "run", "failing"]);
    expect((await home.run(["schedules", "run", "queued", "--wait"])).code).toBe(0);
    const { items } = await home.json<{ items: Job[] }>(["schedules", "history", "failing"]);
    expect(items[0]?.status).toBe("pending");
    await home.run(["schedules", "tick"]);
  });
});

describe("the module schedules", () => {
  const everything = `
    import schedules, { preview, type ScheduleInfo } from "schedules";
    import { history, run } from "schedules/async";
    const added: ScheduleInfo = schedules.add("from-script", {
      cron: "0 3 1 1 *", tz: "Asia/Tokyo", script: "backup", args: ["a"], input: { b: 1 },
      window: 60, jitter: 0.5, timeout: 90, retries: 1, retry_delay: 5, paused: true,
      notify: { webhook: { url: "https://example.org/", secret: "0123456789" } },
    });
    console.log(added.tz, added.window, added.jitter, added.timeout, added.retry_delay);
    console.log(JSON.stringify(added.notify), added.paused, added.next_due_at);
    const changed = schedules.update("from-script", { cron: "@yearly", notify: null });
    console.log(changed.cron, changed.notify, schedules.get("from-script").args.join());
    console.log(schedules.resume("from-script").paused, schedules.pause("from-script").paused);
    const job = await run("from-script");
    console.log(job.status, (await history("from-script")).map(({ id }) => id === job.id).join());
    console.log(schedules.list().some(({ name }) => name === "from-script"));
    console.log(preview("@yearly", { tz: "UTC", count: 1 })[0]?.slice(4));
    for (const wrong of [
      () => schedules.add("from-script", { cron: "@daily", script: "backup" }),
      () => schedules.add("x", { cron: "never", script: "backup" }),
      () => schedules.add("x", { cron: "@daily", script: "gone" }),
      () => schedules.get("gone"),
    ]) {
      try { wrong(); } catch (error) { console.log(error.code); }
    }
    console.log(schedules.remove("from-script"));
  `;
  const printed = [
    "Asia/Tokyo 60 0.5 90 5",
    '{"webhook":{"url":"https://example.org/","signed":true}} true undefined',
    "@yearly null a",
    "false true",
    "pending true",
    "true",
    "-01-01T00:00:00.000Z",
    ...["SCHEDULE_EXISTS", "INVALID_INPUT", "SCRIPT_NOT_FOUND", "SCHEDULE_NOT_FOUND"],
    "true",
  ];

  it("does all that the command line does", async () => {
    expect(await home.lines(everything)).toEqual(printed);
  });

  it("can do no more than the script was granted", async () => {
    await save("scheduling", everything);
    const refused = await home.run(["scripts", "run", "scheduling", "--grant", "ExecuteScripts"]);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("ManageSchedules is needed");
    const grant = "ManageSchedules,ExecuteScripts";
    const granted = await home.run(["scripts", "run", "scheduling", "--grant", grant]);
    expect(granted.stdout.split("\n").slice(0, -1)).toEqual(printed);
  });
});

describe("spaces doctor", () => {
  it("finds schedules that fail, are late, or lack what they need", async () => {
    await add("overdue");
    const store = await openStore(join(home.home, "data"));
    await store
      .updateTable("schedules")
      .set({ next_due_ms: Date.now() - 120_000 })
      .where("name", "=", "overdue")
      .execute();
    await store.destroy();
    const found = await home.run(["doctor"]);
    expect(found.code).toBe(0);
    expect(found.stdout).toMatch(
      /^no {2}schedule overdue\n +It was due 2 minutes ago, and nothing has run it\.\n.*schedules tick/m,
    );
    expect((await home.run(["schedules", "list"])).stdout).toMatch(/^overdue .* late$/m);
    expect(found.stdout).toMatch(/^no {2}schedule failing\n +Its last 3 jobs failed: .*no room/m);
    expect(found.stdout).toMatch(/^no {2}schedule orphan\n +There is no script "brief"\.$/m);
    const { problems } = await home.json<{ problems: { what: string }[] }>(["doctor"]);
    expect(problems.map(({ what }) => what)).toContain("schedule orphan");
    for (const name of ["failing", "retried", "ended", "orphan", "overdue"])
      await home.run(["schedules", "remove", name]);
    expect((await home.run(["doctor"])).stdout).toMatch(/^ok {2}\d+ schedules$/m);
  });
});
