/**
 * Checks that the daemon's kernel can hold a space to its limits: Docker only warns and goes on
 * without them. Called by the driver before it creates a container.
 */
import { SpacesError } from "../../contract/errors.js";
import type { ResourceLimits } from "../driver.js";
import type { DockerEngine } from "./engine.js";

/** Docker refuses a container with less memory. */
const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;

/**
 * @throws SpacesError `INVALID_INPUT` for a limit that makes no sense, `UNSUPPORTED` for one that
 *   the daemon would not enforce.
 */
export async function checkLimits(engine: DockerEngine, limits: ResourceLimits): Promise<void> {
  const { memoryBytes, cpus, pids } = limits;
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
  if (memoryBytes === undefined && cpus === undefined && pids === undefined) return;
  const enforced = await engine.host();
  const missing = [
    memoryBytes !== undefined && !enforced.memoryLimit ? "memory" : "",
    cpus !== undefined && !enforced.cpuLimit ? "CPU" : "",
    pids !== undefined && !enforced.pidsLimit ? "process" : "",
  ].filter((name) => name !== "");
  if (missing.length === 0) return;
  throw new SpacesError(
    "UNSUPPORTED",
    `Docker at ${engine.address} cannot enforce a ${missing.join(" or ")} limit.`,
    {
      suggestion:
        "Enable the control group controllers that `docker info` warns about, or leave the limit out.",
    },
  );
}

function invalid(kind: string, value: string, allowed: string): SpacesError {
  return new SpacesError(
    "INVALID_INPUT",
    `A ${kind} limit of ${value} cannot be set; give ${allowed}.`,
  );
}
