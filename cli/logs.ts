/** Prints the output of a process that is kept, and what follows it; for `spaces logs`. */
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { ProcessEvent } from "../runtime/contract/processes.js";
import { follow, printEvent } from "./follow.js";
import type { Target } from "./process-ids.js";
import type { Session } from "./session.js";

/** Kept output comes at once; a running process that sends nothing for so long has no more of it. */
const QUIET_MS = 250;
/** The most of one output that a space keeps: whoever has read so much has read what was kept. */
const KEPT_BYTES = 262_144;

interface LogsOptions {
  /** Goes on until the process ends. */
  readonly follow: boolean;
  /** Bytes of each output to leave out. */
  readonly offset: number;
}

/**
 * Prints the output of a process: as it is, or with `--json` one event a line.
 * @throws SpacesError what `processes.follow` throws; `CANCELLED` after a signal
 */
export async function printLogs(
  session: Session,
  client: Client,
  target: Target,
  options: LogsOptions,
): Promise<void> {
  const { output, signal } = session;
  const { state } = await client.processes.get(target, { signal });
  const kept = new KeptOutput();
  const bounded = !options.follow && state === "running";
  await follow(client, target, {
    offset: options.offset,
    signal: bounded ? AbortSignal.any([signal, kept.signal]) : signal,
    onEvent: async (event) => {
      kept.pause();
      if (output.isJson) await output.bytes("stdout", Buffer.from(`${JSON.stringify(event)}\n`));
      else await printEvent(output, event);
      kept.saw(event);
    },
  });
  kept.pause();
  if (signal.aborted) throw new SpacesError("CANCELLED");
}
