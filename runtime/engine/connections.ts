/** The ways into running spaces, opened once and kept while the space runs. */
import { SpacesError } from "../contract/errors.js";
import type { GuestConnection } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import type { EngineParts } from "./context.js";
import type { Recovery } from "./recovery.js";
import { driverSpecOf } from "./space-rows.js";

interface Kept {
  /** Tells one start of the space from the next. */
  readonly startedAt: string | null;
  readonly connection: Promise<GuestConnection>;
}

export class Connections implements AsyncDisposable {
  readonly #parts: EngineParts;
  readonly #recovery: Recovery;
  readonly #kept = new Map<string, Kept>();

  constructor(parts: EngineParts, recovery: Recovery) {
    this.#parts = parts;
    this.#recovery = recovery;
  }

  /**
   * Uses the way into a running space.
   * @throws SpacesError what `use` throws; `SPACE_NOT_RUNNING` for a space that ended by itself, which
   *   then counts as stopped
   */
  async use<R>(row: SpaceRow, use: (connection: GuestConnection) => Promise<R>): Promise<R> {
    try {
      return await use(await this.#connect(row));
    } catch (error) {
      if (SpacesError.isInstance(error) && error.code === "SPACE_NOT_RUNNING") {
        this.#kept.delete(row.id);
        await this.#recovery.hasVanished(row);
      }
      throw error;
    }
  }

  async #connect(row: SpaceRow): Promise<GuestConnection> {
    const known = this.#kept.get(row.id);
    if (known !== undefined && known.startedAt === row.started_at) return await known.connection;
    const opened = this.#open(row);
    this.#kept.set(row.id, { startedAt: row.started_at, connection: opened });
    if (known !== undefined) await close(known.connection);
    try {
      return await opened;
    } catch (error) {
      this.#kept.delete(row.id);
      throw error;
    }
  }

  async #open(row: SpaceRow): Promise<GuestConnection> {
    const driver = await this.#parts.drivers.get(row.driver);
    return await driver.connect(driverSpecOf(this.#parts.dataDir, row));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    await Promise.all(kept.map(({ connection }) => close(connection)));
  }
}

async function close(connection: Promise<GuestConnection>): Promise<void> {
  const [opened] = await Promise.allSettled([connection]);
  // One that could not be opened has been reported to the call that wanted it.
  if (opened.status === "fulfilled") await opened.value[Symbol.asyncDispose]();
}
