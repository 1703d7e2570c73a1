/**
 * The records that tell every process of an installation which virtual spaces exist and run: one
 * small JSON file a space under `<dataDir>/virtual/`. Used by the driver alone.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpacesError } from "../../contract/errors.js";

/** What is recorded of a space. */
export interface Marker {
  readonly running: boolean;
  /** New with every start: a worker of an earlier start must not be used again. */
  readonly generation: string;
}

const SPACE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const ENDING = ".json";

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function parseMarker(text: string): Marker | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (!("running" in value) || !("generation" in value)) return undefined;
  const { running, generation } = value;
  if (typeof running !== "boolean" || typeof generation !== "string") return undefined;
  return { running, generation };
}

/** The markers of one data directory. */
export class Markers {
  readonly #directory: string;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, "virtual");
  }

  #path(spaceId: string): string {
    if (!SPACE_ID.test(spaceId)) {
      throw new SpacesError("INVALID_INPUT", `${JSON.stringify(spaceId)} is not a space id.`);
    }
    return join(this.#directory, spaceId + ENDING);
  }

  /**
   * Reads a marker; undefined where there is none.
   *
   * @throws `DRIVER_FAILED` when the file cannot be read or is not a marker
   */
  async read(spaceId: string): Promise<Marker | undefined> {
    const path = this.#path(spaceId);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new SpacesError("DRIVER_FAILED", `${path} cannot be read.`, { cause: error });
    }
    const marker = parseMarker(text);
    if (marker !== undefined) return marker;
    throw new SpacesError("DRIVER_FAILED", `${path} is damaged.`, {
      suggestion: "Remove the file and start the space again.",
    });
  }

  /** Replaces a marker in one step, so that a reader sees the old one or the new one. */
  async write(spaceId: string, running: boolean): Promise<void> {
    const path = this.#path(spaceId);
    const marker: Marker = { running, generation: randomUUID() };
    const temporary = `${path}.${marker.generation}.tmp`;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await writeFile(temporary, JSON.stringify(marker), { mode: 0o600, flag: "wx" });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw new SpacesError("DRIVER_FAILED", `${path} cannot be written.`, {
        suggestion: "Check that the data directory is writable and its disk has room.",
        cause: error,
      });
    }
  }

  /** Removes a marker; does nothing where there is none. */
  async remove(spaceId: string): Promise<void> {
    await rm(this.#path(spaceId), { force: true });
  }

  /** The ids of all spaces that have a marker. */
  async ids(): Promise<string[]> {
    try {
      const names = await readdir(this.#directory);
      return names
        .filter((name) => name.endsWith(ENDING))
        .map((name) => name.slice(0, -ENDING.length))
        .filter((id) => SPACE_ID.test(id));
    } catch (error) {
      if (isMissing(error)) return [];
      throw new SpacesError("DRIVER_FAILED", `${this.#directory} cannot be listed.`, {
        cause: error,
      });
    }
  }
}
