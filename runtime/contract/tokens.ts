/** Tokens: what a caller of a server proves itself with. Shown once, stored hashed. */
import { z } from "zod";
import { permissionSchema } from "./permissions.js";
import { errorsOf, procedure } from "./procedure.js";
import { userRefSchema } from "./users.js";
import { textSchema, timestampSchema } from "./values.js";

/** Ten years. */
const LONGEST_LIFE_MS = 315_360_000_000;

const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  user: z.object({ id: z.string(), name: z.string() }),
  /** `script`: made for a script that runs in a space. */
  kind: z.enum(["user", "script"]),
  /** The permissions that it is limited to; absent where it has all of its user's. */
  scope: z.array(permissionSchema).optional(),
  createdAt: timestampSchema,
  expiresAt: timestampSchema.optional(),
  /** To the minute. */
  lastUsedAt: timestampSchema.optional(),
  revokedAt: timestampSchema.optional(),
});
export type Token = z.infer<typeof tokenSchema>;

export const tokensContract = {
  create: procedure
    .route({
      method: "POST",
      path: "/tokens",
      successStatus: 201,
      summary: "Make a token; its text is in this answer and nowhere else",
    })
    .meta({ audited: true })
    .errors(errorsOf("USER_NOT_FOUND", "PERMISSION_DENIED"))
    .input(
      z.strictObject({
        name: textSchema(128).min(1, "must not be empty"),
        /** Whose token; one's own when absent. Another's needs `ManageUsers`. */
        user: userRefSchema.optional(),
        /** Limits it to these permissions, none of which the caller may lack. */
        scope: z.array(permissionSchema).max(64).optional(),
        /** Milliseconds until it expires. */
        expiresInMs: z.number().positive().max(LONGEST_LIFE_MS).optional(),
      }),
    )
    .output(tokenSchema.extend({ token: z.string() })),

  list: procedure
    .route({ method: "GET", path: "/tokens", summary: "List one's tokens, or those of a user" })
    .meta({ idempotent: true })
    .errors(errorsOf("USER_NOT_FOUND", "PERMISSION_DENIED"))
    .input(z.strictObject({ user: userRefSchema.optional() }).default({}))
    .output(z.object({ items: z.array(tokenSchema) })),

  revoke: procedure
    .route({
      method: "DELETE",
      path: "/tokens/{token}",
      summary: "Revoke a token and all that were made with it; streams that it opened end",
    })
    .meta({ audited: true, idempotent: true })
    .errors(errorsOf("TOKEN_NOT_FOUND"))
    .input(
      z.strictObject({
        token: z.string().regex(/^tok_[0-9a-v]{20}$/, "must be the id of a token"),
      }),
    )
    .output(z.object({})),
};
