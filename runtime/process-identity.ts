/**
 * Names the running process so that another one can tell whether it still lives: an operation whose
 * process died is taken over at once, without waiting for its lease to run out.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** The start time of a process in clock ticks since boot; undefined where there is no `/proc`. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command name, in parentheses, may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const isZombie = fields[0] === "Z";
    return isZombie ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

const HERE = `${hostname()}/${bootId()}`;

/** This process: host, boot, pid and start time, so that a reused pid is not taken for it. */
export const PROCESS_IDENTITY = `${HERE}/${process.pid}/${startTimeOf(process.pid) ?? ""}`;

/**
 * Whether the process of an identity still lives.
 * @returns `unknown` for a process of another host, of which only its lease tells
 */
export function livenessOf(identity: string): "alive" | "dead" | "unknown" {
  if (identity === PROCESS_IDENTITY) return "alive";
  const parts = identity.split("/");
  const started = parts.pop() ?? "";
  const pid = Number(parts.pop());
  const [host] = parts;
  if (host !== hostname()) return "unknown";
  if (parts.join("/") !== HERE) return "dead";
  if (started !== "") return startTimeOf(pid) === started ? "alive" : "dead";
  try {
    process.kill(pid, 0);
    return "alive";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "alive" : "dead";
  }
}
