/**
 * Kills a command's processes from outside of the container, for images in which no shell can do
 * it. Works where the daemon's processes are visible here and may be signalled: a local daemon and
 * the same user or root. Called by `kill.ts`.
 */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { socketCodeOf } from "./errors.js";
import type { Target } from "./exec.js";

const ROUNDS = 50;

interface Found {
  readonly pid: number;
  readonly parent: number;
  readonly session: string;
  readonly marked: boolean;
}

/**
 * Kills what carries the marker, its children, and what shares a session with them, until nothing
 * is left. Only processes in the container's own control group are ever touched.
 * @returns false when the container's processes cannot be seen or signalled from here.
 */
export async function killOnHost(
  target: Target,
  variable: string,
  marker: string,
): Promise<boolean> {
  if (process.platform !== "linux") return false;
  const sessions = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const all = await processesOf(target.containerId, `${variable}=${marker}`);
    // The main process is always there: seeing nothing means to look in the wrong place.
    if (all === undefined || all.length === 0) return false;
    const tree = treeOf(all, sessions);
    if (tree.size === 0) return true;
    try {
      for (const pid of tree) signal(pid, "SIGSTOP");
      // What was born before its parent was halted is known by its parent only as long as that lives.
      const again = await processesOf(target.containerId, `${variable}=${marker}`);
      for (const pid of treeOf(again ?? [], sessions)) tree.add(pid);
      for (const pid of tree) signal(pid, "SIGKILL");
    } catch (error) {
      if (socketCodeOf(error) === "EPERM") return false;
      throw error;
    }
    await delay(5);
  }
  return false;
}

function treeOf(all: readonly Found[], sessions: Set<string>): Set<number> {
  const tree = new Set<number>();
  for (let before = -1; before !== tree.size; ) {
    before = tree.size;
    for (const { pid, parent, session, marked } of all) {
      if (!marked && !tree.has(parent) && !sessions.has(session)) continue;
      tree.add(pid);
      sessions.add(session);
    }
  }
  return tree;
}

/** The container's processes, or nothing where this machine's processes cannot be read. */
async function processesOf(containerId: string, mark: string): Promise<Found[] | undefined> {
  const entries = await readdir("/proc").catch(() => undefined);
  if (entries === undefined) return undefined;
  const found = await Promise.all(
    entries
      .filter((name) => /^\d+$/.test(name))
      .map(async (name): Promise<Found[]> => {
        const groups = await readOrEmpty(`/proc/${name}/cgroup`);
        if (!groups.includes(containerId)) return [];
        const status = await readOrEmpty(`/proc/${name}/status`);
        if (status === "" || (/^State:\s+Z/m.test(status) && /^Threads:\s+1$/m.test(status))) {
          return [];
        }
        const environment = await readOrEmpty(`/proc/${name}/environ`);
        return [
          {
            pid: Number(name),
            parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
            session: /^NSsid:\s+(.*)$/m.exec(status)?.[1] ?? name,
            marked: environment.split("\0").includes(mark),
          },
        ];
      }),
  );
  return found.flat();
}

/** A process may end between listing and reading; others are not ours to read. */
async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}

function signal(pid: number, name: "SIGSTOP" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (socketCodeOf(error) !== "ESRCH") throw error;
  }
}
