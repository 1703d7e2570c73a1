/** Shows runs to people: as a list, and one with all that is known of it. */
import type { Run, RunCall } from "../runtime/contract/runs.js";
import type { Output } from "./output.js";
import { commandLine } from "./processes.js";
import type { Session } from "./session.js";
import { ago, byteSize, details, printableLines, table } from "./text.js";

/** So many calls are shown to people; `--json` has all. */
const SHOWN_CALLS = 200;
const UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

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
      run.durationMs === undefined ? "" : spanOf(run.durationMs),
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
      ["Run", run.id],
      ["Status", statusOf(run)],
      ["Script", scriptOf(run)],
      ["SHA-256", run.script.sha256],
      ["Arguments", run.args.length === 0 ? undefined : commandLine(run.args)],
      ["Input", run.input === undefined ? undefined : JSON.stringify(run.input)],
      ["Space", run.space],
      ["By", `${run.actor.name}, ${originOf(run)}`],
      ["Binding", run.url === undefined ? run.binding : `${run.binding} ${run.url}`],
      ["Granted", permissions.grant?.join(", ")],
      ["Network", openedOf(permissions.net)],
      ["Environment", openedOf(permissions.env)],
      ["Time limit", limits.timeoutMs === undefined ? undefined : spanOf(limits.timeoutMs)],
      ["Memory limit", limits.memoryBytes === undefined ? undefined : byteSize(limits.memoryBytes)],
      ["Started", run.startedAt],
      ["Ended", run.endedAt],
      ["Took", run.durationMs === undefined ? undefined : spanOf(run.durationMs)],
      ["Limits hit", run.limitsHit.length === 0 ? undefined : run.limitsHit.join(", ")],
      ["Output", byteSize(run.outputBytes)],
      ["Calls", String(run.calls)],
      [
        "Last call",
        lastFinishedCall && `${lastFinishedCall.procedure}: ${lastFinishedCall.outcome}`,
      ],
      ["Unknown", openCalls?.map(({ procedure }) => procedure).join(", ") || undefined],
    ],
    (label) => output.style("stdout", "bold", label),
  );
  const shown = calls.slice(0, SHOWN_CALLS);
  return (
    facts +
    (error === undefined ? "" : `\n${printableLines(error.message)} (${error.code})\n`) +
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
      spanOf(call.startedMs),
      call.durationMs === undefined ? "" : spanOf(call.durationMs),
      call.outcome,
    ]),
    (title) => output.style("stdout", "bold", title),
  );
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

/** A span of time as people read it, such as `1.5s`. @param ms milliseconds */
function spanOf(ms: number): string {
  const [unit, length] = UNITS.find(([, of]) => ms >= of) ?? ["ms", 1];
  return `${Math.round((ms / length) * 10) / 10}${unit}`;
}
