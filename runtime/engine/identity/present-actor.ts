/** Who a user is now: for what is done in its name without a call of its own, such as a schedule's jobs. */
import type { Actor, Permission } from "../../contract/permissions.js";
import { localUserName } from "../../local-user.js";
import type { Store } from "../../store/store.js";
import { localActor } from "./local-user.js";
import { within } from "./principals.js";
import { showUser } from "./user-rows.js";

/** The actor, or why there is none. */
export type PresentActor = { readonly actor: Actor } | { readonly refusal: "deleted" | "disabled" };

/**
 * The actor of a user, with what its roles allow at this moment.
 * @param id the user's; the operating system's user needs no row in the store
 * @param scope what the actor is limited to whatever the user may
 */
export async function presentActor(
  store: Store,
  id: string,
  scope: ReadonlySet<Permission> | undefined,
): Promise<PresentActor> {
  const row = await store.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) {
    return id === localUserName()
      ? { actor: limited(localActor(), scope) }
      : { refusal: "deleted" };
  }
  if (row.disabled === 1) return { refusal: "disabled" };
  const { name, roles, permissions } = await showUser(store, row);
  return { actor: limited({ id, name, roles, permissions: new Set(permissions) }, scope) };
}

function limited(actor: Actor, scope: ReadonlySet<Permission> | undefined): Actor {
  if (scope === undefined) return actor;
  return { ...actor, permissions: within(actor.permissions, scope), scope };
}
