/** Runs: starts scripts that go on without their caller, and shows, follows and ends what runs. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import type { Run, RunCall, RunEvent, RunStatus } from "../contract/runs.js";
import { activeRun } from "../runs/active.js";
import { isMissing } from "../runs/directory.js";
import {
  type CallContext,
  type CallOptions,
  type EngineParts,
  requirePermission,
  type ScriptRunOptions,
} from "./context.js";
import type { Identity } from "./identity/identity.js";
import { pause } from "./operations.js";
import { EntryWatch, type FollowRequest, followRun } from "./run-follow.js";
import type { RunRecords } from "./run-records.js";
import {
  type RunSettings,
  type ScriptStarter,
  type StartedRun,
  triggerOf,
} from "./script-starter.js";
import type { Scripts } from "./scripts.js";

const PAGE = 100;
/** Milliseconds between two looks at a run of another process. */
const POLL_MS = 50;
/** Milliseconds for which a cancellation waits for the run to end. */
const CANCEL_MS = 5_000;

interface StartRequest extends RunSettings {
  readonly timeoutMs: number;
  readonly script?: string | undefined;
  readonly version?: number | undefined;
  readonly source?: string | undefined;
  readonly filename?: string | undefined;
}

interface ListRequest {
  readonly status?: RunStatus | undefined;
  readonly script?: string | undefined;
  readonly schedule?: string | undefined;
  readonly all?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

interface Page<T> {
  readonly items: T[];
  readonly nextCursor?: string;
}

interface RunsParts {
  readonly parts: EngineParts;
  readonly records: RunRecords;
  readonly scripts: Scripts;
  readonly starter: ScriptStarter;
  readonly identity: Identity;
}

/** A run that goes on without its caller. */
interface Detached {
  readonly owner: string;
  readonly abort: AbortController;
  over: Promise<unknown>;
}

export class Runs implements AsyncDisposable {
  readonly #parts: EngineParts;
  readonly #records: RunRecords;
  readonly #scripts: Scripts;
  readonly #starter: ScriptStarter;
  readonly #identity: Identity;
  readonly #detached = new Set<Detached>();
  #isClosed = false;

  constructor({ parts, records, scripts, starter, identity }: RunsParts) {
    this.#parts = parts;
    this.#records = records;
    this.#scripts = scripts;
    this.#starter = starter;
    this.#identity = identity;
  }

