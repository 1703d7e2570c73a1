/**
 * How a space's limits are enforced here: by control groups where this process may make them, else
 * by limits that processes inherit. Used by the driver.
 */
import { SpacesError } from "../../contract/errors.js";
import type { ResourceLimits } from "../driver.js";
import { type CgroupParents, type CgroupPlan, type LimitName, planCgroups } from "./cgroups.js";
import { findProgram } from "./system-mounts.js";

/** Keeps a fork bomb in a space without a limit of its own from taking the machine. */
const DEFAULT_PIDS = 1024;
/** The agent, and its supervisor of a running command: not the user's own. */
const OWN_PIDS = 2;
const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;

export interface LimitPlan {
  readonly cgroups: readonly CgroupPlan[];
  /** A program that sets limits in the space and runs the rest of its arguments; may be empty. */
  readonly wrapper: readonly string[];
}

/** The limits that can be enforced. Without groups, memory is limited for each process by itself. */
export function enforceableLimits(parents: CgroupParents): LimitName[] {
  const inherited: LimitName[] = prlimit() === undefined ? [] : ["memoryBytes", "pids"];
  return (["memoryBytes", "cpus", "pids"] as const).filter(
    (limit) => parents[limit] !== undefined || inherited.includes(limit),
  );
}

/**
 * How to hold a space to its limits.
 * @param group name for its control groups, unlike any other space's
 * @throws SpacesError `INVALID_INPUT` for a limit that makes no sense, `UNSUPPORTED` for one that
 *   cannot be enforced here
 */
export function planLimits(
  limits: ResourceLimits,
  parents: CgroupParents,
  group: string,
): LimitPlan {
  checkLimits(limits);
  const enforceable = enforceableLimits(parents);
  for (const limit of ["memoryBytes", "cpus", "pids"] as const) {
    if (limits[limit] !== undefined && !enforceable.includes(limit)) throw unenforceable(limit);
  }
  const all = { ...limits, pids: (limits.pids ?? DEFAULT_PIDS) + OWN_PIDS };
  return { cgroups: planCgroups(parents, all, group), wrapper: wrapperFor(all, parents) };
}

function wrapperFor(limits: ResourceLimits, parents: CgroupParents): string[] {
  const program = prlimit();
  const options = [
    ...(parents.pids === undefined && limits.pids !== undefined
      ? [`--nproc=${limits.pids}:${limits.pids}`]
      : []),
    ...(parents.memoryBytes === undefined && limits.memoryBytes !== undefined
      ? [`--as=${limits.memoryBytes}:${limits.memoryBytes}`]
      : []),
  ];
  return program === undefined || options.length === 0 ? [] : [program, ...options, "--"];
}

/** The program as the space finds it too. */
function prlimit(): string | undefined {
  return findProgram("prlimit", "");
}

function checkLimits({ memoryBytes, cpus, pids }: ResourceLimits): void {
  if (
    memoryBytes !== undefined &&
    !(Number.isSafeInteger(memoryBytes) && memoryBytes >= LEAST_MEMORY_BYTES)
  ) {
    throw invalid("memory", `${memoryBytes} bytes`, "at least 6 MiB, in whole bytes");
  }
  if (cpus !== undefined && !(Number.isFinite(cpus) && cpus >= 0.01)) {
    throw invalid("CPU", `${cpus} CPUs`, "0.01 or more");
  }
  if (pids !== undefined && !(Number.isSafeInteger(pids) && pids > 0)) {
    throw invalid("process", `${pids} processes`, "a whole number above 0");
  }
}

function invalid(kind: string, value: string, allowed: string): SpacesError {
  return new SpacesError(
    "INVALID_INPUT",
    `A ${kind} limit of ${value} cannot be set; give ${allowed}.`,
  );
}

function unenforceable(limit: LimitName): SpacesError {
  const names = { memoryBytes: "memory", cpus: "cpus", pids: "pids" };
  return new SpacesError("UNSUPPORTED", `The limit "${names[limit]}" cannot be enforced here.`, {
    suggestion:
      "Run spaces where it may make control groups (as root, or in a delegated group such as `systemd-run --user --scope` gives), use the docker driver, or leave the limit out.",
  });
}
