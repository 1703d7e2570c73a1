import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import { codeOf } from "../../test/support/error-code.js";
import { newId } from "../contract/new-id.js";
import type { RunEvent } from "../contract/runs.js";
import { PROCESS_IDENTITY } from "../process-identity.js";

let test: TestHost;

beforeEach(async () => {
  test = await openTestHost();
});

afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const runsDir = (): string => join(test.dataDir, "runs");
const journalOf = (id: string): string => join(runsDir(), `${id}.jsonl`);

/** A holder that has surely ended. */
const DEAD = PROCESS_IDENTITY.replace(/\/\d+\/[^/]*$/, "/1/1");

interface Forged {
  readonly id?: string;
  readonly owner?: string;
  readonly holder?: string;
}

function startLine({ id = newId("run"), owner = test.actor.id, holder = DEAD }: Forged): string {
  return JSON.stringify({
    ...{ t: "start", v: 1, holder, altered: 0 },
    run: {
      id,
      script: { filename: "a.ts", language: "typescript", sha256: "0".repeat(64) },
      ...{ args: [], binding: "in-process", trigger: { kind: "cli" }, permissions: {}, limits: {} },
      actor: { id: owner, name: owner },
      startedAt: new Date().toISOString(),
    },
  });
}

const OUT = '{"t":"out","at":5,"s":"stdout","text":"kept\\n"}';
const call = (seq: number): string =>
  `{"t":"call","at":6,"seq":${seq},"procedure":"spaces.start","input":"ab"}`;
const done = (seq: number): string => `{"t":"done","at":9,"seq":${seq},"outcome":"ok","ms":3}`;

/** Writes a journal as another process may have left it. */
function leave(lines: readonly string[], { id = newId("run"), ...forged }: Forged = {}): string {
  mkdirSync(join(runsDir(), "kept"), { recursive: true });
  mkdirSync(join(runsDir(), "sources"), { recursive: true });
  writeFileSync(journalOf(id), [startLine({ id, ...forged }), ...lines].join("\n"));
  return id;
}

async function eventsOf(run: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of await test.local.runs.follow({ run })) events.push(event);
  return events;
}

