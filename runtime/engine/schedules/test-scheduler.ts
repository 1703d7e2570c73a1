/** A scheduler on a clock that stands still, with scripts that end when a test says so. */
import { setImmediate as turn } from "node:timers/promises";
import { openTestHost, type TestHost } from "../../../test/support/engine-host.js";
import type { Actor } from "../../contract/permissions.js";
import { type Job, type ScheduleSpec, scheduleSpecSchema } from "../../contract/schedules.js";
import type { EndedJob } from "./open-jobs.js";
import { Scheduler, type SchedulerOptions } from "./scheduler.js";
import { Schedules } from "./schedules.js";
import { TestClock } from "./test-clock.js";
import { type StartedScript, TestScripts } from "./test-scripts.js";

/** A Sunday. */
export const START = Date.UTC(2026, 1, 1);

export class TestScheduler implements AsyncDisposable {
  readonly host: TestHost;
  readonly clock = new TestClock(START);
  readonly scripts = new TestScripts();
  readonly schedules: Schedules;
  readonly troubles: string[] = [];
  readonly ended: EndedJob[] = [];
  readonly #schedulers: Scheduler[] = [];

  private constructor(host: TestHost) {
    this.host = host;
    this.schedules = new Schedules(
      { parts: host.host.engine.parts, scripts: this.scripts },
      this.clock,
    );
  }

  static async open(): Promise<TestScheduler> {
    const test = new TestScheduler(await openTestHost());
    await test.host.local.scripts.save({ script: "backup", source: "1" });
    return test;
  }

  get store() {
    return this.host.host.engine.parts.store;
  }

  /** One more scheduler on the same store. */
  scheduler(options: Partial<SchedulerOptions> = {}): Scheduler {
    const scheduler = new Scheduler({
      parts: this.host.host.engine.parts,
      scripts: this.scripts,
      clock: this.clock,
      events: { began: () => undefined, ended: (job) => this.ended.push(job) },
      onTrouble: (error, what) => this.troubles.push(`${what}: ${error}`),
      ...options,
    });
    this.#schedulers.push(scheduler);
    return scheduler;
  }

  context(actor: Actor = this.host.actor) {
    return { actor, depth: 0, local: false };
  }

  /** Adds a schedule that is due every hour, but for what is said otherwise. */
  async add(spec: Partial<ScheduleSpec> = {}, actor?: Actor) {
    const hourly = { name: "hourly", cron: "0 * * * *", script: "backup" };
    const whole = scheduleSpecSchema.parse({ ...hourly, ...spec });
    return await this.schedules.add(this.context(actor), whole);
  }

  /** Puts the clock forward without a look. */
  sleep(ms: number): void {
    this.clock.sleepUntil(this.clock.now() + ms);
  }

  /** Has schedulers look, one after the other, and lets everything that follows come to rest. */
  async look(...schedulers: readonly Scheduler[]): Promise<void> {
    for (const scheduler of schedulers) await scheduler.look();
    await this.rest();
  }

  async rest(): Promise<void> {
    for (let n = 0; n < 5; n++) await turn();
  }

  /** Ends the script that has run longest. */
  async end(exitCode = 0): Promise<StartedScript> {
    const [script] = this.scripts.running;
    if (script === undefined) throw new Error("no script runs");
    script.end(exitCode);
    await this.rest();
    return script;
  }

  /** The jobs of a schedule, the oldest first. */
  async jobs(name = "hourly", actor?: Actor): Promise<Job[]> {
    const { items } = await this.schedules.history(this.context(actor), name, { limit: 1_000 });
    return items.reverse();
  }

  async statuses(name = "hourly"): Promise<string[]> {
    return (await this.jobs(name)).map(({ status }) => status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const scheduler of this.#schedulers) {
      const drained = scheduler.drain(0);
      this.clock.pass(20_000);
      await drained;
    }
    await this.host[Symbol.asyncDispose]();
  }
}
