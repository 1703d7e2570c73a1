/** Prints the output of a process that is kept, and what follows it; for `spaces logs`. */
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { ProcessEvent } from "../runtime/contract/processes.js";
import { follow, printEvent } from "./follow.js";
import type { Target } from "./process-ids.js";
import type { Session } from "./session.js";

/** Kept output comes at once: when nothing has come for so long, all of it has. */
const QUIET_MS = 250;
/** As long for the first piece, for which the process must be attached to. */
const FIRST_MS = 1000;
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
  const print = async (event: ProcessEvent): Promise<void> => {
    if (output.isJson) await output.bytes("stdout", Buffer.from(`${JSON.stringify(event)}\n`));
    else await printEvent(output, event);
  };
  if (options.follow || state === "exited") {
    await follow(client, target, { offset: options.offset, signal, onEvent: print });
  } else {
    using kept = new KeptOutput(signal);
    await follow(client, target, {
      offset: options.offset,
      signal: kept.signal,
      onEvent: async (event) => {
        kept.hold();
        await print(event);
        kept.count(event);
      },
    });
  }
  if (signal.aborted) throw new SpacesError("CANCELLED");
}

/** Tells when all that is kept of a running process's output has come. */
class KeptOutput implements Disposable {
  readonly #over = new AbortController();
  readonly #bytes = { stdout: 0, stderr: 0 };
  #timer: NodeJS.Timeout;
  /** Fires when all has come, or with the given signal. */
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    this.#timer = this.#arm(FIRST_MS);
  }

  /** The reader is slow for now, not the process. */
  hold(): void {
    clearTimeout(this.#timer);
  }

  count(event: ProcessEvent): void {
    if (event.type === "stdout" || event.type === "stderr") {
      this.#bytes[event.type] += Buffer.byteLength(event.data, "base64");
      if (this.#bytes[event.type] >= KEPT_BYTES) this.#over.abort();
    }
    this.#timer = this.#arm(QUIET_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#over.abort(), ms);
  }
}
