/** Users: made, changed and deleted by whoever may, within what they may do themselves. */
import { SpacesError } from "../../contract/errors.js";
import { newId } from "../../contract/new-id.js";
import type { User } from "../../contract/users.js";
import { localUserName } from "../../local-user.js";
import { isDuplicate } from "../../store/errors.js";
import type { Store } from "../../store/store.js";
import type { CallContext } from "../context.js";
import type { Change } from "./identity.js";
import { ADMIN_ROLE, requireHeld } from "./role-set.js";
import { revokeAll } from "./token-rows.js";
import { findUser, hasOtherAdmin, permissionsOfRoles, showUser, showUsers } from "./user-rows.js";

interface UserChange {
  readonly roles?: readonly string[] | undefined;
  readonly disabled?: boolean | undefined;
}

export class Users {
  readonly #store: Store;
  readonly #change: Change;

  constructor(store: Store, change: Change) {
    this.#store = store;
    this.#change = change;
  }

  /**
   * Adds a user.
   * @throws SpacesError `USER_EXISTS`, `ROLE_NOT_FOUND`; `PERMISSION_DENIED` for roles that allow what
   *   the caller may not do
   */
  async create(
    { actor }: CallContext,
    { name, roles }: { readonly name: string; readonly roles: readonly string[] },
  ): Promise<User> {
    // The name that the local user's row will have once it is needed.
    if (name === localUserName() && actor.id !== name) throw nameTaken(name);
    return await this.#change(async (store) => {
      requireHeld(actor.permissions, await permissionsOfRoles(store, roles), `The user "${name}"`);
      const id = name === localUserName() ? name : newId("usr");
      try {
        const row = await store
          .insertInto("users")
          .values({ id, name, created_at: new Date().toISOString() })
          .returningAll()
          .executeTakeFirstOrThrow();
        await setRoles(store, id, roles);
        return await showUser(store, row);
      } catch (cause) {
        throw isDuplicate(cause) ? nameTaken(name, cause) : cause;
      }
    });
  }

  /** @throws SpacesError `USER_NOT_FOUND` */
  async get(ref: string): Promise<User> {
    return await showUser(this.#store, await findUser(this.#store, ref));
  }

  /** All users, by name. */
  async list(): Promise<User[]> {
    const rows = await this.#store.selectFrom("users").selectAll().orderBy("name").execute();
    return await showUsers(this.#store, rows);
  }

  /**
   * Replaces a user's roles, or disables or enables it.
   * @throws SpacesError `USER_NOT_FOUND`, `ROLE_NOT_FOUND`; `PERMISSION_DENIED` for a user who may do
   *   what the caller may not, before or after the change; `CONFLICT` for the last administrator
   */
  async update({ actor }: CallContext, ref: string, change: UserChange): Promise<User> {
    return await this.#change(async (store) => {
      const row = await findUser(store, ref);
      const before = await showUser(store, row);
      const roles = change.roles ?? before.roles;
      const disabled = change.disabled ?? before.disabled;
      const after = await permissionsOfRoles(store, roles);
      requireHeld(
        actor.permissions,
        [...before.permissions, ...after],
        `The change of "${row.name}"`,
      );
      if (disabled || !roles.includes(ADMIN_ROLE)) await keepAdmin(store, before);
      if (change.roles !== undefined) await setRoles(store, row.id, roles);
      const changed = await store
        .updateTable("users")
        .set({ disabled: disabled ? 1 : 0 })
        .where("id", "=", row.id)
        .returningAll()
        .executeTakeFirstOrThrow();
      return await showUser(store, changed);
    });
  }

  /**
   * Deletes a user with its tokens and stored scripts.
   * @throws SpacesError `USER_NOT_FOUND`; `PERMISSION_DENIED` for a user who may do what the caller
   *   may not; `CONFLICT` for one with spaces, and for the last administrator
   */
  async delete({ actor }: CallContext, ref: string): Promise<void> {
    await this.#change(async (store) => {
      const row = await findUser(store, ref);
      const user = await showUser(store, row);
      requireHeld(actor.permissions, user.permissions, `The deletion of "${row.name}"`);
      await keepAdmin(store, user);
      const { count } = await store
        .selectFrom("spaces")
        .select((select) => select.fn.countAll<number>().as("count"))
        .where("owner", "=", row.id)
        .where("status", "!=", "destroyed")
        .executeTakeFirstOrThrow();
      if (count > 0) {
        const spaces = count === 1 ? "a space" : `${count} spaces`;
        throw new SpacesError("CONFLICT", `The user "${row.name}" has ${spaces}.`, {
          suggestion: "Delete the user's spaces first, or disable the user.",
          details: { spaces: count },
        });
      }
      // What was made with its tokens for others must not outlive them.
      const tokens = await store
        .selectFrom("tokens")
        .select("id")
        .where("user_id", "=", row.id)
        .execute();
      for (const { id } of tokens) await revokeAll(store, id);
      await store.deleteFrom("scripts").where("owner", "=", row.id).execute();
      await store.deleteFrom("users").where("id", "=", row.id).execute();
    });
  }
}

async function setRoles(store: Store, userId: string, roles: readonly string[]): Promise<void> {
  await store.deleteFrom("user_roles").where("user_id", "=", userId).execute();
  if (roles.length === 0) return;
  await store
    .insertInto("user_roles")
    .values(roles.map((role) => ({ user_id: userId, role })))
    .execute();
}

/** @throws SpacesError `CONFLICT` where this user is the only administrator that is not disabled */
async function keepAdmin(store: Store, user: User): Promise<void> {
  if (user.disabled || !user.roles.includes(ADMIN_ROLE)) return;
  if (await hasOtherAdmin(store, user.id)) return;
  throw new SpacesError("CONFLICT", `The user "${user.name}" is the last administrator.`, {
    suggestion: "Give another user the role admin first.",
  });
}

function nameTaken(name: string, cause?: unknown): SpacesError {
  return new SpacesError("USER_EXISTS", `A user named "${name}" exists already.`, { cause });
}
