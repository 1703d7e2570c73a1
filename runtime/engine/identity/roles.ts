/** Roles that users add, beside the built-in ones. */
import { SpacesError } from "../../contract/errors.js";
import type { Permission } from "../../contract/permissions.js";
import type { Role } from "../../contract/users.js";
import type { Store } from "../../store/store.js";
import type { RoleRow } from "../../store/tables.js";
import type { CallContext } from "../context.js";
import type { Change } from "./identity.js";
import { BUILTIN_ROLES, inOrder, permissionsFrom, requireHeld } from "./role-set.js";

interface SaveRequest {
  readonly role: string;
  readonly description?: string | undefined;
  readonly permissions: readonly Permission[];
}

export class Roles {
  readonly #store: Store;
  readonly #change: Change;

  constructor(store: Store, change: Change) {
    this.#store = store;
    this.#change = change;
  }

  /** The built-in roles, then the others by name. */
  async list(): Promise<Role[]> {
    const rows = await this.#store.selectFrom("roles").selectAll().orderBy("name").execute();
    return [...BUILTIN_ROLES.values(), ...rows.map(roleOf)];
  }

  /**
   * Adds or replaces a role; who has it may do at once what it says.
   * @throws SpacesError `CONFLICT` for a built-in one; `PERMISSION_DENIED` for one that allows what the
   *   caller may not do, before or after the change
   */
  async save({ actor }: CallContext, request: SaveRequest): Promise<Role> {
    refuseBuiltin(request.role);
    return await this.#change(async (store) => {
      const known = await store
        .selectFrom("roles")
        .selectAll()
        .where("name", "=", request.role)
        .executeTakeFirst();
      const before = known === undefined ? [] : permissionsFrom(known.permissions);
      requireHeld(
        actor.permissions,
        [...before, ...request.permissions],
        `The role "${request.role}"`,
      );
      const change = {
        description: request.description ?? known?.description ?? "",
        permissions: JSON.stringify(inOrder(request.permissions)),
        updated_at: new Date().toISOString(),
      };
      const row = await store
        .insertInto("roles")
        .values({ name: request.role, ...change })
        .onConflict((conflict) => conflict.column("name").doUpdateSet(change))
        .returningAll()
        .executeTakeFirstOrThrow();
      return roleOf(row);
    });
  }

  /** @throws SpacesError `ROLE_NOT_FOUND`; `CONFLICT` for a built-in one, and one that a user has */
  async delete(name: string): Promise<void> {
    refuseBuiltin(name);
    await this.#change(async (store) => {
      const { count } = await store
        .selectFrom("user_roles")
        .select((select) => select.fn.countAll<number>().as("count"))
        .where("role", "=", name)
        .executeTakeFirstOrThrow();
      if (count > 0) {
        const users = count === 1 ? "A user has" : `${count} users have`;
        throw new SpacesError("CONFLICT", `${users} the role "${name}".`, {
          suggestion: "Take the role from its users first.",
          details: { users: count },
        });
      }
      const { numDeletedRows } = await store
        .deleteFrom("roles")
        .where("name", "=", name)
        .executeTakeFirst();
      if (numDeletedRows === 0n) {
        throw new SpacesError("ROLE_NOT_FOUND", `There is no role "${name}".`);
      }
    });
  }
}

function refuseBuiltin(name: string): void {
  if (!BUILTIN_ROLES.has(name)) return;
  throw new SpacesError("CONFLICT", `The role "${name}" is built in.`, {
    suggestion: "Save a role of another name.",
  });
}

function roleOf(row: RoleRow): Role {
  return {
    name: row.name,
    description: row.description,
    permissions: permissionsFrom(row.permissions),
    builtin: false,
  };
}
