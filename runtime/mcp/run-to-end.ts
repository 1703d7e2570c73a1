/**
 * Starts a run and takes it to its end: its output goes on as progress, and whoever cancels the call
 * cancels the run. The tools that run scripts call it.
 */
import type { Client } from "../contract/contract.js";
import { isErrorCode, SpacesError, type ErrorCode as SpacesErrorCode } from "../contract/errors.js";
import type { Run } from "../contract/runs.js";
import { Excerpt } from "./excerpt.js";
import { FOREIGN_KEY, type ForeignText } from "./foreign-text.js";
import { suggestionFor } from "./results.js";
import type { ToolAnswer, ToolCall } from "./tools/tool.js";

/** What a stream fails with that was ended before the run was. */
const ENDED: ReadonlySet<string> = new Set(["CANCELLED", "SHUTTING_DOWN"]);

type RunRequest = Parameters<Client["runs"]["start"]>[0];

/** Milliseconds for which a cancelled run may take to end. */
const CANCEL_MS = 10_000;

/**
 * Runs a script.
 * @param request what `runs.start` takes
 * @param budget characters of output in the answer
 * @throws SpacesError as `runs.start`
 */
export async function runToEnd(
  request: RunRequest,
  budget: number,
  { client, signal, progress }: ToolCall,
): Promise<ToolAnswer> {
  if (signal.aborted) throw new SpacesError("CANCELLED");
  // Not with the signal: a start that was given up half way might leave a run that nobody knows.
  const started = await client.runs.start(request);
  const output = new Excerpt(
    budget,
    `run_log with run "${started.id}" and offset gives it, also the resource ${logUri(started.id)}`,
  );
  const run = await followed(client, started, signal, (text) => {
    output.add(text);
    progress.add(text);
  });
  return answerOf(run, output);
}

/** The address of a run's log. */
export const logUri = (run: string): string => `spaces://runs/${run}/log`;

async function followed(
  client: Client,
  { id: run }: Run,
  signal: AbortSignal,
  take: (text: string) => void,
): Promise<Run> {
  let after = 0;
  const follow = async (now: boolean): Promise<Run | undefined> => {
    for await (const event of await client.runs.follow({ run, after, now }, { signal })) {
      if (event.type === "end") return event.run;
      after = event.seq;
      if (event.type !== "call") take(event.text);
    }
    return undefined;
  };
  try {
    try {
      const ended = await follow(false);
      if (ended !== undefined) return ended;
    } catch (error) {
      // A server that shuts down ends streams at once, and calls only at its deadline.
      if (signal.aborted || !SpacesError.isInstance(error) || !ENDED.has(error.code)) throw error;
    }
    for (;;) {
      const waited = await client.runs.wait({ run }, { signal });
      if (waited.status === "running") continue;
      return (await follow(true)) ?? waited;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    await cancelled(client, run);
    throw new SpacesError("CANCELLED", `The run ${run} was cancelled.`, { cause: error });
  }
}

/** Cancels a run, and waits until it and its commands have ended. */
async function cancelled(client: Client, run: string): Promise<void> {
  const { status } = await client.runs.cancel({ run });
  if (status === "running") await client.runs.wait({ run, timeoutMs: CANCEL_MS });
}

function answerOf(run: Run, excerpt: Excerpt): ToolAnswer {
  const { id, status, exitCode, durationMs, calls, error, limitsHit } = run;
  const output = excerpt.toString();
  const truncated = excerpt.isCut || limitsHit.includes("output");
  const cause = causeOf(error);
  const text = [
    `The script ${STATUS[status]}: exit code ${exitCode ?? "unknown"} after ${Math.round(durationMs ?? 0)} ms; ${calls} ${calls === 1 ? "call" : "calls"}; run ${id}.`,
    ...(cause === undefined ? [] : [`${cause}: ${suggestionFor(cause)}`]),
    ...(truncated ? ["Its output is cut."] : []),
  ].join(" ");
  const foreign: ForeignText[] = [{ what: "output of the script", text: output }];
  if (error !== undefined) foreign.push({ what: "error of the script", text: errorText(error) });
  return {
    text,
    foreign,
    structured: {
      run: id,
      status,
      exit_code: exitCode ?? null,
      duration_ms: durationMs ?? 0,
      calls,
      truncated,
      limits_hit: limitsHit,
      log: logUri(id),
      [FOREIGN_KEY]: { output, ...(error === undefined ? {} : { error: bounded(error) }) },
    },
    isError: status !== "succeeded",
  };
}

const STATUS: Readonly<Record<Run["status"], string>> = {
  running: "is still running",
  succeeded: "succeeded",
  failed: "failed",
  timed_out: "ran out of time",
  cancelled: "was cancelled",
  interrupted: "was interrupted",
};

type RunError = NonNullable<Run["error"]>;

/** The code of what the script died of: of an uncaught error of a call, the call's own. */
function causeOf(error: RunError | undefined): SpacesErrorCode | undefined {
  const inner = error?.details?.error as { readonly code?: unknown } | undefined;
  if (isErrorCode(inner?.code)) return inner.code;
  return isErrorCode(error?.code) ? error.code : undefined;
}

/** Characters of an error's message, and of its details. */
const LONGEST_ERROR = 4_000;

/** Message, position and the lines around it, as a person would be shown them. */
function errorText({ message, details = {} }: RunError): string {
  const { position, frame, error } = details;
  const { file, line, column } = (position ?? {}) as Record<string, unknown>;
  const where = file === undefined ? "" : `${file}:${line}:${column}: `;
  const inner = error as { readonly code?: unknown; readonly details?: unknown } | undefined;
  return [
    `${where}${message}`.slice(0, LONGEST_ERROR),
    ...(typeof frame === "string" ? [frame.slice(0, LONGEST_ERROR)] : []),
    ...(Object.keys(inner?.details ?? {}).length === 0
      ? []
      : [`${inner?.code}: ${JSON.stringify(inner?.details)}`.slice(0, LONGEST_ERROR)]),
  ].join("\n");
}

/** The error, without details that would be longer than the output. */
function bounded({ code, message, suggestion, details }: RunError): RunError {
  const fits = JSON.stringify(details ?? {}).length <= LONGEST_ERROR;
  const { position, frame } = details ?? {};
  return {
    code,
    message: message.slice(0, LONGEST_ERROR),
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(details === undefined ? {} : { details: fits ? details : { position, frame } }),
  };
}
