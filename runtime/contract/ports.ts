/** Port forwards: a port of one space, or of the host, that reaches a port of another space. */
import { z } from "zod";
import { spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { timestampSchema } from "./values.js";

const portSchema = z
  .number()
  .int("must be a whole number")
  .min(1, "must be from 1 to 65535")
  .max(65_535, "must be from 1 to 65535");

const forwardSchema = z.object({
  /** Id and name of the space that listens; absent where the host does. */
  source: z.object({ id: z.string(), name: z.string() }).optional(),
  localPort: z.number().int(),
  remote: z.object({ id: z.string(), name: z.string() }),
  remotePort: z.number().int(),
  /** `waiting` until both spaces run. */
  state: z.enum(["active", "waiting"]),
  createdAt: timestampSchema,
});
export type Forward = z.infer<typeof forwardSchema>;

export const portsContract = {
  forward: procedure
    .route({
      method: "POST",
      path: "/spaces/{space}/ports",
      successStatus: 201,
      summary: "Forward a port of a space's loopback to a port of another space's loopback",
    })
    .meta({ permission: "RunCommands", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "SPACE_NOT_RUNNING", "PORT_IN_USE", "UNSUPPORTED"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        localPort: portSchema,
        remote: spaceRefSchema,
        remotePort: portSchema,
      }),
    )
    .output(forwardSchema),

  open: procedure
    .route({
      method: "POST",
      path: "/spaces/{space}/ports/open",
      successStatus: 201,
      summary: "Listen on 127.0.0.1 of the host and reach a port of the space's loopback",
    })
    .meta({ permission: "RunCommands", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "SPACE_NOT_RUNNING", "PORT_IN_USE", "UNSUPPORTED"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        port: portSchema,
        /** Port of the host; the same as `port` when absent. */
        hostPort: portSchema.optional(),
      }),
    )
    .output(forwardSchema),

  list: procedure
    .route({
      method: "GET",
      path: "/spaces/{space}/ports",
      summary: "List the forwards that begin in a space, and the host's that lead to it",
    })
    .meta({ permission: "UseSpaces", idempotent: true })
    .errors(errorsOf("SPACE_NOT_FOUND"))
    .input(z.strictObject({ space: spaceRefSchema }))
    .output(z.object({ items: z.array(forwardSchema) })),

  stop: procedure
    .route({
      method: "DELETE",
      path: "/spaces/{space}/ports/{localPort}",
      summary: "End the forward that begins at a port of a space",
    })
    .meta({ permission: "RunCommands", audited: true })
    .errors(errorsOf("SPACE_NOT_FOUND", "FORWARD_NOT_FOUND"))
    .input(
      z.strictObject({
        space: spaceRefSchema,
        localPort: portSchema,
        /** Ends the host's forward that leads to the space instead. */
        host: z.boolean().optional(),
      }),
    )
    .output(z.object({})),
};
