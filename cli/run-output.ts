/** Prints what runs print, cancels them and runs them again; for `spaces runs`. */
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Run, RunEvent } from "../runtime/contract/runs.js";
import { EXIT } from "./exit-codes.js";
import { recordedError, reportScriptError } from "./failures.js";
import type { Output } from "./output.js";
import type { Session } from "./session.js";
import { took } from "./text.js";

interface PrintOptions {
  readonly follow?: boolean | undefined;
  /** Puts the time before each line. */
  readonly times?: boolean | undefined;
  /** Tells the calls too. */
  readonly calls?: boolean | undefined;
}

/**
 * Prints the output of a run: where it was printed, or with `--json` one event a line.
 * @returns the run at the end
 * @throws SpacesError `RUN_NOT_FOUND`; `CANCELLED` after a signal
 */
export async function printRun(
  session: Session,
  client: Client,
  id: string,
  { follow = false, times = false, calls = false }: PrintOptions,
): Promise<Run> {
  const { output, signal } = session;
  const lines = { stdout: new LineTimes(), stderr: new LineTimes() };
  const events = await client.runs.follow({ run: id, calls, now: !follow }, { signal });
  for await (const event of events) {
    if (output.isJson) {
      await output.bytes("stdout", Buffer.from(`${JSON.stringify(event)}\n`));
    } else if (event.type === "call") {
      output.errorData(callLine(event, output));
    } else if (event.type !== "end") {
      const text = times ? lines[event.type].put(event.text, event.at) : event.text;
      await output.bytes(event.type, Buffer.from(text));
    }
    if (event.type === "end") return event.run;
  }
  throw new SpacesError("CANCELLED");
}

/** Cancels a run and tells how it is then. */
export async function cancelRun(session: Session, id: string): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const run = await client.runs.cancel({ run: id }, { signal });
  output.note(
    run.status === "running" ? `${id} is being cancelled.` : `${id} has ended: ${run.status}.`,
  );
  if (output.isJson) output.json(run);
}

/**
 * Runs again what a run ran, and prints its output until it ends.
 * @returns the run's exit code, as `spaces run` gives it
 */
export async function rerun(session: Session, id: string): Promise<number> {
  const { output, signal } = session;
  const client = await session.client();
  const { id: started } = await client.runs.rerun({ run: id }, { signal });
  output.note(`Started ${started}.`);
  let run: Run;
  try {
    run = await printRun(session, client, started, { follow: true });
  } catch (error) {
    // Who waits for it no longer does: on a server it would go on.
    if (signal.aborted) await client.runs.cancel({ run: started });
    throw error;
  }
  if (run.error !== undefined && !output.isJson) {
    reportScriptError(output, recordedError(run.error));
  }
  return run.exitCode ?? EXIT.failure;
}

function callLine(event: Extract<RunEvent, { type: "call" }>, output: Output): string {
  const { procedure, outcome, durationMs = 0 } = event.call;
  const text = `[${event.at} ${procedure}: ${outcome}, ${took(durationMs)}]`;
  return `${output.style("stderr", "dim", text)}\n`;
}

/** Puts the time before each line of an output that comes in pieces. */
class LineTimes {
  #isAtStart = true;

  put(text: string, at: string): string {
    let timed = "";
    for (const part of text.split(/(?<=\n)/)) {
      timed += this.#isAtStart ? `${at} ${part}` : part;
      this.#isAtStart = part.endsWith("\n");
    }
    return timed;
  }
}
