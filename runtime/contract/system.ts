/** The system: which binding answers, and what it can use. */
import { z } from "zod";
import { permissionSchema } from "./permissions.js";
import { procedure } from "./procedure.js";
import { timestampSchema } from "./values.js";

const driverInfoSchema = z.object({
  name: z.string(),
  usable: z.boolean(),
  /** The driver that a space gets when neither it nor its template names one. */
  isDefault: z.boolean(),
  version: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  features: z.object({
    nativePrograms: z.boolean(),
    images: z.boolean(),
    network: z.array(z.string()),
    limits: z.array(z.string()),
    streaming: z.boolean(),
    pty: z.boolean(),
    ports: z.boolean(),
  }),
});

export const systemInfoSchema = z.object({
  version: z.string(),
  /** `in-process` or `remote`. */
  binding: z.enum(["in-process", "remote"]),
  installation: z.string(),
  /** Host path of the data directory; local bindings only. */
  dataDir: z.string().optional(),
  actor: z.object({ id: z.string(), name: z.string(), permissions: z.array(z.string()) }),
  drivers: z.array(driverInfoSchema),
});
export type SystemInfo = z.infer<typeof systemInfoSchema>;

const whoamiSchema = z.object({
  id: z.string(),
  name: z.string(),
  roles: z.array(z.string()),
  /** What this caller may do, within what its token is limited to. */
  permissions: z.array(permissionSchema),
  /** The token of the call; absent for a local user. */
  token: z
    .object({
      id: z.string(),
      name: z.string(),
      kind: z.enum(["user", "script"]),
      expiresAt: timestampSchema.optional(),
    })
    .optional(),
});
export type Whoami = z.infer<typeof whoamiSchema>;

export const systemContract = {
  info: procedure
    .route({ method: "GET", path: "/system/info", summary: "What answers, and what it can use" })
    .meta({ idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(systemInfoSchema),

  whoami: procedure
    .route({ method: "GET", path: "/system/whoami", summary: "Who the caller is, and may do what" })
    .meta({ idempotent: true })
    .input(z.strictObject({}).default({}))
    .output(whoamiSchema),
};
