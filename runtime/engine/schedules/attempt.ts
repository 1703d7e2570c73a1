/** An attempt of a job that this process has claimed: from there to how it ended. */
import { SpacesError } from "../../contract/errors.js";
import type { Actor, Permission } from "../../contract/permissions.js";
import type { Run } from "../../contract/runs.js";
import type { JobStatus } from "../../contract/schedules.js";
import type { ScriptRun } from "../../contract/scripts.js";
import type { CallContext, EngineParts, ScriptRunOptions } from "../context.js";
import { hideHostPaths } from "../host-paths.js";
import { type Clock, pauseFor } from "./clock.js";
import { endAttempt, type Outcome } from "./job-ends.js";
import type { ClaimedJob } from "./open-jobs.js";
import { runnableActor } from "./runnable-actor.js";
import { scopeOf } from "./schedule-rows.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";

/** How long to wait before the store is written to again that could not be. */
const WRITE_AGAIN_MS = 1_000;

/** Starts stored scripts; the engine's scripts do. */
export interface ScriptStarts {
  start(
    context: CallContext,
    request: {
      readonly script: string;
      readonly version?: number | undefined;
      readonly input?: unknown;
      readonly space?: string | undefined;
      readonly args: readonly string[];
      readonly timeoutMs: number;
      readonly grant?: readonly Permission[] | undefined;
    },
    options: ScriptRunOptions,
  ): Promise<{
    readonly recorder: { readonly id: string; readonly run: Pick<Run, "error"> };
    readonly ended: Promise<ScriptRun>;
  }>;
}

interface AttemptParts {
  readonly parts: Pick<EngineParts, "store" | "dataDir">;
  readonly scripts: ScriptStarts;
  readonly clock: Clock;
  /** Told of what went wrong without a caller who could be told. */
  readonly onTrouble: (error: unknown, what: string) => void;
}

/** Why an attempt is ended from outside. */
export interface Stop {
  /** `lost`: the job is another process's by now, or is gone with its schedule. */
  readonly status: "cancelled" | "interrupted" | "lost";
  readonly reason: string;
}

export class Attempt {
  readonly claimed: ClaimedJob;
  readonly #parts: AttemptParts;
  readonly #spec: StoredSpec;
  readonly #abort = new AbortController();
  #stop: Stop | undefined;
  #actor: Actor | undefined;
  #isGivenUp = false;

  constructor(claimed: ClaimedJob, parts: AttemptParts) {
    this.claimed = claimed;
    this.#parts = parts;
    this.#spec = specOf(claimed.schedule);
  }

  /**
   * Runs the script and writes how that ended. Never rejects.
   * @returns the job's status; undefined where it was lost to another process, or removed
   */
  async run(): Promise<JobStatus | undefined> {
    const outcome = await this.#outcome();
    while (!this.#isGivenUp) {
      const { clock, onTrouble, parts } = this.#parts;
      try {
        return await endAttempt(parts.store, this.claimed, outcome, clock.now());
      } catch (error) {
        onTrouble(error, `the end of the job ${this.claimed.job.id} could not be written`);
      }
      await pauseFor(clock, WRITE_AGAIN_MS);
    }
    return undefined;
  }

  /** Ends the script. Only the first reason counts. */
  stop(stop: Stop): void {
    this.#stop ??= stop;
    this.#abort.abort(new SpacesError("CANCELLED", stop.reason));
  }

  /** Does not try any longer to write how it ended: the process is about to end. */
  giveUp(): void {
    this.#isGivenUp = true;
  }

  /** Stops the script where its schedule's owner may not do any more what it could at the start. */
  async checkOwner(): Promise<void> {
    const { schedule } = this.claimed;
    const began = this.#actor;
    if (began === undefined) return;
    const now = await runnableActor(this.#parts.parts.store, schedule.owner, scopeOf(schedule));
    if ("reason" in now) return this.stop({ status: "cancelled", reason: now.reason });
    const lost = [...began.permissions].find((held) => !now.actor.permissions.has(held));
    if (lost === undefined) return;
    const reason = `The schedule's owner has lost the permission ${lost}.`;
    this.stop({ status: "cancelled", reason });
  }

  async #outcome(): Promise<Outcome> {
    try {
      const found = await this.#findActor();
      if ("reason" in found) return { status: "skipped", reason: found.reason };
      this.#actor = found.actor;
      return this.#outcomeOf(await this.#runScript(found.actor));
    } catch (error) {
      return this.#failure(error);
    }
  }

  async #findActor(): ReturnType<typeof runnableActor> {
    const { owner } = this.claimed.schedule;
    return await runnableActor(this.#parts.parts.store, owner, scopeOf(this.claimed.schedule));
  }

  async #runScript(actor: Actor): Promise<ScriptRun> {
    const { script, scriptVersion, args, input, space, timeoutMs, grant } = this.#spec;
    const { job, schedule } = this.claimed;
    const granted = actor.scope === undefined ? {} : { granted: true };
    const { recorder, ended } = await this.#parts.scripts.start(
      { actor, depth: 0, local: false, ...granted },
      {
        ...{ script, args, timeoutMs, input: input ?? undefined, space: space ?? undefined },
        ...{ version: scriptVersion ?? undefined, grant: grant ?? undefined },
      },
      {
        signal: this.#abort.signal,
        trigger: {
          kind: "schedule",
          ...{ schedule: schedule.name, job: job.id, attempt: job.attempts },
          dueAt: new Date(job.due_ms).toISOString(),
        },
      },
    );
    await Promise.all([ended.catch(() => undefined), this.#noteRun(recorder.id)]);
    const { error: _, ...ending } = await ended;
    // The record's error has no secrets: the job's is kept too, and sent to who is notified.
    const { error } = recorder.run;
    return error === undefined ? ending : { ...ending, error };
  }

  /** So that the run is known also of a job whose process dies. */
  async #noteRun(run: string): Promise<void> {
    const { id, holder, attempts } = this.claimed.job;
    const written = this.#parts.parts.store
      .updateTable("jobs")
      .set({ run })
      .where("id", "=", id)
      .where("holder", "=", holder)
      .where("attempts", "=", attempts)
      .execute();
    await written.catch((error) => {
      this.#parts.onTrouble(error, `the run of the job ${id} could not be noted`);
    });
  }

  #outcomeOf({ run, exitCode, error }: ScriptRun): Outcome {
    if (error === undefined) {
      return { status: exitCode === 0 ? "succeeded" : "failed", run, exitCode };
    }
    const shown = hideHostPaths(error, this.#parts.parts.dataDir);
    return { ...this.#endedAs(shown.code), run, exitCode, error: shown as Outcome["error"] };
  }

  #failure(thrown: unknown): Outcome {
    const known = SpacesError.isInstance(thrown);
    const { id } = this.claimed.job;
    if (!known) this.#parts.onTrouble(thrown, `the job ${id} could not be run`);
    // The text of a foreign error may name what is the host's alone.
    const error = known ? thrown : new SpacesError("INTERNAL");
    const { dataDir } = this.#parts.parts;
    return { ...this.#endedAs(error.code), error: hideHostPaths(error.serialize(), dataDir) };
  }

  /** What an attempt is that ended with an error of this code. */
  #endedAs(code: string): Pick<Outcome, "status" | "reason"> {
    const stop = this.#stop;
    if (stop === undefined) {
      return code === "CANCELLED"
        ? { status: "cancelled", reason: "Its run was cancelled." }
        : { status: "failed" };
    }
    const { status, reason } = stop;
    return { status: status === "lost" ? "interrupted" : status, reason };
  }
}
