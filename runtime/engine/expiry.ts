/**
 * The time of spaces: spaces with a time to live are deleted when it is up. Engines sweep when they
 * open, and servers from time to time.
 */
import { SpacesError } from "../contract/errors.js";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";
import type { CallContext, EngineParts } from "./context.js";
import type { Lifecycle } from "./lifecycle.js";
import { isAbandoned, rowOf } from "./operations.js";
import type { Recovery } from "./recovery.js";
import { findSpace } from "./space-rows.js";

/** How long a space that could not be deleted is left alone. */
const RETRY_AFTER_MS = 60_000;
/** How far away the end of a space may be: ten years. */
const LONGEST_MS = 315_360_000_000;

export class Expiry {
  readonly #parts: EngineParts;
  readonly #lifecycle: Lifecycle;
  readonly #recovery: Recovery;
  #sweeping: Promise<void> | undefined;

  constructor(parts: EngineParts, lifecycle: Lifecycle, recovery: Recovery) {
    this.#parts = parts;
    this.#lifecycle = lifecycle;
    this.#recovery = recovery;
  }

  /**
   * Deletes the spaces whose time is up, whatever they do. Of several processes, one deletes each. A
   * space that cannot be deleted keeps the reason as its `lastError`, and is tried again later.
   */
  async sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
    await this.#sweeping;
  }

  /** Begins a sweep that nobody waits for but `settle`. */
  sweepBehind(): void {
    // A store that cannot be read is told of by the call that the engine was opened for.
    this.sweep().catch(() => undefined);
  }

  /** Waits for the sweep that is under way, if any: an engine that closes leaves nothing half done. */
  async settle(): Promise<void> {
    await this.#sweeping?.catch(() => undefined);
  }

  /**
   * Puts off the end of a space.
   * @param durationMs milliseconds that are added to the time at which it expires
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_EXPIRED`; `CONFLICT` for a space that never expires;
   *   `INVALID_INPUT` for an end that is too far away
   */
  async extend(context: CallContext, ref: string, durationMs: number): Promise<SpaceRow> {
    const { store } = this.#parts;
    for (;;) {
      const row = await findSpace(store, context.actor, ref);
      if (row.expires_at === null) {
        throw new SpacesError("CONFLICT", `The space "${row.name}" never expires.`, {
          suggestion: "There is nothing to extend; only spaces created with a ttl expire.",
        });
      }
      const end = Date.parse(row.expires_at) + durationMs;
      if (end > Date.now() + LONGEST_MS) {
        throw new SpacesError("INVALID_INPUT", "A space may expire in ten years at most.");
      }
      const changed = await store
        .updateTable("spaces")
        .set({ expires_at: new Date(end).toISOString(), updated_at: new Date().toISOString() })
        .where("id", "=", row.id)
        // Of two calls at once, both count.
        .where("expires_at", "=", row.expires_at)
        .where("status", "!=", "destroyed")
        .returningAll()
        .executeTakeFirst();
      if (changed !== undefined) return changed;
    }
  }

  /**
   * Deletes the space that holds a name of an owner's although its time is up.
   * @returns whether the name was freed so
   */
  async freeName(owner: string, name: string): Promise<boolean> {
    const row = await expired(this.#parts.store)
      .where("owner", "=", owner)
      .where("name", "=", name)
      .executeTakeFirst();
    if (row === undefined) return false;
    await this.#destroy(row);
    const fresh = await rowOf(this.#parts.store, row.id);
    return fresh === undefined || fresh.status === "destroyed";
  }

  async #sweep(): Promise<void> {
    for (const row of await expired(this.#parts.store).execute()) {
      const failedAt = row.last_error === null ? 0 : Date.parse(row.updated_at);
      if (Date.now() - failedAt < RETRY_AFTER_MS) continue;
      try {
        await this.#destroy(row);
      } catch (error) {
        // What the driver says is the space's `lastError` now; anything else is the store's failure.
        if (!SpacesError.isInstance(error)) throw error;
      }
    }
  }

  async #destroy(row: SpaceRow): Promise<void> {
    if (row.operation === null) {
      await this.#lifecycle.destroy(row);
    } else if (isAbandoned(row)) {
      await this.#recovery.takeOver(row);
      const fresh = await rowOf(this.#parts.store, row.id);
      if (fresh?.operation === null) await this.#lifecycle.destroy(fresh);
    }
    // What somebody is changing right now has its turn at the next sweep.
  }
}

/** The spaces that are still there although their time is up. */
function expired(store: Store) {
  return store
    .selectFrom("spaces")
    .selectAll()
    .where("expires_at", "<=", new Date().toISOString())
    .where("status", "!=", "destroyed");
}
