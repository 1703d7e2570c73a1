/** Finds users and roles in the store, and turns their rows into what the contract shows. */
import { SpacesError } from "../../contract/errors.js";
import type { Actor, Permission } from "../../contract/permissions.js";
import type { User } from "../../contract/users.js";
import type { Store } from "../../store/store.js";
import type { UserRow } from "../../store/tables.js";
import { refused } from "./authenticator.js";
import { permissionsOfRole } from "./principals.js";
import { ADMIN_ROLE, BUILTIN_ROLES, inOrder, permissionsFrom } from "./role-set.js";

/** @throws SpacesError `USER_NOT_FOUND` */
export async function findUser(store: Store, ref: string): Promise<UserRow> {
  const row = await store
    .selectFrom("users")
    .selectAll()
    .where((where) => where.or([where("id", "=", ref), where("name", "=", ref)]))
    .executeTakeFirst();
  if (row === undefined) throw new SpacesError("USER_NOT_FOUND", `There is no user "${ref}".`);
  return row;
}

/**
 * Checks, within a transaction that adds something of an actor's, that its user has not been deleted
 * or disabled since the call began: nothing may be left behind that belongs to nobody.
 * @throws SpacesError `UNAUTHENTICATED`
 */
export async function requireUser(store: Store, actor: Actor): Promise<void> {
  // The local user acts without a token, and without a row.
  if (actor.token === undefined) return;
  const row = await store
    .selectFrom("users")
    .select("disabled")
    .where("id", "=", actor.id)
    .executeTakeFirst();
  if (row === undefined || row.disabled === 1) throw refused("disabled");
}

/** Users as the contract shows them, in the order of the rows. */
export async function showUsers(store: Store, rows: readonly UserRow[]): Promise<User[]> {
  if (rows.length === 0) return [];
  const assigned = await store
    .selectFrom("user_roles")
    .leftJoin("roles", "roles.name", "user_roles.role")
    .select(["user_roles.user_id", "user_roles.role", "roles.permissions"])
    .where(
      "user_roles.user_id",
      "in",
      rows.map((row) => row.id),
    )
    .orderBy("user_roles.role")
    .execute();
  return rows.map((row) => {
    const own = assigned.filter(({ user_id }) => user_id === row.id);
    return {
      id: row.id,
      name: row.name,
      roles: own.map(({ role }) => role),
      permissions: inOrder(
        own.flatMap(({ role, permissions }) => permissionsOfRole(role, permissions)),
      ),
      disabled: row.disabled === 1,
      createdAt: row.created_at,
    };
  });
}

/** One user as the contract shows it. */
export async function showUser(store: Store, row: UserRow): Promise<User> {
  const [user] = await showUsers(store, [row]);
  if (user === undefined) throw new SpacesError("INTERNAL", "A user could not be shown.");
  return user;
}

/** What these roles allow together. @throws SpacesError `ROLE_NOT_FOUND` */
export async function permissionsOfRoles(
  store: Store,
  names: readonly string[],
): Promise<Permission[]> {
  const stored = await store.selectFrom("roles").select(["name", "permissions"]).execute();
  const byName = new Map(stored.map((role) => [role.name, role.permissions]));
  return inOrder(
    names.flatMap((name) => {
      const builtin = BUILTIN_ROLES.get(name);
      if (builtin !== undefined) return builtin.permissions;
      const permissions = byName.get(name);
      if (permissions === undefined) {
        throw new SpacesError("ROLE_NOT_FOUND", `There is no role "${name}".`);
      }
      return permissionsFrom(permissions);
    }),
  );
}

/** Whether a user other than this one is an administrator who is not disabled. */
export async function hasOtherAdmin(store: Store, userId: string): Promise<boolean> {
  const other = await store
    .selectFrom("users")
    .innerJoin("user_roles", "user_roles.user_id", "users.id")
    .select("users.id")
    .where("user_roles.role", "=", ADMIN_ROLE)
    .where("users.disabled", "=", 0)
    .where("users.id", "!=", userId)
    .limit(1)
    .executeTakeFirst();
  return other !== undefined;
}
