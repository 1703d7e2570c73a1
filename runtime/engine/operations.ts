/**
 * Operations: the changes of a space's status. Each is claimed by compare-and-set, so that of
 * several processes one does it and the others wait for its result; a claim is a lease that its
 * holder renews, and that anyone may take over once the holder is dead.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import type { SpaceStatus } from "../contract/spaces.js";
import type { DriverSpaceState } from "../drivers/driver.js";
import { livenessOf, PROCESS_IDENTITY } from "../process-identity.js";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";

const RENEW_EVERY_MS = 2_000;
/** After this long without a sign, the holder of another host counts as dead. */
const LEASE_MS = 20_000;
const POLL_FROM_MS = 10;
const POLL_TO_MS = 200;

/** What an operation may write when it ends. */
export interface Outcome {
  readonly status: SpaceStatus;
  readonly lastError?: SpacesError | undefined;
  readonly setupDone?: boolean;
  readonly started?: boolean;
  readonly access?: DriverSpaceState["access"] | undefined;
}

/** A claimed operation; exactly one of its holders' `finish` calls takes effect. */
export class Operation implements Disposable {
  readonly row: SpaceRow;
  readonly #store: Store;
  readonly #id: string;
  readonly #renewal: NodeJS.Timeout;

  private constructor(store: Store, row: SpaceRow, id: string) {
    this.#store = store;
    this.row = row;
    this.#id = id;
    this.#renewal = setInterval(() => void this.#renew(), RENEW_EVERY_MS);
    this.#renewal.unref();
  }

  /**
   * Claims a space for a change.
   * @param row the space as it was last seen; the claim fails if it has changed since
   * @param status the status while the operation is under way
   * @returns the operation, or undefined when another process was faster
   */
  static async claim(
    store: Store,
    row: SpaceRow,
    status: SpaceStatus,
  ): Promise<Operation | undefined> {
    const id = newId("op");
    const claimed = await store
      .updateTable("spaces")
      .set({
        status,
        revision: row.revision + 1,
        operation: id,
        operation_holder: PROCESS_IDENTITY,
        operation_renewed_ms: Date.now(),
        updated_at: new Date().toISOString(),
      })
      .where("id", "=", row.id)
      .where("revision", "=", row.revision)
      .returningAll()
      .executeTakeFirst();
    return claimed === undefined ? undefined : new Operation(store, claimed, id);
  }

  /** Writes the outcome and gives the claim up; without effect if the claim was lost meanwhile. */
  async finish(outcome: Outcome): Promise<void> {
    this[Symbol.dispose]();
    const now = new Date().toISOString();
    const { lastError } = outcome;
    await this.#store
      .updateTable("spaces")
      .set((set) => ({
        status: outcome.status,
        revision: set("revision", "+", 1),
        operation: null,
        operation_holder: null,
        operation_renewed_ms: null,
        updated_at: now,
        last_error:
          lastError === undefined ? null : JSON.stringify({ ...lastError.serialize(), at: now }),
        ...(outcome.access === undefined ? {} : { access: outcome.access }),
        ...(outcome.setupDone === true ? { setup_done: 1 } : {}),
        ...(outcome.started === true ? { started_at: now, last_active_at: now } : {}),
      }))
      .where("id", "=", this.row.id)
      .where("operation", "=", this.#id)
      .execute();
  }

  /** Stops renewing the claim; a claim that was not finished then runs out. */
  [Symbol.dispose](): void {
    clearInterval(this.#renewal);
  }

  async #renew(): Promise<void> {
    try {
      await this.#store
        .updateTable("spaces")
        .set({ operation_renewed_ms: Date.now() })
        .where("id", "=", this.row.id)
        .where("operation", "=", this.#id)
        .execute();
    } catch {
      // The lease outlives several failed renewals, and `finish` reports a store that stays broken.
      return;
    }
  }
}

/** Whether the process that holds a row's operation is gone, so that the operation is abandoned. */
export function isAbandoned(row: SpaceRow): boolean {
  if (row.operation_holder === null) return false;
  const liveness = livenessOf(row.operation_holder);
  if (liveness !== "unknown") return liveness === "dead";
  return Date.now() - (row.operation_renewed_ms ?? 0) > LEASE_MS;
}

/**
 * Waits until a space's operation has ended, or was abandoned by a process that died.
 * @returns the row as it is then, or undefined where the space is gone
 * @throws SpacesError `CANCELLED` when the signal fires
 */
export async function settled(
  store: Store,
  id: string,
  signal: AbortSignal | undefined,
): Promise<SpaceRow | undefined> {
  for (let wait = POLL_FROM_MS; ; wait = Math.min(wait * 1.5, POLL_TO_MS)) {
    const row = await rowOf(store, id);
    if (row === undefined || row.operation === null || isAbandoned(row)) return row;
    await pause(wait, signal);
  }
}

/**
 * Waits.
 * @param ms how long, in milliseconds
 * @throws SpacesError `CANCELLED` when the signal fires
 */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new SpacesError("CANCELLED", undefined, { cause });
  }
}

/** A row by id, also of a destroyed space whose removal is under way. */
export function rowOf(store: Store, id: string): Promise<SpaceRow | undefined> {
  return store.selectFrom("spaces").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Any error as one of the registry; what it was not already becomes the given code. */
export function asSpacesError(error: unknown, code: ErrorCode): SpacesError {
  if (SpacesError.isInstance(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new SpacesError(code, message, { cause: error });
}
