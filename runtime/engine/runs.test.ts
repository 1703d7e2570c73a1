import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import { codeOf } from "../../test/support/error-code.js";
import type { RunEvent } from "../contract/runs.js";

let test: TestHost;

beforeEach(async () => {
  test = await openTestHost();
});

afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const HELLO = `
import { args, input } from "runtime";
console.log("hello", args[0], input?.n);
console.error("and stderr");
`;

async function eventsOf(stream: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe("a run", () => {
  it("goes on without its caller, and is recorded from start to end", async () => {
    const { local } = test;
    const started = await local.runs.start({ source: HELLO, args: ["you"], input: { n: 1 } });
    expect(started).toMatchObject({ status: "running", trigger: { kind: "api" }, args: ["you"] });
    const ended = await local.runs.wait({ run: started.id });
    expect(ended).toMatchObject({
      id: started.id,
      status: "succeeded",
      exitCode: 0,
      script: { filename: "script.ts", language: "typescript" },
      actor: { id: test.actor.id },
      binding: "in-process",
      input: { n: 1 },
      limits: { timeoutMs: 30_000 },
      limitsHit: [],
      calls: 0,
      outputBytes: 23,
    });
    const events = await eventsOf(await local.runs.follow({ run: started.id }));
    expect(events).toMatchObject([
      { type: "stdout", text: "hello you 1\n" },
      { type: "stderr", text: "and stderr\n" },
      { type: "end", run: { status: "succeeded" } },
    ]);
    const { items } = await local.runs.list({});
    expect(items.map(({ id }) => id)).toEqual([started.id]);
    expect(await local.runs.get({ run: started.id })).toEqual(ended);
  });

  it("is followed while it prints, from any entry on", async () => {
    const { local } = test;
    const source = `
      import { sleep } from "runtime";
      for (let i = 0; i < 3; i++) { console.log("line " + i); sleep(0.05); }`;
    const { id } = await local.runs.start({ source });
    const seen: RunEvent[] = [];
    for await (const event of await local.runs.follow({ run: id })) {
      seen.push(event);
      if (event.type === "stdout") {
        expect((await local.runs.get({ run: id })).status).toBe("running");
      }
    }
    expect(seen.map((event) => ("text" in event ? event.text : event.type))).toEqual([
      "line 0\n",
      "line 1\n",
      "line 2\n",
      "end",
    ]);
    const later = await eventsOf(await local.runs.follow({ run: id, after: seen[1]?.seq ?? 0 }));
    expect(later).toEqual(seen.slice(2));
  });

  it("tells its calls, with their outcome and without their inputs", async () => {
    const { local } = test;
    const source = `
      import * as spaces from "spaces";
      spaces.list();
      try { spaces.start("nobody"); } catch {}
      spaces.list();`;
    const { id } = await local.runs.start({ source });
    expect(await local.runs.wait({ run: id })).toMatchObject({ status: "succeeded", calls: 3 });
    const { items } = await local.runs.calls({ run: id });
    expect(items).toMatchObject([
      { seq: 1, procedure: "spaces.list", outcome: "ok" },
      { seq: 2, procedure: "spaces.start", outcome: "SPACE_NOT_FOUND" },
      { seq: 3, procedure: "spaces.list", outcome: "ok" },
    ]);
    expect(items[0]?.inputDigest).toBe(items[2]?.inputDigest);
    expect(items[0]?.inputDigest).not.toBe(items[1]?.inputDigest);
    const page = await local.runs.calls({ run: id, limit: 2 });
    expect(page.items).toEqual(items.slice(0, 2));
    expect(await local.runs.calls({ run: id, cursor: page.nextCursor })).toEqual({
      items: items.slice(2),
    });
  });

  it("is cancelled, also by another engine on the same data directory", async () => {
    const { local } = test;
    const source = `import { sleep } from "runtime"; console.log("up"); sleep(60);`;
    const { id } = await local.runs.start({ source });
    const cancelled = await local.runs.cancel({ run: id });
    expect(cancelled).toMatchObject({ status: "cancelled", error: { code: "CANCELLED" } });
    expect(await local.runs.cancel({ run: id })).toEqual(cancelled);
  });

  it("ends with its engine", async () => {
    const source = `import { sleep } from "runtime"; console.log("up"); sleep(60);`;
    const other = await test.openAnother();
    const client = other.clientFor({ actor: test.actor, depth: 0, local: true });
    const { id } = await client.runs.start({ source });
    await other[Symbol.asyncDispose]();
    expect(await test.local.runs.get({ run: id })).toMatchObject({ status: "cancelled" });
  });

  it("is nobody's but its owner's", async () => {
    const { id } = await test.local.runs.start({ source: "1" });
    await test.local.runs.wait({ run: id });
    const other = await test.as(await test.addUser("eve", ["ExecuteScripts"]));
    for (const name of ["get", "calls", "wait", "cancel", "rerun", "delete", "follow"] as const) {
      expect(await codeOf(other.runs[name]({ run: id })), name).toBe("RUN_NOT_FOUND");
    }
    expect((await other.runs.list({})).items).toEqual([]);
    expect(await codeOf(other.runs.list({ all: true }))).toBe("PERMISSION_DENIED");
  });

  it("is written where only its owner can read it", async () => {
    const { id } = await test.local.runs.start({ source: "1" });
    await test.local.runs.wait({ run: id });
    await test.local.runs.list({});
    const journal = join(test.dataDir, "runs", "kept", `${id}.jsonl`);
    expect(statSync(journal).mode & 0o777).toBe(0o600);
    expect(statSync(join(test.dataDir, "runs")).mode & 0o777).toBe(0o700);
    expect(readFileSync(journal, "utf8").trimEnd().split("\n").length).toBe(2);
    expect(existsSync(join(test.dataDir, "runs", `${id}.jsonl`))).toBe(false);
  });
});
