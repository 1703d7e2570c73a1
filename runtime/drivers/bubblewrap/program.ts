/** The bubblewrap program of this machine and what it can do. Used by the probe and the launcher. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SpacesError } from "../../contract/errors.js";
import { findProgram } from "./system-mounts.js";

const ANSWER_MS = 5000;
const run = promisify(execFile);

export interface BubblewrapProgram {
  readonly path: string;
  readonly version: string;
  /** Whether it has an option, such as `--disable-userns`. */
  can(option: string): boolean;
}

/**
 * Finds bubblewrap in PATH and asks what it is.
 * @returns undefined where there is none
 * @throws SpacesError `DRIVER_UNAVAILABLE` where it cannot be run
 */
export async function findBubblewrap(): Promise<BubblewrapProgram | undefined> {
  const path = findProgram("bwrap");
  if (path === undefined) return undefined;
  try {
    const [version, help] = await Promise.all(
      ["--version", "--help"].map((option) => run(path, [option], { timeout: ANSWER_MS })),
    );
    const options = new Set(`${help?.stdout}${help?.stderr}`.match(/--[a-z0-9-]+/g));
    return {
      path,
      version: version?.stdout.trim().replace(/^bubblewrap /, "") ?? "",
      can: (option) => options.has(option),
    };
  } catch (error) {
    throw new SpacesError("DRIVER_UNAVAILABLE", `${path} cannot be run.`, {
      suggestion: "Install bubblewrap again.",
      cause: error,
    });
  }
}
