/**
 * The user of the operating system, who owns the data directory. In process it needs no token; its
 * row in the store is made when a token of its is to be made, so that a server knows it too.
 */
import { SpacesError } from "../../contract/errors.js";
import { type Actor, ALL_PERMISSIONS } from "../../contract/permissions.js";
import { localUserName } from "../../local-user.js";
import type { Store } from "../../store/store.js";
import type { UserRow } from "../../store/tables.js";
import { ADMIN_ROLE } from "./role-set.js";

/** The user of the operating system, who may do everything. */
export function localActor(): Actor {
  const name = localUserName();
  return { id: name, name, permissions: new Set(ALL_PERMISSIONS), roles: [ADMIN_ROLE] };
}

/**
 * The local user's row, made as an administrator where it is missing.
 * @param store a transaction
 * @throws SpacesError `CONFLICT` where another user has taken the name
 */
export async function ensureLocalUser(store: Store): Promise<UserRow> {
  const id = localUserName();
  const known = await store
    .selectFrom("users")
    .selectAll()
    .where((where) => where.or([where("id", "=", id), where("name", "=", id)]))
    .executeTakeFirst();
  if (known !== undefined && known.id !== id) {
    throw new SpacesError("CONFLICT", `Another user is called "${id}", as your local user is.`, {
      suggestion: "Delete that user, and create it under another name.",
    });
  }
  if (known !== undefined) return known;
  const made = await store
    .insertInto("users")
    .values({ id, name: id, created_at: new Date().toISOString() })
    .returningAll()
    .executeTakeFirstOrThrow();
  await store.insertInto("user_roles").values({ user_id: id, role: ADMIN_ROLE }).execute();
  return made;
}
