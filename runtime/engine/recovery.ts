/**
 * Brings the store back in line with the world: operations whose process died, containers that
 * vanished, and what drivers still have of spaces that are gone.
 */
import { SpacesError } from "../contract/errors.js";
import type { Driver } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import { forgetDead } from "./activity.js";
import type { EngineParts } from "./context.js";
import { asSpacesError, isAbandoned, Operation, rowOf } from "./operations.js";
import { driverSpecOf, statusOf } from "./space-rows.js";

export class Recovery {
  readonly #parts: EngineParts;
  readonly #reconciled = new Map<string, Promise<void>>();

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /**
   * Runs once when an engine opens: takes over abandoned operations and checks the spaces that
   * should be running.
   * @param remove finishes the removal of a destroyed space
   */
  async open(remove: (row: SpaceRow) => Promise<void>): Promise<void> {
    const { store } = this.#parts;
    const rows = await store
      .selectFrom("spaces")
      .selectAll()
      .where((where) =>
        where.or([where("operation", "is not", null), where("status", "=", "running")]),
      )
      .execute();
    for (const row of rows) {
      if (row.operation === null || !isAbandoned(row)) continue;
      if (row.status !== "destroyed") await this.takeOver(row);
      else await this.#finishRemoval(row, remove);
    }
    const running = new Set(
      rows.filter((row) => row.status === "running").map((row) => row.driver),
    );
    for (const name of running) await this.reconcile(name);
    await forgetDead(store);
  }

  /** Ends an operation whose process died, so that the space is in a state that can be acted on. */
  async takeOver(abandoned: SpaceRow): Promise<void> {
    const operation = await Operation.claim(this.#parts.store, abandoned, statusOf(abandoned));
    if (operation === undefined) return;
    using _ = operation;
    const { row } = operation;
    const interrupted = new SpacesError(
      "INTERRUPTED",
      `The process that was ${row.status} the space "${row.name}" ended before it was done.`,
      { suggestion: "Start the space again, or delete it." },
    );
    try {
      const driver = await this.#parts.drivers.get(row.driver);
      await driver.stop(driverSpecOf(this.#parts.dataDir, row));
      await operation.finish(
        row.status === "stopping"
          ? { status: "stopped" }
          : { status: "error", lastError: interrupted },
      );
    } catch (cause) {
      await operation.finish({
        status: "error",
        lastError: asSpacesError(cause, "DRIVER_FAILED"),
      });
    }
  }

  /**
   * Whether a space that counts as running does not run any more; it then counts as stopped.
   * @throws SpacesError what the driver says when it cannot tell
   */
  async hasVanished(row: SpaceRow): Promise<boolean> {
    const driver = await this.#parts.drivers.get(row.driver);
    if ((await driver.inspect(row.id))?.running === true) return false;
    await this.#markVanished(row);
    return true;
  }

  /** Compares one driver with the store, once in the life of an engine. */
  reconcile(name: string): Promise<void> {
    let done = this.#reconciled.get(name);
    if (done === undefined) {
      done = this.#reconcileDriver(name);
      this.#reconciled.set(name, done);
    }
    return done;
  }

  async #reconcileDriver(name: string): Promise<void> {
    const driver = await this.#parts.drivers.get(name);
    // What cannot be asked cannot be compared; calls to its spaces will say that it is gone.
    if (!(await driver.probe()).usable) return;
    const found = new Map((await driver.list()).map((space) => [space.spaceId, space.running]));
    const rows = await this.#parts.store
      .selectFrom("spaces")
      .selectAll()
      .where("driver", "=", name)
      .execute();
    for (const row of rows) {
      if (row.status === "running" && found.get(row.id) !== true) await this.#markVanished(row);
      found.delete(row.id);
    }
    for (const orphan of found.keys()) await this.#removeOrphan(driver, orphan);
  }

  async #removeOrphan(driver: Driver, id: string): Promise<void> {
    // The list was older than the rows: a space made meanwhile has its row by now.
    if ((await rowOf(this.#parts.store, id)) === undefined) await driver.destroy(id);
  }

  async #markVanished(row: SpaceRow): Promise<void> {
    const operation = await Operation.claim(this.#parts.store, row, "stopping");
    if (operation === undefined) return;
    using _ = operation;
    await operation.finish({
      status: "stopped",
      lastError: new SpacesError(
        "SPACE_NOT_RUNNING",
        `The space "${row.name}" stopped without being asked to: the driver ${row.driver} no longer runs it.`,
        { suggestion: "Start it again; its workspace is as it was." },
      ),
    });
  }

  async #finishRemoval(row: SpaceRow, remove: (row: SpaceRow) => Promise<void>): Promise<void> {
    const operation = await Operation.claim(this.#parts.store, row, "destroyed");
    if (operation === undefined) return;
    using _ = operation;
    try {
      await remove(operation.row);
    } catch (error) {
      // The space counts as deleted already; the next engine that opens tries again.
      const { message } = asSpacesError(error, "DRIVER_FAILED");
      this.#parts.onProgress?.(`The removal of "${row.name}" is not finished: ${message}`);
    }
  }
}
