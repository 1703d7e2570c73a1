/** Writes files that only their owner may read. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SpacesError } from "../contract/errors.js";

/**
 * Writes a file in one step with mode 0600, in a directory with mode 0700.
 * @throws SpacesError `INVALID_INPUT` when it cannot be written
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const aside = join(directory, `.${randomBytes(8).toString("hex")}.tmp`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (cause) {
    await rm(aside, { force: true });
    throw new SpacesError(
      "INVALID_INPUT",
      `${path} cannot be written: ${(cause as Error).message}.`,
      {
        suggestion: "Check the permissions of its directory.",
        cause,
      },
    );
  }
}
