/** Roles as sets of permissions: the built-in ones, and how stored ones are read. */
import { SpacesError } from "../../contract/errors.js";
import { ALL_PERMISSIONS, type Permission } from "../../contract/permissions.js";
import type { Role } from "../../contract/users.js";

export const ADMIN_ROLE = "admin";

/** The roles that are always there and cannot be changed. */
export const BUILTIN_ROLES: ReadonlyMap<string, Role> = new Map(
  [
    {
      name: ADMIN_ROLE,
      description: "May do everything.",
      permissions: [...ALL_PERMISSIONS],
      builtin: true,
    },
    {
      name: "user",
      description: "May use spaces of one's own, and run commands and scripts in them.",
      permissions: [
        "UseSpaces",
        "RunCommands",
        "CopyFiles",
        "ManageScripts",
        "ExecuteScripts",
        "ManageSchedules",
      ] satisfies Permission[],
      builtin: true,
    },
  ].map((role) => [role.name, role]),
);

/** Permissions from their stored form. One that this version does not know allows nothing. */
export function permissionsFrom(json: string): Permission[] {
  const stored = new Set(JSON.parse(json) as string[]);
  return ALL_PERMISSIONS.filter((permission) => stored.has(permission));
}

/** These permissions in the order of the registry, each once. */
export function inOrder(permissions: Iterable<Permission>): Permission[] {
  const given = new Set(permissions);
  return ALL_PERMISSIONS.filter((permission) => given.has(permission));
}

/**
 * Checks that a caller has all that it is about to give away.
 * @param what what it would give, as errors name it
 * @throws SpacesError `PERMISSION_DENIED`, naming what is lacking
 */
export function requireHeld(
  held: ReadonlySet<Permission>,
  given: Iterable<Permission>,
  what: string,
): void {
  const lacking = inOrder(given).filter((permission) => !held.has(permission));
  if (lacking.length === 0) return;
  throw new SpacesError(
    "PERMISSION_DENIED",
    `${what} would give ${lacking.join(", ")}, which you do not have yourself.`,
    { suggestion: "Ask for less, or ask somebody who has these permissions." },
  );
}
