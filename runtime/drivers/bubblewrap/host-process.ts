/**
 * Processes of the host that belong to a space: whether they live, and how they are ended without
 * ever hitting a stranger that has their number by now. Used by the driver.
 */
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** A process by its number and when it began, in clock ticks since boot. */
export interface HostProcess {
  readonly pid: number;
  readonly startTime: string;
}

const POLL_MS = 3;

/** Names this run of the machine: numbers of processes mean nothing in the next one. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}

/** The process that has this number now; undefined where none lives. */
export function processOf(pid: number): HostProcess | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    // It ended: nothing else makes this file unreadable.
    return undefined;
  }
  // The name, in parentheses, may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  const startTime = fields[19];
  if (state === "Z" || state === "X" || startTime === undefined) return undefined;
  return { pid, startTime };
}

/** Whether this very process still lives. */
export function isAlive(process: HostProcess): boolean {
  return processOf(process.pid)?.startTime === process.startTime;
}

/** Signals this very process; false where it is gone. */
export function signalProcess(target: HostProcess, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

/** Waits for the end of a process, at most this long. Gives whether it has ended. */
export async function waitForEnd(process: HostProcess, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(process)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** All processes whose command line has this text, such as what a dead starter left behind. */
export async function processesNaming(text: string): Promise<HostProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const before = processOf(pid);
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return before !== undefined && line.includes(text) ? before : undefined;
    }),
  );
  return found.filter((process) => process !== undefined);
}
