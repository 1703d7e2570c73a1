/**
 * A command in a worker as the `GuestProcess` that the engine reads. Its output comes when it has
 * ended, in slices that are made as the reader takes them.
 */
import { Readable } from "node:stream";
import type { GuestProcess, ProcessExit } from "../driver.js";
import type { CommandEnd, RunningCommand } from "./space-worker.js";

const SLICE_BYTES = 64 * 1024;

async function* slices(
  end: Promise<CommandEnd>,
  stream: "stdout" | "stderr",
): AsyncGenerator<Uint8Array> {
  const bytes = (await end)[stream];
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    yield bytes.subarray(at, at + SLICE_BYTES);
  }
}

async function exitOf(end: Promise<CommandEnd>): Promise<ProcessExit> {
  const { error, killed, exitCode } = await end;
  if (error !== undefined) throw error;
  return killed ? { exitCode: 137, signal: "SIGKILL" } : { exitCode };
}

/** Presents a running command as a process. */
export function guestProcess(command: RunningCommand): GuestProcess {
  const exit = exitOf(command.end);
  // A caller may read the streams first: a rejection meanwhile must not end the host process.
  exit.catch(() => undefined);
  return {
    stdout: Readable.from(slices(command.end, "stdout"), { objectMode: false }),
    stderr: Readable.from(slices(command.end, "stderr"), { objectMode: false }),
    exit,
    kill: () => command.kill(),
  };
}