describe("the journal of a process that died", () => {
  it("gets an end that tells what is known, behind a line that was cut off", async () => {
    const id = leave([OUT, call(1), done(1), call(2), '{"t":"done","at":20,"se']);
    expect(await test.local.runs.get({ run: id })).toMatchObject({
      status: "interrupted",
      calls: 2,
      lastFinishedCall: { seq: 1, outcome: "ok" },
      openCalls: [{ seq: 2, procedure: "spaces.start", outcome: "unknown" }],
    });
    expect(await eventsOf(id)).toMatchObject([{ text: "kept\n" }, { type: "end" }]);
    const { items } = await test.local.runs.calls({ run: id });
    expect(items.map(({ outcome }) => outcome)).toEqual(["ok", "unknown"]);
  });

  it("gets one end, however many engines look at once", async () => {
    const others = await Promise.all([1, 2, 3].map(() => test.openAnother()));
    const clients = [
      test.local,
      ...others.map((host) => host.clientFor({ actor: test.actor, depth: 0, local: true })),
    ];
    const ids = Array.from({ length: 20 }, () => leave([OUT, call(1)]));
    const lists = await Promise.all(clients.map((client) => client.runs.list({})));
    for (const { items } of lists) {
      expect(items.map(({ id }) => id)).toEqual([...ids].sort().reverse());
      expect(new Set(items.map(({ status }) => status))).toEqual(new Set(["interrupted"]));
    }
    for (const list of lists) expect(list).toEqual(lists[0]);
    expect(readdirSync(join(runsDir(), "kept")).length).toBe(20);
  });

  it("is taken for running while its process lives, and is cancelled by a file beside it", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    try {
      await once(child, "spawn");
      const started = readFileSync(`/proc/${child.pid}/stat`, "latin1")
        .split(") ")[1]
        ?.split(" ")[19];
      const holder = PROCESS_IDENTITY.replace(/\/\d+\/[^/]*$/, `/${child.pid}/${started}`);
      const id = leave([OUT, ""], { holder });
      expect((await test.local.runs.get({ run: id })).status).toBe("running");
      expect((await test.local.runs.list({ status: "running" })).items.length).toBe(1);
      expect(await codeOf(test.local.runs.delete({ run: id }))).toBe("CONFLICT");
      const waiting = test.local.runs.wait({ run: id, timeoutMs: 20_000 });
      const cancelling = test.local.runs.cancel({ run: id });
      await expect.poll(() => existsSync(join(runsDir(), `${id}.cancel`))).toBe(true);
      child.kill("SIGKILL");
      await once(child, "exit");
      expect((await waiting).status).toBe("interrupted");
      expect((await cancelling).status).toBe("interrupted");
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("of another host counts as dead only when it was silent for long", async () => {
    const holder = PROCESS_IDENTITY.replace(hostname(), "elsewhere");
    const id = leave([OUT, ""], { holder });
    expect((await test.local.runs.get({ run: id })).status).toBe("running");
    const before = new Date(Date.now() - 120_000);
    utimesSync(journalOf(id), before, before);
    expect((await test.local.runs.get({ run: id })).status).toBe("interrupted");
  });
});

describe("a forged journal", () => {
  it("is no run where it is not what its name says, and hurts no other", async () => {
    const good = leave([OUT]);
    leave([], { id: "run_00000000000000000000" });
    renameSync(journalOf("run_00000000000000000000"), journalOf("run_00000000000000000001"));
    writeFileSync(journalOf("run_00000000000000000002"), "\u0000\u0001garbage\n{}\n");
    writeFileSync(journalOf("run_00000000000000000003"), "");
    symlinkSync(journalOf(good), journalOf("run_00000000000000000004"));
    mkdirSync(journalOf("run_00000000000000000005"));
    writeFileSync(join(runsDir(), "run_..jsonl"), "");
    const { items } = await test.local.runs.list({});
    expect(items.map(({ id }) => id)).toEqual([good]);
    expect(await codeOf(test.local.runs.get({ run: "run_00000000000000000001" }))).toBe(
      "RUN_NOT_FOUND",
    );
  });

  it("cannot say more after its end, nor end calls that were never made", async () => {
    const end =
      '{"t":"end","status":"failed","endedAt":"2026-01-01T00:00:00.000Z","durationMs":1,"exitCode":2,"limitsHit":[],"calls":0}';
    const id = leave([done(7), end, end.replace("failed", "succeeded"), OUT, call(1), ""]);
    expect(await test.local.runs.get({ run: id })).toMatchObject({ status: "failed", calls: 0 });
    expect(await eventsOf(id)).toMatchObject([{ type: "end", run: { exitCode: 2 } }]);
    // Nor when it grows after the index has it.
    await test.local.runs.list({});
    appendFileSync(join(runsDir(), "kept", `${id}.jsonl`), `${OUT}\n`);
    expect(await eventsOf(id)).toMatchObject([{ type: "end" }]);
  });
});

describe("old records", () => {
  it("are deleted by age and by number, with the sources that nobody needs", async () => {
    await test[Symbol.asyncDispose]();
    test = await openTestHost({ runLimits: { keptPerOwner: 3, keptMs: 86_400_000 } });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { id } = await test.local.runs.start({ source: `console.log(${Math.max(i, 2)})` });
      await test.local.runs.wait({ run: id });
      ids.push(id);
    }
    const end = `{"t":"end","status":"failed","endedAt":"2020-01-01T00:00:00.000Z","durationMs":1,"limitsHit":[],"calls":0}`;
    const old = leave([end, ""]);
    const sources = join(runsDir(), "sources");
    expect(readdirSync(sources).length).toBe(3);
    const before = new Date(Date.now() - 7_200_000);
    for (const name of readdirSync(sources)) utimesSync(join(sources, name), before, before);
    await test.host.engine.runRetention.sweep();
    const { items } = await test.local.runs.list({});
    expect(items.map(({ id }) => id)).toEqual(ids.slice(2).reverse());
    expect(existsSync(join(runsDir(), "kept", `${old}.jsonl`))).toBe(false);
    expect(readdirSync(join(runsDir(), "kept")).length).toBe(3);
    expect(readdirSync(sources).length).toBe(3);
    for (const id of ids.slice(3)) await test.local.runs.delete({ run: id });
    await test.host.engine.runRetention.sweep();
    expect(readdirSync(sources).length).toBe(1);
  });

  it("come back into an index that has lost them", async () => {
    const { id } = await test.local.runs.start({ source: "1" });
    await test.local.runs.wait({ run: id });
    await test.local.runs.list({});
    await test.host.engine.parts.store.deleteFrom("runs").execute();
    await test.host.engine.runRetention.sweep();
    expect((await test.local.runs.list({})).items.map((run) => run.id)).toEqual([id]);
  });
});

describe("a run that is run again", () => {
  it("runs the source as it was then, with the same arguments and limits", async () => {
    const { local } = test;
    await local.scripts.save({
      script: "again",
      source: 'import { args } from "runtime"; console.log("old", ...args);',
    });
    const { run } = await local.scripts.run({ script: "again", args: ["a"], timeoutMs: 1234 });
    await local.scripts.save({ script: "again", source: "throw new Error('new')" });
    const again = await local.runs.rerun({ run });
    expect(again).toMatchObject({
      args: ["a"],
      limits: { timeoutMs: 1234 },
      trigger: { rerunOf: run },
    });
    const ended = await local.runs.wait({ run: again.id });
    expect(ended).toMatchObject({ status: "succeeded", script: { name: "again", version: 1 } });
    expect(await eventsOf(again.id)).toMatchObject([{ text: "old a\n" }, { type: "end" }]);
  });

  it("is refused where its source was changed or has gone, or its input held a secret", async () => {
    const { local } = test;
    const { id } = await local.runs.start({ source: "1" });
    const { script } = await local.runs.wait({ run: id });
    const source = join(runsDir(), "sources", script.sha256);
    writeFileSync(source, "console.log('another')");
    expect(await codeOf(local.runs.rerun({ run: id }))).toBe("UNSUPPORTED");
    const altered = leave([""]);
    const text = readFileSync(journalOf(altered), "utf8");
    writeFileSync(journalOf(altered), text.replace('"altered":0', '"altered":1'));
    expect(await codeOf(local.runs.rerun({ run: altered }))).toBe("UNSUPPORTED");
  });

  it("gets the network and the environment only for who is on the machine", async () => {
    const user = await test.as(await test.addUser("eve", ["ExecuteScripts"]));
    const { id: owner } = (await user.runs.start({ source: "1" })).actor;
    const id = leave([""], { owner });
    const text = readFileSync(journalOf(id), "utf8");
    writeFileSync(journalOf(id), text.replace('"permissions":{}', '"permissions":{"net":true}'));
    expect(await codeOf(user.runs.rerun({ run: id }))).toBe("PERMISSION_DENIED");
  });
});

describe("runs that go on without their caller", () => {
  const SLEEP = 'import { sleep } from "runtime"; sleep(60);';

  it("are bounded for each actor", async () => {
    await test[Symbol.asyncDispose]();
    test = await openTestHost({ runLimits: { detachedPerActor: 2 } });
    const other = await test.as(await test.addUser("ann", ["ExecuteScripts"]));
    const starts = await Promise.all(
      [1, 2, 3].map(() => codeOf(test.local.runs.start({ source: SLEEP }))),
    );
    expect(starts.sort()).toEqual(["LIMIT_EXCEEDED", "none", "none"]);
    expect(await codeOf(other.runs.start({ source: SLEEP }))).toBe("none");
    for (const { id } of (await test.local.runs.list({})).items)
      await test.local.runs.cancel({ run: id });
    expect(await codeOf(test.local.runs.start({ source: "1" }))).toBe("none");
  });

  it("end when the token that they were started with is revoked", async () => {
    const user = await test.as(await test.addUser("bob", ["ExecuteScripts"]));
    const { id, actor } = await user.runs.start({ source: SLEEP });
    for (const token of (await test.local.tokens.list({ user: actor.id })).items) {
      await test.local.tokens.revoke({ token: token.id });
    }
    const status = async () =>
      (await test.local.runs.list({ all: true })).items.find((run) => run.id === id)?.status;
    await expect.poll(status, { timeout: 10_000 }).toBe("cancelled");
  });
});
