/** Which spaces are busy: those in which a command is under way that somebody waits for. */
import { randomUUID } from "node:crypto";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";
import { livenessOf, PROCESS_IDENTITY } from "./process-identity.js";

/** Shows a space as busy, to every process, until disposed. */
export async function markBusy(store: Store, row: SpaceRow): Promise<AsyncDisposable> {
  const id = randomUUID();
  await store
    .insertInto("processes")
    .values({
      id,
      space_id: row.id,
      holder: PROCESS_IDENTITY,
      started_at: new Date().toISOString(),
    })
    .execute();
  return {
    async [Symbol.asyncDispose]() {
      await store.deleteFrom("processes").where("id", "=", id).execute();
      await store
        .updateTable("spaces")
        .set({ last_active_at: new Date().toISOString() })
        .where("id", "=", row.id)
        .execute();
    },
  };
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
