/**
 * Finds out whether Docker can be used here, and says what to do when it cannot. Called by the
 * driver's `probe`, for the choice of a driver and for `spaces doctor`.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpacesError } from "../../contract/errors.js";
import type { ProbeResult } from "../driver.js";
import type { DockerEngine } from "./engine.js";
import { causeStatus, reasonOf, socketCodeOf } from "./errors.js";

const ANSWER_MS = 3000;
/** Docker Engine 20.10, the oldest that the driver is tested with. */
const OLDEST_API = "1.41";

/** Whether the daemon can be used, and if not, why and what to do. Never throws. */
export async function probeDocker(engine: DockerEngine): Promise<ProbeResult> {
  if (engine.address.startsWith("ssh:")) {
    return {
      usable: false,
      reason: `DOCKER_HOST is ${engine.address}, a daemon on another machine that does not see this machine's files.`,
      remedy: "Use a Docker daemon on this machine: unset DOCKER_HOST, or run spaces there.",
    };
  }
  try {
    const version = await engine.call("read the daemon's version", (docker) => docker.version(), {
      timeoutMs: ANSWER_MS,
    });
    if (olderThan(version.ApiVersion, OLDEST_API)) {
      return {
        usable: false,
        reason: `Docker ${version.Version} at ${engine.address} speaks API ${version.ApiVersion}; ${OLDEST_API} is needed.`,
        remedy: "Update Docker Engine to 20.10 or newer.",
      };
    }
    if (version.Os !== "linux") {
      return {
        usable: false,
        reason: `Docker at ${engine.address} runs ${version.Os} containers.`,
        remedy: "Switch Docker to Linux containers.",
      };
    }
    if (!(await seesOurFiles(engine))) {
      return {
        usable: false,
        reason: `Docker at ${engine.address} does not see this machine's files, so a space's workspace cannot be shared with it.`,
        remedy: "Use a Docker daemon on this machine: unset DOCKER_HOST, or run spaces there.",
      };
    }
    return { usable: true, version: version.Version };
  } catch (error) {
    return explain(error, engine);
  }
}

/**
 * Does the daemon live on the same files as we do? Asked with a directory that only exists here and
 * an image that exists nowhere: a daemon checks the directory first, so nothing is ever made.
 */
async function seesOurFiles(engine: DockerEngine): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "spaces-probe-"));
  try {
    await engine.call(
      "look for a directory of this machine",
      (docker, abortSignal) =>
        docker.createContainer({
          Image: `spaces-probe-no-such-image:${randomUUID()}`,
          HostConfig: { Mounts: [{ Type: "bind", Source: directory, Target: "/probe" }] },
          abortSignal,
        }),
      { timeoutMs: ANSWER_MS },
    );
    return true;
  } catch (error) {
    if (/bind source path does not exist/i.test(reasonOf(error))) return false;
    if (causeStatus(error) === 404) return true;
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function explain(error: unknown, engine: DockerEngine): ProbeResult {
  const cause = SpacesError.isInstance(error) ? (error.cause ?? error) : error;
  const code = socketCodeOf(cause);
  const at = engine.address;
  if (code === "EACCES" || code === "EPERM") {
    return {
      usable: false,
      reason: `This user may not use the Docker socket at ${at}.`,
      remedy:
        "Add the user to the docker group with `sudo usermod -aG docker $USER` and log in again.",
    };
  }
  if (code === "ENOENT") {
    return {
      usable: false,
      reason: `There is no Docker socket at ${at}.`,
      remedy: "Install Docker and start it, or set DOCKER_HOST to the daemon that is to be used.",
    };
  }
  if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EHOSTUNREACH") {
    return {
      usable: false,
      reason: `No Docker daemon listens at ${at} (${code}).`,
      remedy:
        "Start the daemon, for example with `sudo systemctl start docker`, or set DOCKER_HOST.",
    };
  }
  if (SpacesError.isInstance(error) && error.code === "DRIVER_UNAVAILABLE") {
    return {
      usable: false,
      reason: error.message,
      remedy: "Restart the Docker daemon, or set DOCKER_HOST to one that answers.",
    };
  }
  return {
    usable: false,
    reason: `Docker at ${at} cannot be used: ${reasonOf(error)}.`,
    remedy: "Check DOCKER_HOST and DOCKER_CERT_PATH, and that `docker version` works here.",
  };
}

/** Compares versions such as `1.9` and `1.41` part by part. */
function olderThan(version: string, wanted: string): boolean {
  const [have, want] = [version, wanted].map((text) => text.split(".").map(Number));
  for (const [index, part] of (want ?? []).entries()) {
    const difference = (have?.[index] ?? 0) - part;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
