/** Collects what a process prints, within bounds of time and size, and ends it where it must end. */

import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import { SpacesError } from "../contract/errors.js";
import type { CommandResult } from "../contract/processes.js";
import type { GuestProcess } from "../drivers/driver.js";

export type OutputListener = (stream: "stdout" | "stderr", bytes: Buffer) => void;

interface CollectLimits {
  /** Milliseconds until the process and all it started are killed. */
  readonly timeoutMs: number;
  /** Bytes kept of each stream; what comes after is read and dropped. */
  readonly outputBytes: number;
  /** Given all output as it comes. */
  readonly onOutput?: OutputListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The exit code of a command that was killed for its time, as GNU `timeout` gives it. */
const TIMEOUT_EXIT_CODE = 124;

/**
 * Waits for a process and collects its output.
 * @returns the result, also after a timeout (`timedOut`, exit code 124, the output so far)
 * @throws SpacesError `CANCELLED` when the signal fires, after the process was killed; what the
 *   driver says when the outcome is unknown
 */
export async function collect(guest: GuestProcess, limits: CollectLimits): Promise<CommandResult> {
  const startedAt = performance.now();
  const kept = new KeptOutput(limits.outputBytes, limits.onOutput);
  const drained = Promise.all([
    kept.follow(guest.stdout, "stdout"),
    kept.follow(guest.stderr, "stderr"),
  ]);
  const ending = await waitForEnd(guest, limits);
  if (ending.kind !== "exit") await guest.kill();
  if (ending.kind === "cancelled") throw new SpacesError("CANCELLED");
  await drained;
  const exit = ending.kind === "exit" ? ending.exit : { exitCode: TIMEOUT_EXIT_CODE };
  return {
    exitCode: exit.exitCode,
    ...(exit.signal === undefined ? {} : { signal: exit.signal }),
    ...kept.texts(),
    timedOut: ending.kind === "timeout",
    durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
  };
}

type Ending =
  | { readonly kind: "exit"; readonly exit: Awaited<GuestProcess["exit"]> }
  | { readonly kind: "timeout" | "cancelled" };

async function waitForEnd(guest: GuestProcess, limits: CollectLimits): Promise<Ending> {
  const { signal } = limits;
  if (signal?.aborted === true) return { kind: "cancelled" };
  return await new Promise<Ending>((resolve, reject) => {
    const timer = setTimeout(() => finish({ kind: "timeout" }), limits.timeoutMs);
    const cancel = (): void => finish({ kind: "cancelled" });
    const release = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    };
    const finish = (ending: Ending): void => {
      release();
      resolve(ending);
    };
    signal?.addEventListener("abort", cancel);
    guest.exit.then(
      (exit) => finish({ kind: "exit", exit }),
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}

type StreamName = "stdout" | "stderr";

/** Three texts: each stream, and both as they came. Multi-byte characters may span chunks. */
class KeptOutput {
  readonly #limit: number;
  readonly #onOutput: OutputListener | undefined;
  readonly #parts = { stdout: [] as string[], stderr: [] as string[], output: [] as string[] };
  readonly #sizes = { stdout: 0, stderr: 0 };
  readonly #dropped = { stdout: 0, stderr: 0 };

  constructor(limit: number, onOutput: OutputListener | undefined) {
    this.#limit = limit;
    this.#onOutput = onOutput;
  }

  async follow(stream: Readable, name: StreamName): Promise<void> {
    const decoder = new StringDecoder("utf8");
    // As they come: an iterator takes pieces a moment later, and mixes up the order of two streams.
    stream.on("data", (chunk: Buffer) => {
      this.#onOutput?.(name, chunk);
      this.#keep(name, decoder, chunk);
    });
    try {
      await finished(stream, { writable: false });
    } catch (error) {
      // A stream that broke ends the output; whether the process ended well is what `exit` says.
      this.#append(name, `\n[spaces: ${name} broke off: ${(error as Error).message}]\n`);
    }
    this.#append(name, decoder.end());
  }

  #keep(name: StreamName, decoder: StringDecoder, chunk: Buffer): void {
    const room = this.#limit - this.#sizes[name];
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room);
    this.#sizes[name] += part.length;
    this.#dropped[name] += chunk.length - part.length;
    this.#append(name, decoder.write(part));
  }

  #append(name: StreamName, text: string): void {
    if (text === "") return;
    this.#parts[name].push(text);
    this.#parts.output.push(text);
  }

  texts(): Pick<CommandResult, "stdout" | "stderr" | "output" | "truncated"> {
    const { stdout, stderr } = this.#dropped;
    return {
      stdout: this.#parts.stdout.join("") + truncationMarker(stdout),
      stderr: this.#parts.stderr.join("") + truncationMarker(stderr),
      output: this.#parts.output.join("") + truncationMarker(stdout + stderr),
      truncated: stdout + stderr > 0,
    };
  }
}

function truncationMarker(bytes: number): string {
  return bytes === 0 ? "" : `\n[spaces: ${bytes} bytes of output were dropped]\n`;
}
