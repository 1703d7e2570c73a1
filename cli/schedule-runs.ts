/** `spaces schedules run|tick`: has jobs run that are asked for, or due. */
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Job, JobStatus } from "../runtime/contract/schedules.js";
import { EXIT } from "./exit-codes.js";
import { examples } from "./help.js";
import type { Session } from "./session.js";
import { whyOf } from "./show-schedule.js";
import { printable, took } from "./text.js";

/** Between two looks at a job that is waited for. */
const POLL_MS = 200;
/** Among the newest jobs the one that was just asked for is found. */
const NEWEST = 100;

const OPEN: ReadonlySet<JobStatus> = new Set(["pending", "running"]);
/** How a job ends that is nobody's fault: it had to give way, or was called off. */
const HARMLESS: ReadonlySet<JobStatus> = new Set(["succeeded", "skipped", "missed", "cancelled"]);

interface RunOptions {
  readonly wait?: boolean;
  readonly follow?: boolean;
}

export function defineScheduleRuns(schedules: Command, session: Session): void {
  const run = schedules
    .command("run")
    .description("Have a job of a schedule run now, also of one that is paused.")
    .argument("<schedule>")
    .option("--wait", "wait for its end; exit 1 unless it succeeds")
    .option("--follow", "as --wait, and show what the script prints")
    .action(async (schedule: string, options: RunOptions) => {
      const { signal, output } = session;
      const client = await session.client();
      const asked = await client.schedules.run({ schedule }, { signal });
      if (options.wait !== true && options.follow !== true) {
        output.note("`spaces serve` runs it, or the next `spaces schedules tick`.");
        output.result(asked, () => `${asked.id}\n`);
        return;
      }
      const job = await endOf(session, client, asked, options.follow === true);
      if (output.isJson) output.json(job);
      report(session, job, options.follow);
      session.exitCode = job.status === "succeeded" ? EXIT.ok : EXIT.failure;
    });
  examples(run, "schedules run nightly", "schedules run nightly --follow");

  const tick = schedules
    .command("tick")
    .summary("run the jobs that are due, and wait for their end")
    .description(
      "Run your jobs that are due, and wait for their end: for cron, where no `spaces serve` runs. Prints nothing when nothing is due; exit 1 when a job failed.",
    )
    .action(async () => {
      const client = await session.client();
      const done = await client.schedules.tick({}, { signal: session.signal });
      if (session.output.isJson) session.output.json(done);
      for (const job of done.items) report(session, job);
      const failed = done.items.some(({ status }) => !HARMLESS.has(status) && !OPEN.has(status));
      session.exitCode = failed ? EXIT.failure : EXIT.ok;
    });
  examples(tick, "schedules tick", "schedules tick --quiet");
}

/** Tells how a job ended: what failed always, what went well unless it is to be quiet. */
function report({ output }: Session, job: Job, follows = false): void {
  const { schedule, status, startedAt, endedAt } = job;
  const time =
    startedAt === undefined || endedAt === undefined
      ? ""
      : ` after ${took(Date.parse(endedAt) - Date.parse(startedAt))}`;
  const why = whyOf(job);
  const line = `${schedule}: ${status}${time}${why === "" ? "" : `: ${printable(why)}`}`;
  if (HARMLESS.has(status)) output.note(line);
  else if (!output.isJson) {
    output.error(`${line}\n`);
    if (job.run !== undefined && !follows) output.note(`Look at \`spaces runs logs ${job.run}\`.`);
  }
}

/** Waits for the end of a job. Where no server is, this process runs it. */
async function endOf(session: Session, client: Client, asked: Job, follows: boolean): Promise<Job> {
  const { signal } = session;
  const { schedule } = asked;
  const { kind } = await session.binding();
  const over = new AbortController();
  const work =
    kind === "in-process" ? keepRunning(client, schedule, over.signal, signal) : undefined;
  // What it fails with is thrown where it is awaited.
  work?.catch(() => undefined);
  try {
    const shown = new Set<string>();
    for (;;) {
      const job = await find(client, asked, signal);
      if (follows && job.run !== undefined && !shown.has(job.run)) {
        for (const run of await runsOf(client, job, signal)) {
          if (!shown.has(run)) await show(session, client, run);
          shown.add(run);
        }
        shown.add(job.run);
      } else if (OPEN.has(job.status)) {
        await Promise.race([pause(POLL_MS, undefined, { signal }), ...(work ? [work] : [])]);
      } else {
        return job;
      }
    }
  } finally {
    over.abort();
    await work;
  }
}

/** Runs what is due of a schedule, and its further attempts, until nobody waits any more. */
async function keepRunning(
  client: Client,
  schedule: string,
  over: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    await client.schedules.tick({ schedule }, { signal });
    await pause(POLL_MS, undefined, { signal: over }).catch(() => undefined);
  }
}

async function find(client: Client, { id, schedule }: Job, signal: AbortSignal): Promise<Job> {
  const { items } = await client.schedules.history({ schedule, limit: NEWEST }, { signal });
  const job = items.find((item) => item.id === id);
  if (job !== undefined) return job;
  throw new SpacesError("SCHEDULE_NOT_FOUND", `The job ${id} of "${schedule}" is gone.`);
}

/** The runs of a job, one an attempt, in their order: several may have ended between two looks. */
async function runsOf(client: Client, job: Job, signal: AbortSignal): Promise<string[]> {
  const { items } = await client.runs.list({ schedule: job.schedule, limit: NEWEST }, { signal });
  return items
    .filter(({ trigger }) => trigger.job === job.id)
    .map(({ id }) => id)
    .reverse();
}

/** Shows what a run prints, until it ends. */
async function show({ output, signal }: Session, client: Client, run: string): Promise<void> {
  if (output.isJson) return;
  for await (const event of await client.runs.follow({ run }, { signal })) {
    if (event.type === "stdout") output.data(event.text);
    else if (event.type === "stderr") output.errorData(event.text);
  }
}