  /**
   * Starts a stored script or a source, and does not wait for its end. It is cancelled when the
   * engine closes, or when the token that it was started with is refused.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `LIMIT_EXCEEDED` where too many of the actor's run, and
   *   what `ScriptStarter.start` says
   */
  async start(
    context: CallContext,
    request: StartRequest,
    { trigger }: Pick<ScriptRunOptions, "trigger"> = {},
  ): Promise<Run> {
    const { script, version, source, filename = "script.ts", ...settings } = request;
    return await this.#detach(context, (signal) => {
      const options = { signal, trigger };
      if (script !== undefined) {
        return this.#scripts.start(context, { script, version, ...settings }, options);
      }
      return this.#scripts.startSource(
        context,
        { filename, source: source ?? "" },
        settings,
        options,
      );
    });
  }

  /** The caller's runs, the newest first. @throws SpacesError `PERMISSION_DENIED` for `all` */
  async list(context: CallContext, request: ListRequest): Promise<Page<Run>> {
    if (request.all === true) requirePermission(context.actor, "ViewAudit");
    const { status, script, schedule, cursor, limit = PAGE } = request;
    const running = (await this.#records.index()).filter(
      (run) =>
        (request.all === true || run.actor.id === context.actor.id) &&
        (status === undefined || run.status === status) &&
        (script === undefined || run.script.name === script) &&
        (schedule === undefined || run.trigger.schedule === schedule) &&
        (cursor === undefined || run.id < cursor),
    );
    let query = this.#parts.store.selectFrom("runs").select("record");
    if (request.all !== true) query = query.where("owner", "=", context.actor.id);
    if (status !== undefined) query = query.where("status", "=", status);
    if (script !== undefined) query = query.where("script", "=", script);
    if (schedule !== undefined) query = query.where("schedule", "=", schedule);
    if (cursor !== undefined) query = query.where("id", "<", cursor);
    const rows = await query
      .orderBy("id", "desc")
      .limit(limit + 1)
      .execute();
    // Ids sort by age, so the last id of a page is where the next one begins.
    const found = new Map(running.map((run) => [run.id, run]));
    for (const { record } of rows) {
      const run = JSON.parse(record) as Run;
      found.set(run.id, run);
    }
    const sorted = [...found.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
    return pageOf(sorted, limit, (run) => run.id);
  }

  /** @throws SpacesError `RUN_NOT_FOUND`, also for another owner's */
  async get(context: CallContext, id: string): Promise<Run> {
    const run = await this.#records.find(id);
    if (run === undefined || run.actor.id !== context.actor.id) throw notFound(id);
    return run;
  }

  /** The calls that a run made, in the order in which it did. @throws SpacesError `RUN_NOT_FOUND` */
  async calls(
    context: CallContext,
    {
      run: id,
      limit = PAGE,
      cursor,
    }: {
      readonly run: string;
      readonly limit?: number | undefined;
      readonly cursor?: string | undefined;
    },
  ): Promise<Page<RunCall>> {
    await this.get(context, id);
    const after = cursorOf(cursor);
    const found = new Map<number, RunCall>();
    await using journal = await this.#records.open(id);
    if (journal === undefined) return { items: [] };
    for await (const { event } of journal.more()) {
      if (event?.type === "call" && event.call.seq > after) found.set(event.call.seq, event.call);
    }
    for (const call of journal.state.openCalls) if (call.seq > after) found.set(call.seq, call);
    const sorted = [...found.values()].sort((a, b) => a.seq - b.seq);
    return pageOf(sorted, limit, (call) => String(call.seq));
  }

  /**
   * The output of a run from its beginning, until it ends.
   * @throws SpacesError `RUN_NOT_FOUND`, before the first event
   */
  async follow(
    context: CallContext,
    request: FollowRequest & { readonly run: string },
    { signal }: CallOptions,
  ): Promise<AsyncGenerator<RunEvent, void>> {
    await this.get(context, request.run);
    return followRun(this.#records, request.run, request, signal);
  }

  /**
   * Waits until a run has ended.
   * @returns the run; still running when the time was up first
   * @throws SpacesError `RUN_NOT_FOUND`; `CANCELLED` when the signal fires
   */
  async wait(
    context: CallContext,
    id: string,
    timeoutMs: number,
    { signal }: CallOptions,
  ): Promise<Run> {
    const giveUp = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? giveUp : AbortSignal.any([signal, giveUp]);
    const recorder = activeRun(this.#parts.dataDir, id);
    using entries = recorder === undefined ? undefined : new EntryWatch(recorder);
    for (;;) {
      const run = await this.get(context, id);
      if (run.status !== "running" || giveUp.aborted) return run;
      try {
        await (entries === undefined ? pause(POLL_MS, either) : entries.next(either));
      } catch (error) {
        if (signal?.aborted === true || !giveUp.aborted) throw error;
      }
    }
  }

  /**
   * Cancels a run, and waits a while for its end.
   * @returns the run; still running where its process takes longer
   * @throws SpacesError `RUN_NOT_FOUND`
   */
  async cancel(context: CallContext, id: string, options: CallOptions): Promise<Run> {
    const run = await this.get(context, id);
    if (run.status !== "running") return run;
    const recorder = activeRun(this.#parts.dataDir, id);
    if (recorder === undefined) this.#records.directory.askToCancel(id);
    else recorder.cancel();
    return await this.wait(context, id, CANCEL_MS, options);
  }

  /**
   * Starts what a run ran once more, from the sources as they were then.
   * @throws SpacesError `RUN_NOT_FOUND`; `PERMISSION_DENIED` for a run that was opened the network or
   *   the environment, to callers of another machine; `UNSUPPORTED` for one whose calls went to a
   *   server, or of which too little is kept; and as `start`
   */
  async rerun(context: CallContext, id: string): Promise<Run> {
    await this.get(context, id);
    const state = await this.#records.read(id);
    if (state === undefined) throw notFound(id);
    const { run } = state;
    requireRepeatable(run, context);
    if (state.start.altered === 1) {
      throw notKept(id, "its arguments or its input held secrets, or were too long");
    }
    const source = await this.#sourceOf(id, run.script.sha256);
    const { args, input, space, limits, permissions } = run;
    const settings = { args, input, space, ...limits, ...permissions };
    const runnable = {
      ...run.script,
      source,
      moduleSource: async (path: string) => {
        const module = state.modules.get(path);
        return module && { path: module.path, source: await this.#sourceOf(id, module.sha256) };
      },
    };
    const trigger = { ...triggerOf(context), rerunOf: id };
    return await this.#detach(context, (signal) =>
      this.#starter.start(context, runnable, settings, { signal, trigger }),
    );
  }

  /** Deletes the record of a run. @throws SpacesError `RUN_NOT_FOUND`; `CONFLICT` while it runs */
  async delete(context: CallContext, id: string): Promise<void> {
    const run = await this.get(context, id);
    if (run.status === "running") {
      throw new SpacesError("CONFLICT", `The run ${id} has not ended.`, {
        suggestion: "Cancel it first.",
      });
    }
    await this.#records.remove(id);
  }

  /** Cancels the runs that go on without their callers, and waits for their ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const detached = [...this.#detached];
    for (const { abort } of detached) abort.abort(new SpacesError("CANCELLED"));
    await Promise.all(detached.map(({ over }) => over));
    await this.#records.settle();
  }

  async #detach(
    context: CallContext,
    begin: (signal: AbortSignal) => Promise<StartedRun>,
  ): Promise<Run> {
    const owner = context.actor.id;
    const most = this.#parts.runLimits.detachedPerActor;
    if ([...this.#detached].filter((detached) => detached.owner === owner).length >= most) {
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `${most} runs that were started have not ended yet.`,
        {
          suggestion: "Wait for some to end, or cancel some.",
        },
      );
    }
    if (this.#isClosed) throw new SpacesError("CANCELLED", "The engine is being closed.");
    const abort = new AbortController();
    const watch = this.#identity.watch(context.actor, abort);
    const begun = begin(abort.signal);
    const detached: Detached = {
      ...{ owner, abort },
      // What it failed with is in its record.
      over: begun.then(({ ended }) => ended).catch(() => undefined),
    };
    this.#detached.add(detached);
    void detached.over.then(() => {
      this.#detached.delete(detached);
      watch[Symbol.dispose]();
    });
    return (await begun).recorder.run;
  }

  /** A kept source. @throws SpacesError `UNSUPPORTED` where it is gone */
  async #sourceOf(id: string, sha256: string): Promise<string> {
    try {
      const source = await readFile(this.#records.directory.sourceOf(sha256), "utf8");
      if (createHash("sha256").update(source).digest("hex") === sha256) return source;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    throw notKept(id, "its source is not kept any more");
  }
}

function requireRepeatable(run: Run, { local }: CallContext): void {
  const { net, env } = run.permissions;
  if (run.trigger.kind === "repl") {
    throw new SpacesError("UNSUPPORTED", `The run ${run.id} was a session, not a script.`, {
      suggestion: "Read what was entered with `spaces runs show`, and put it into a script.",
    });
  }
  if (run.binding === "remote") {
    throw new SpacesError("UNSUPPORTED", `The calls of the run ${run.id} went to ${run.url}.`, {
      suggestion: "Run its script again with `spaces run`, with the same server.",
    });
  }
  if ((net === undefined && env === undefined) || local) return;
  const what = net === undefined ? "the environment" : "the network";
  throw new SpacesError("PERMISSION_DENIED", `The run ${run.id} was opened ${what}.`, {
    suggestion: "Run it again on the machine itself, with `spaces runs rerun`.",
  });
}

function cursorOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new SpacesError("INVALID_INPUT", "The cursor is not one of this list.");
}

function pageOf<T>(items: readonly T[], limit: number, cursorFor: (item: T) => string): Page<T> {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page,
    ...(items.length > limit && last !== undefined ? { nextCursor: cursorFor(last) } : {}),
  };
}

function notFound(id: string): SpacesError {
  return new SpacesError("RUN_NOT_FOUND", `There is no run ${id}.`);
}

function notKept(id: string, why: string): SpacesError {
  return new SpacesError("UNSUPPORTED", `The run ${id} cannot be run again: ${why}.`, {
    suggestion: "Run its script anew.",
  });
}
