/** Which spaces are busy: those in which a command is under way that somebody waits for. */
import { randomUUID } from "node:crypto";
import { livenessOf, PROCESS_IDENTITY } from "../process-identity.js";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";

/** A command this short makes no space busy: to write that down would take as long as the command. */
const UNNOTICED_MS = 50;
/** How exact `last_active_at` is. */
const ACTIVE_EVERY_MS = 1_000;

/** Shows spaces as busy, to every process, while commands run in them. */
export class Activity {
  readonly #store: Store;
  readonly #noted = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Notes that a command has begun in a space; it ends with the disposal. */
  begin(row: SpaceRow): AsyncDisposable {
    let shown: Promise<string> | undefined;
    const timer = setTimeout(() => {
      shown = this.#show(row);
      // The end of the command waits for it, and tells of its failure.
      shown.catch(() => undefined);
    }, UNNOTICED_MS);
    return {
      [Symbol.asyncDispose]: async () => {
        clearTimeout(timer);
        if (shown !== undefined) await this.#hide(await shown);
        await this.#noteActive(row);
      },
    };
  }

  async #show(row: SpaceRow): Promise<string> {
    const id = randomUUID();
    await this.#store
      .insertInto("processes")
      .values({
        id,
        space_id: row.id,
        holder: PROCESS_IDENTITY,
        started_at: new Date().toISOString(),
      })
      .execute();
    return id;
  }

  async #hide(id: string): Promise<void> {
    await this.#store.deleteFrom("processes").where("id", "=", id).execute();
  }

  async #noteActive(row: SpaceRow): Promise<void> {
    const now = Date.now();
    if (now - (this.#noted.get(row.id) ?? 0) < ACTIVE_EVERY_MS) return;
    this.#noted.set(row.id, now);
    await this.#store
      .updateTable("spaces")
      .set({ last_active_at: new Date(now).toISOString() })
      .where("id", "=", row.id)
      .execute();
  }
}

/** The ids of the running spaces among these that are busy, by this process or another. */
export async function busyOf(store: Store, rows: readonly SpaceRow[]): Promise<Set<string>> {
  const running = rows.filter((row) => row.status === "running").map((row) => row.id);
  if (running.length === 0) return new Set();
  const processes = await store
    .selectFrom("processes")
    .select(["space_id", "holder"])
    .where("space_id", "in", running)
    .execute();
  const live = processes.filter((process) => livenessOf(process.holder) !== "dead");
  return new Set(live.map((process) => process.space_id));
}

/** Forgets the commands of processes that died without saying so. */
export async function forgetDead(store: Store): Promise<void> {
  const rows = await store.selectFrom("processes").select("holder").distinct().execute();
  const dead = rows.map((row) => row.holder).filter((holder) => livenessOf(holder) === "dead");
  if (dead.length === 0) return;
  await store.deleteFrom("processes").where("holder", "in", dead).execute();
}
