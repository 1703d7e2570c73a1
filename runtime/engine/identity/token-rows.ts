/** Tokens in the store: who made which, and what the contract shows of them. */
import { sql } from "kysely";
import type { Token } from "../../contract/tokens.js";
import type { Store } from "../../store/store.js";
import type { TokenRow } from "../../store/tables.js";
import { permissionsFrom } from "./role-set.js";

/** The ids of a token and of all that were made with it, directly or not. */
export async function lineageOf(store: Store, id: string): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    with recursive lineage(id) as (
      select id from tokens where id = ${id}
      union
      select tokens.id from tokens join lineage on tokens.parent_id = lineage.id
    )
    select id from lineage`.execute(store);
  return new Set(rows.map((row) => row.id));
}

/** Revokes a token and all that were made with it; within a transaction. */
export async function revokeAll(store: Store, id: string): Promise<void> {
  await store
    .updateTable("tokens")
    .set({ revoked_at: new Date().toISOString() })
    .where("id", "in", [...(await lineageOf(store, id))])
    .where("revoked_at", "is", null)
    .execute();
}

/** A token as the contract shows it. */
export function tokenOf(row: TokenRow, userName: string): Token {
  return {
    id: row.id,
    name: row.name,
    user: { id: row.user_id, name: userName },
    kind: row.kind,
    ...(row.scope === null ? {} : { scope: permissionsFrom(row.scope) }),
    createdAt: row.created_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
  };
}
