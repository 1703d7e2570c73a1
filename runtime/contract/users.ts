/** Users of a server, and the roles that say what each may do. */
import { z } from "zod";
import { nameSchema } from "./ids.js";
import { permissionSchema } from "./permissions.js";
import { errorsOf, procedure } from "./procedure.js";
import { textSchema, timestampSchema } from "./values.js";

/** A user, by id (`usr_…`) or by name. */
export const userRefSchema = z
  .string()
  .max(63, "must be the id or the name of a user")
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$/, "must be the id or the name of a user");

const userSchema = z.object({
  id: z.string(),
  name: z.string(),
  roles: z.array(z.string()),
  /** What the roles allow together. */
  permissions: z.array(permissionSchema),
  /** Tokens of a disabled user are refused. */
  disabled: z.boolean(),
  createdAt: timestampSchema,
});
export type User = z.infer<typeof userSchema>;

const rolesSchema = z.array(nameSchema).max(32).refine(isUnique, "must not name a role twice");

const roleSchema = z.object({
  name: z.string(),
  description: z.string(),
  permissions: z.array(permissionSchema),
  builtin: z.boolean(),
});
export type Role = z.infer<typeof roleSchema>;

function isUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

const byUser = z.strictObject({ user: userRefSchema });
const byRole = z.strictObject({ role: nameSchema });

export const usersContract = {
  create: procedure
    .route({ method: "POST", path: "/users", successStatus: 201, summary: "Create a user" })
    .meta({ permission: "ManageUsers", audited: true })
    .errors(errorsOf("USER_EXISTS", "ROLE_NOT_FOUND"))
    .input(z.strictObject({ name: nameSchema, roles: rolesSchema.default(["user"]) }))
    .output(userSchema),

  get: procedure
    .route({ method: "GET", path: "/users/{user}", summary: "Get a user" })
    .meta({ permission: "ManageUsers", idempotent: true })
    .errors(errorsOf("USER_NOT_FOUND"))
    .input(byUser)
    .output(userSchema),

  list: procedure
    .route({ method: "GET", path: "/users", summary: "List the users" })
    .meta({ permission: "ManageUsers", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(userSchema) })),

  update: procedure
    .route({ method: "PATCH", path: "/users/{user}", summary: "Change a user" })
    .meta({ permission: "ManageUsers", audited: true })
    .errors(errorsOf("USER_NOT_FOUND", "ROLE_NOT_FOUND", "CONFLICT"))
    .input(
      z.strictObject({
        user: userRefSchema,
        /** Replaces the roles. */
        roles: rolesSchema.optional(),
        disabled: z.boolean().optional(),
      }),
    )
    .output(userSchema),

  delete: procedure
    .route({ method: "DELETE", path: "/users/{user}", summary: "Delete a user without spaces" })
    .meta({ permission: "ManageUsers", audited: true })
    .errors(errorsOf("USER_NOT_FOUND", "CONFLICT"))
    .input(byUser)
    .output(z.object({})),
};

export const rolesContract = {
  list: procedure
    .route({ method: "GET", path: "/roles", summary: "List the roles" })
    .meta({ permission: "ManageUsers", idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(z.object({ items: z.array(roleSchema) })),

  save: procedure
    .route({ method: "PUT", path: "/roles/{role}", summary: "Add or replace a role" })
    .meta({ permission: "ManageUsers", audited: true, idempotent: true })
    .errors(errorsOf("CONFLICT"))
    .input(
      z.strictObject({
        role: nameSchema,
        description: textSchema(1024).optional(),
        permissions: z.array(permissionSchema).max(64),
      }),
    )
    .output(roleSchema),

  delete: procedure
    .route({ method: "DELETE", path: "/roles/{role}", summary: "Delete a role that nobody has" })
    .meta({ permission: "ManageUsers", audited: true })
    .errors(errorsOf("ROLE_NOT_FOUND", "CONFLICT"))
    .input(byRole)
    .output(z.object({})),
};
