/** Finds the settings of the project that the current directory belongs to. */
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { SpacesError } from "../contract/errors.js";
import { PROJECT_FILES } from "./paths.js";

/**
 * The path of the nearest project file, in a directory or above it; the search ends behind the home
 * directory, or at the root.
 * @throws SpacesError `INVALID_INPUT` when it belongs to another user, who could have laid it there
 */
export async function findProjectFile(from: string): Promise<string | undefined> {
  const home = homedir();
  for (let directory = from; ; directory = dirname(directory)) {
    for (const name of PROJECT_FILES) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile() !== true) continue;
      refuseForeign(path, found.uid);
      return path;
    }
    if (directory === home || directory === dirname(directory)) return undefined;
  }
}

function refuseForeign(path: string, owner: number): void {
  const own = process.getuid?.();
  if (own === undefined || owner === own || owner === 0) return;
  throw new SpacesError("INVALID_INPUT", `${path} belongs to another user.`, {
    suggestion: "Remove it, or make it your own when you trust what is in it.",
  });
}
