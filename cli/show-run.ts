/** Shows runs to people: as a list, and one with all that is known of it. */
import type { Run, RunCall } from "../runtime/contract/runs.js";
import { describeScriptError, recordedError } from "./failures.js";
import type { Output } from "./output.js";
import { commandLine } from "./processes.js";
import { showDuration } from "./quantities.js";
import type { Session } from "./session.js";
import { ago, byteSize, details, table, took } from "./text.js";

/** So many calls are shown to people; `--json` has all. */
const SHOWN_CALLS = 200;

/** A list of runs, as lines. */
export function listOf(runs: readonly Run[], output: Output): string {
  if (runs.length === 0) return "";
  return table(
    ["RUN", "STATUS", "SCRIPT", "BY", "STARTED", "TOOK"],
    runs.map((run) => [
      run.id,
      run.status,
      scriptOf(run),
      originOf(run),
      ago(run.startedAt),
      run.durationMs === undefined ? "" : took(run.durationMs),
    ]),
    (title) => output.style("stdout", "bold", title),
  );
}

/** Prints the record of a run with its calls. @throws SpacesError `RUN_NOT_FOUND` */
export async function showRun(session: Session, id: string): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const run = await client.runs.get({ run: id }, { signal });
  const calls: RunCall[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.runs.calls({ run: id, limit: 1000, cursor }, { signal });
    calls.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && (output.isJson || calls.length < SHOWN_CALLS));
  output.result({ ...run, callList: calls }, () => textOf(run, calls, output));
}

function textOf(run: Run, calls: readonly RunCall[], output: Output): string {
  const { permissions, limits, error, openCalls, lastFinishedCall } = run;
  const facts = details(
    [
      ["run", run.id],
      ["status", statusOf(run)],
      ["script", scriptOf(run)],
      ["SHA-256", run.script.sha256],
      ["arguments", run.args.length === 0 ? undefined : commandLine(run.args)],
      ["input", run.input === undefined ? undefined : JSON.stringify(run.input)],
      ["space", run.space],
      ["by", `${run.actor.name}, ${originOf(run)}`],
      ["binding", run.url === undefined ? run.binding : `${run.binding} ${run.url}`],
      ["granted", permissions.grant?.join(", ")],
      ["network", openedOf(permissions.net)],
      ["environment", openedOf(permissions.env)],
      ["time limit", limits.timeoutMs === undefined ? undefined : showDuration(limits.timeoutMs)],
      ["memory limit", limits.memoryBytes === undefined ? undefined : byteSize(limits.memoryBytes)],
      ["started", at(run.startedAt)],
      ["ended", run.endedAt && at(run.endedAt)],
      ["took", run.durationMs === undefined ? undefined : took(run.durationMs)],
      ["limits hit", run.limitsHit.length === 0 ? undefined : run.limitsHit.join(", ")],
      ["output", byteSize(run.outputBytes)],
      ["calls", String(run.calls)],
      [
        "last call",
        lastFinishedCall && `${lastFinishedCall.procedure}: ${lastFinishedCall.outcome}`,
      ],
      ["unknown", openCalls?.map(({ procedure }) => procedure).join(", ") || undefined],
    ],
    (label) => output.style("stdout", "bold", label),
  );
  const shown = calls.slice(0, SHOWN_CALLS);
  return (
    facts +
    (error === undefined ? "" : `\n${describeScriptError(recordedError(error))}`) +
    (shown.length === 0 ? "" : `\n${callsOf(shown, output)}`) +
    (run.calls > shown.length ? `… and ${run.calls - shown.length} calls more\n` : "")
  );
}

function callsOf(calls: readonly RunCall[], output: Output): string {
  return table(
    ["CALL", "PROCEDURE", "AT", "TOOK", "OUTCOME"],
    calls.map((call) => [
      String(call.seq),
      call.procedure,
      took(call.startedMs),
      call.durationMs === undefined ? "" : took(call.durationMs),
      call.outcome,
    ]),
    (title) => output.style("stdout", "bold", title),
  );
}

/** A point in time, for people and for comparing it with a log. */
function at(timestamp: string): string {
  return `${ago(timestamp)} (${timestamp})`;
}

function statusOf({ status, exitCode }: Run): string {
  return exitCode === undefined || status === "succeeded" ? status : `${status} (${exitCode})`;
}

function scriptOf({ script }: Run): string {
  const { name, version, filename } = script;
  return name === undefined ? filename : `${name}${version === undefined ? "" : ` v${version}`}`;
}

/** What had it run. */
function originOf({ trigger }: Run): string {
  const { kind, schedule, parent, rerunOf } = trigger;
  const of = schedule ?? parent;
  const what = of === undefined ? kind : `${kind} ${of}`;
  return rerunOf === undefined ? what : `${what}, again`;
}

function openedOf(opened: readonly string[] | true | undefined): string | undefined {
  return opened === true ? "all" : opened?.join(", ");
}
