/**
 * What the record of a run says after its process was killed with SIGKILL, at 100 random points: the
 * truth. What was seen of its output is kept, each call is done, not done or said to be unknown, and
 * nothing of the run lives on.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openInProcess } from "../../runtime/bindings/in-process.js";
import type { Client } from "../../runtime/contract/contract.js";
import type { Run, RunEvent } from "../../runtime/contract/runs.js";
import { CliHome, drivers } from "../support/cli.js";

const SEED = Date.now();
const AT_ONCE = 5;
/** Milliseconds after its first output at which a run is killed at the latest; some end before. */
const LATEST_KILL_MS = 900;
const KILLS: Readonly<Record<string, number>> = { virtual: 50, bubblewrap: 40, docker: 10 };

/**
 * Makes calls that leave a trace each, of a command that goes on for a while after it. Before each
 * it says so, and when the answer has come it says that too.
 */
const SCRIPT = `
  import * as spaces from "spaces";
  import { args } from "runtime";
  const [mark] = args;
  console.log("begun");
  for (let i = 1; i <= 12; i++) {
    const command = 'echo ' + i + ' >> ' + mark + '.log; sleep 0.04; : ' + mark;
    spaces.run("box", "sh", ["-c", command, mark]);
    console.log("did " + i);
    console.error("error output of " + i);
  }`;

/** Random numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Killed {
  readonly mark: string;
  readonly seen: string;
  readonly wasKilled: boolean;
}

describe.each(await drivers())("a run that is killed, on $driver", ({ driver, available }) => {
  describe.skipIf(!available)(`with seed ${SEED}`, () => {
    let cli: CliHome;
    let binding: Binding;
    let client: Client;
    let script: string;
    const kills: Killed[] = [];

    const killOne = async (mark: string, afterMs: number): Promise<Killed> => {
      const running = cli.start(["run", script, mark]);
      // What its worker thread prints comes within the same process: its record has begun by then.
      await running.printed("begun");
      await Promise.race([delay(afterMs), running.ended]);
      running.child.kill("SIGKILL");
      const { signal, stdout } = await running.ended;
      return { mark, seen: stdout, wasKilled: signal === "SIGKILL" };
    };

    const runOf = async (mark: string): Promise<Run> => {
      const { items } = await client.runs.list({ limit: 1000 });
      const run = items.find(({ args }) => args[0] === mark);
      if (run === undefined) throw new Error(`the run ${mark} has no record`);
      return run;
    };

    beforeAll(async () => {
      cli = await CliHome.make(driver);
      script = await cli.write("killed.js", SCRIPT);
      await cli.json(["create", "box", "--start"]);
      binding = await openInProcess({ dataDir: `${cli.home}/data`, driver });
      client = binding.client;
      const random = randomFrom(SEED);
      const marks = Array.from({ length: KILLS[driver] ?? 0 }, (_, i) => `mark-${i}-of-${driver}`);
      const worker = async (): Promise<void> => {
        for (let mark = marks.shift(); mark !== undefined; mark = marks.shift()) {
          kills.push(await killOne(mark, random() * LATEST_KILL_MS));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
    });
    afterAll(async () => {
      await binding[Symbol.asyncDispose]();
      await cli[Symbol.asyncDispose]();
    });

    it("has a true end", async () => {
      expect(kills.length).toBe(KILLS[driver]);
      for (const { mark, wasKilled } of kills) {
        const run = await runOf(mark);
        // The signal may come when the run has ended, and its process has not.
        const ends = wasKilled ? ["interrupted", "succeeded"] : ["succeeded"];
        expect(ends, mark).toContain(run.status);
        expect(run.endedAt, mark).toBeDefined();
      }
      const interrupted = await client.runs.list({ status: "interrupted", limit: 1000 });
      expect(interrupted.items.length).toBeGreaterThan(kills.length / 2);
      expect((await client.runs.list({ status: "running" })).items).toEqual([]);
    });

    it("keeps all of its output that anybody has seen", async () => {
      for (const { mark, seen } of kills) {
        const events: RunEvent[] = [];
        const { id } = await runOf(mark);
        for await (const event of await client.runs.follow({ run: id })) events.push(event);
        const kept = events.map((event) => (event.type === "stdout" ? event.text : "")).join("");
        expect(kept.startsWith(seen), `${mark}: ${JSON.stringify({ seen, kept })}`).toBe(true);
        expect(events.at(-1)?.type).toBe("end");
      }
    });

    it("knows which of its calls were done, and of which nobody knows", async () => {
      for (const { mark, seen } of kills) {
        const run = await runOf(mark);
        const { items } = await client.runs.calls({ run: run.id });
        const done = items.filter(({ outcome }) => outcome === "ok").length;
        const open = items.filter(({ outcome }) => outcome === "unknown");
        expect(done + open.length, mark).toBe(items.length);
        expect(open.length, mark).toBeLessThanOrEqual(1);
        expect(done, mark).toBeGreaterThanOrEqual(seen.split("did").length - 1);
        if (run.status === "interrupted") {
          expect(run.openCalls, mark).toEqual(open);
          expect(run.lastFinishedCall?.seq, mark).toBe(done === 0 ? undefined : done);
        }
        // What the calls did says the same.
        const { exists } = await client.files.exists({ space: "box", path: `${mark}.log` });
        const log = exists
          ? await client.files.read({ space: "box", path: `${mark}.log` })
          : undefined;
        const traces = log === undefined ? 0 : log.content.trimEnd().split("\n").length;
        expect(traces, mark).toBeGreaterThanOrEqual(done);
        expect(traces, mark).toBeLessThanOrEqual(done + open.length);
      }
    });

    it("leaves no process behind", async () => {
      const living = async (): Promise<string> => {
        const { stdout } = await client.processes.run({
          space: "box",
          command:
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'mark-[0-9]*-of' | sort -u",
        });
        return stdout;
      };
      // In a virtual space every process lives in the process that was killed.
      if (driver === "virtual") return;
      const command = "sleep 60; : mark-0-of-none";
      const { id } = await client.processes.start({ space: "box", command });
      await expect.poll(living, { timeout: 10_000 }).toBe("mark-0-of\n");
      await client.processes.kill({ space: "box", process: id });
      await expect.poll(living, { timeout: 10_000 }).toBe("");
    });
  });
});
