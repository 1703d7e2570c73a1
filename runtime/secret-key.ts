/**
 * The secret key of an installation: a file of the data directory that only its owner can read. The
 * engine encrypts secret fields with it, the records of runs hash the inputs of calls with it.
 */
import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpacesError } from "./contract/errors.js";

const KEY_BYTES = 32;

/**
 * Reads the key, or makes it where there is none. Of two processes that make one at once, both get
 * the same.
 * @param dataDir absolute path of the data directory, which must exist
 * @throws SpacesError `STORE_UNAVAILABLE` where the file is no key, or cannot be made
 */
export async function readOrMakeKey(dataDir: string): Promise<Buffer> {
  const file = join(dataDir, "secrets.key");
  const existing = await readKey(file);
  if (existing !== undefined) return existing;
  const draft = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, randomBytes(KEY_BYTES), { mode: 0o600, flag: "wx" });
  try {
    // A link fails where the file exists: of two processes at once, the first one's key counts.
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(draft, { force: true });
  }
  const key = await readKey(file);
  if (key === undefined) throw new SpacesError("STORE_UNAVAILABLE", `${file} cannot be made.`);
  return key;
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    const key = await readFile(file);
    if (key.length === KEY_BYTES) return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  throw new SpacesError("STORE_UNAVAILABLE", `${file} is not a key of ${KEY_BYTES} bytes.`, {
    suggestion: "Restore the file from a backup; without it secret fields cannot be read.",
  });
}
