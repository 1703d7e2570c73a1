/**
 * How a space's limits are enforced here: by control groups where this process may make them, else
 * by limits that processes inherit. Used by the driver.
 */
import { release } from "node:os";
import { SpacesError } from "../../contract/errors.js";
import type { ResourceLimits } from "../driver.js";
import { type CgroupParents, type CgroupPlan, type LimitName, planCgroups } from "./cgroups.js";
import { isRoot } from "./host-user.js";
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
  const { pids } = limits;
  const own = pids === undefined ? limits : { ...limits, pids: pids + OWN_PIDS };
  return {
    cgroups: planCgroups(parents, own, group),
    wrapper: wrapperFor({
      nproc: pids === undefined ? defaultPids() : parents.pids === undefined ? own.pids : undefined,
      as: parents.memoryBytes === undefined ? limits.memoryBytes : undefined,
    }),
  };
}

function wrapperFor(inherited: Readonly<Record<string, number | undefined>>): string[] {
  const program = prlimit();
  const options = Object.entries(inherited).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}:${value}`],
  );
  return program === undefined || options.length === 0 ? [] : [program, ...options, "--"];
}

/**
 * The limit of a space that names none. It is inherited rather than a group's, since joining a group
 * takes longer than all the rest of a start. Kernels before 5.14 count all processes of the host's
 * user together, which root gives each space of its own, and an ordinary user has many.
 */
function defaultPids(): number | undefined {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const countsEachSpace = isRoot() || major > 5 || (major === 5 && minor >= 14);
  return countsEachSpace ? DEFAULT_PIDS + OWN_PIDS : undefined;
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
