/** Starts the relay in the background. Called by the relay's client when no relay answers. */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { artifactUrl } from "../artifacts.js";
import { SpacesError } from "../contract/errors.js";

const ARCHITECTURES = new Set(["x64", "arm64"]);

export interface RelayLaunch {
  /** Absolute path of the unix socket on which the relay will listen. */
  readonly controlSocket: string;
  /** Path of the relay's program; the built one for this machine when absent. */
  readonly binary?: string | undefined;
  /** How long a relay without forwards stays, in milliseconds; 10 s when absent. */
  readonly idleMs?: number | undefined;
}

/** The path of the relay's program. @throws SpacesError `DRIVER_UNAVAILABLE` if there is none */
export function relayBinary(): string {
  if (process.platform !== "linux" || !ARCHITECTURES.has(process.arch)) {
    throw new SpacesError(
      "DRIVER_UNAVAILABLE",
      `Port forwards need Linux on x64 or arm64; this is ${process.platform} on ${process.arch}.`,
    );
  }
  return fileURLToPath(artifactUrl(`relay/relay-linux-${process.arch}`));
}

/**
 * Starts a relay, and waits until it listens or has found that another one does. It belongs to no
 * process afterwards.
 * @throws SpacesError `DRIVER_UNAVAILABLE` when there is no program for this machine,
 *   `DRIVER_FAILED` when it cannot run
 */
export async function launchRelay(launch: RelayLaunch): Promise<void> {
  const binary = launch.binary ?? relayBinary();
  const { controlSocket, idleMs } = launch;
  await mkdir(dirname(controlSocket), { recursive: true, mode: 0o700 });
  const idle = idleMs === undefined ? [] : [String(idleMs)];
  const child = spawn(binary, [controlSocket, ...idle], {
    cwd: "/",
    env: {},
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await new Promise<void>((resolve, reject) => {
    child.on("error", (cause) => reject(unavailable(binary, cause)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(failed(controlSocket, said.trim() || `it ended with ${signal ?? code}`));
    });
  });
}

function unavailable(binary: string, cause: Error): SpacesError {
  const message = `The relay of port forwards, ${binary}, cannot be run: ${cause.message}`;
  return new SpacesError("DRIVER_UNAVAILABLE", message, {
    suggestion: "Install the package again, or check the file's permissions.",
    cause,
  });
}

function failed(controlSocket: string, reason: string): SpacesError {
  const message = `The relay of port forwards cannot start at ${controlSocket}: ${reason}`;
  return new SpacesError("DRIVER_FAILED", message, {
    suggestion: "Check the directory of that socket: its owner, its permissions and its space.",
  });
}
