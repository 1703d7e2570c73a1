/** Reads who stands behind tokens: the user, its roles, and what both together allow. */
import type { Actor, Permission } from "../../contract/permissions.js";
import type { Store } from "../../store/store.js";
import type { TokenRow } from "../../store/tables.js";
import { BUILTIN_ROLES, permissionsFrom } from "./role-set.js";

/** A token with its user, as both are now. */
export interface Principal {
  readonly token: TokenRow;
  readonly userName: string;
  readonly disabled: boolean;
  readonly roles: readonly string[];
  /** What the user's roles allow, within the token's scope. */
  readonly permissions: ReadonlySet<Permission>;
}

/** Why a principal may not act; undefined where it may. */
export type Refusal = "revoked" | "expired" | "disabled" | undefined;

/** The principals of tokens, by one column of theirs. One query, whatever their number. */
export async function principalsOf(
  store: Store,
  column: "id" | "hash",
  values: readonly string[],
): Promise<Principal[]> {
  const rows = await store
    .selectFrom("tokens")
    .innerJoin("users", "users.id", "tokens.user_id")
    .leftJoin("user_roles", "user_roles.user_id", "users.id")
    .leftJoin("roles", "roles.name", "user_roles.role")
    .selectAll("tokens")
    .select([
      "users.name as userName",
      "users.disabled as disabled",
      "user_roles.role as role",
      "roles.permissions as rolePermissions",
    ])
    .where(`tokens.${column}`, "in", values)
    .orderBy("user_roles.role")
    .execute();
  const found = new Map<
    string,
    { row: (typeof rows)[number]; roles: string[]; allowed: Set<Permission> }
  >();
  for (const row of rows) {
    const entry = found.get(row.id) ?? { row, roles: [], allowed: new Set<Permission>() };
    found.set(row.id, entry);
    if (row.role === null) continue;
    entry.roles.push(row.role);
    for (const permission of permissionsOfRole(row.role, row.rolePermissions)) {
      entry.allowed.add(permission);
    }
  }
  return [...found.values()].map(({ row, roles, allowed }) => {
    const { userName, disabled, role: _, rolePermissions: __, ...token } = row;
    return {
      token,
      userName,
      disabled: disabled === 1,
      roles,
      permissions: within(allowed, scopeOf(token)),
    };
  });
}

/** What a role allows. @param stored its row's permissions, JSON; null where it has no row */
export function permissionsOfRole(role: string, stored: string | null): readonly Permission[] {
  return BUILTIN_ROLES.get(role)?.permissions ?? (stored === null ? [] : permissionsFrom(stored));
}

/** What a token is limited to; undefined where nothing limits it. */
export function scopeOf(token: TokenRow): ReadonlySet<Permission> | undefined {
  return token.scope === null ? undefined : new Set(permissionsFrom(token.scope));
}

/** The permissions that are also in the scope. */
export function within(
  permissions: ReadonlySet<Permission>,
  scope: ReadonlySet<Permission> | undefined,
): ReadonlySet<Permission> {
  if (scope === undefined) return permissions;
  return new Set([...permissions].filter((permission) => scope.has(permission)));
}

/** Whether a principal may act now. */
export function refusalOf({ token, disabled }: Principal): Refusal {
  if (token.revoked_at !== null) return "revoked";
  if (isExpired(token)) return "expired";
  return disabled ? "disabled" : undefined;
}

export function isExpired({ expires_at }: Pick<TokenRow, "expires_at">): boolean {
  return expires_at !== null && Date.parse(expires_at) <= Date.now();
}

/** The principal as the caller of a call. */
export function actorOf(principal: Principal): Actor {
  const { token, userName, roles, permissions } = principal;
  const scope = scopeOf(token);
  return {
    id: token.user_id,
    name: userName,
    permissions,
    roles,
    ...(scope === undefined ? {} : { scope }),
    token: {
      id: token.id,
      name: token.name,
      kind: token.kind,
      ...(token.expires_at === null ? {} : { expiresAt: token.expires_at }),
    },
  };
}
