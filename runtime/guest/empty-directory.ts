/**
 * Empties a directory that Node cannot: one that is nested deeper than a path can be long. Drivers
 * call it for the workspaces of spaces that are deleted.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { artifactUrl } from "../artifacts.js";
import { SpacesError } from "../contract/errors.js";

/**
 * Removes everything in a directory of the host. Follows no link.
 * @param directory absolute path
 * @throws SpacesError `DRIVER_FAILED` when something stays, or when this is no Linux on x64 or arm64
 */
export async function emptyDirectory(directory: string): Promise<void> {
  const program = fileURLToPath(artifactUrl(`guest/guest-linux-${process.arch}`));
  try {
    await promisify(execFile)(program, ["empty", directory]);
  } catch (cause) {
    throw new SpacesError("DRIVER_FAILED", "The files of the space cannot all be removed.", {
      cause,
      suggestion: "Remove the space's directory by hand, then delete the space again.",
    });
  }
}
