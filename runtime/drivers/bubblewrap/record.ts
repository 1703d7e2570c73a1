/**
 * What is recorded of the spaces of a data directory, one file a space under
 * `<dataDir>/bubblewrap/`, so that every process of the installation finds them. Used by the driver.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SpacesError } from "../../contract/errors.js";

const ProcessRecord = z.object({ pid: z.number().int().positive(), startTime: z.string() });

const StartRecord = z.object({
  /** New with every start; part of the command line of its processes. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  token: z.string().regex(/^[0-9a-f]{64}$/),
  socket: z.string(),
  bootId: z.string(),
  /** Directories of control groups that were made for this start. */
  cgroups: z.array(z.string()),
  /** Absent while it is being started. */
  agent: ProcessRecord.optional(),
  /** bubblewrap itself, which waits for the agent. */
  monitor: ProcessRecord.optional(),
});

const SpaceRecord = z.object({
  /** The host's user of the space where the driver runs as root. */
  uid: z.number().int().positive().optional(),
  /** Absent where the space is stopped. */
  start: StartRecord.optional(),
});

export type SpaceRecord = z.infer<typeof SpaceRecord>;
export type StartRecord = z.infer<typeof StartRecord>;

const SPACE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const ENDING = ".json";

/** The records of one data directory. */
export class Records {
  readonly #directory: string;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, "bubblewrap");
  }

  /** The directory in which a running space's agent has its socket. No two spaces share one. */
  runDirectory(spaceId: string): string {
    return this.#path(spaceId, ".run");
  }

  /**
   * Reads a record; undefined where there is none.
   * @throws SpacesError `DRIVER_FAILED` when it cannot be read or is damaged
   */
  async read(spaceId: string): Promise<SpaceRecord | undefined> {
    const path = this.#path(spaceId, ENDING);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new SpacesError("DRIVER_FAILED", `${path} cannot be read.`, { cause: error });
    }
    try {
      return SpaceRecord.parse(JSON.parse(text));
    } catch (error) {
      throw new SpacesError("DRIVER_FAILED", `${path} is damaged.`, {
        suggestion: "Remove the file and start the space again.",
        cause: error,
      });
    }
  }

  /** Replaces a record in one step, so that a reader sees the old one or the new one. */
  async write(spaceId: string, record: SpaceRecord): Promise<void> {
    const path = this.#path(spaceId, ENDING);
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      await this.prepare();
      await writeFile(temporary, JSON.stringify(record), { mode: 0o600, flag: "wx" });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw new SpacesError("DRIVER_FAILED", `${path} cannot be written.`, {
        suggestion: "Check that the data directory is writable and its disk has room.",
        cause: error,
      });
    }
  }

  /** Makes sure that the directory of the records is there. */
  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /**
   * Removes a record, and what a writer that was killed left of one; does nothing where there is
   * none. To be called under the space's lock.
   */
  async remove(spaceId: string): Promise<void> {
    const path = this.#path(spaceId, ENDING);
    const unfinished = (await this.#names()).filter((name) =>
      name.startsWith(`${spaceId}${ENDING}.`),
    );
    await Promise.all(
      [path, ...unfinished.map((name) => join(this.#directory, name))].map((file) =>
        rm(file, { force: true }),
      ),
    );
  }

  /** The ids of all spaces that have a record. */
  async ids(): Promise<string[]> {
    return (await this.#names())
      .filter((name) => name.endsWith(ENDING))
      .map((name) => name.slice(0, -ENDING.length))
      .filter((id) => SPACE_ID.test(id));
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw new SpacesError("DRIVER_FAILED", `${this.#directory} cannot be listed.`, {
        cause: error,
      });
    }
  }

  #path(spaceId: string, ending: string): string {
    if (!SPACE_ID.test(spaceId)) {
      throw new SpacesError("INVALID_INPUT", `${JSON.stringify(spaceId)} is not a space id.`);
    }
    return join(this.#directory, spaceId + ending);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
