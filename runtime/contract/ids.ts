/** Ids and names: the forms that are accepted from outside. */
import { z } from "zod";

const NAME_RULE =
  "must start with a lower-case letter or digit and hold only lower-case letters, digits and hyphens, 63 at most";

/** The name of a space, template or stored script. */
export const nameSchema = z
  .string()
  .max(63, NAME_RULE)
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, NAME_RULE);

/** A space, by id (`spc_…`) or by name. */
export const spaceRefSchema = z
  .string()
  .max(63, "must be the id or the name of a space")
  .regex(/^(spc_[0-9a-v]{20}|[a-z0-9][a-z0-9-]{0,62})$/, "must be the id or the name of a space");

/** The name of a field as a template defines it. */
export const fieldNameSchema = z
  .string()
  .max(64, "must be 64 characters at most")
  .regex(
    /^[A-Za-z][A-Za-z0-9_-]*$/,
    "must start with a letter and hold only letters, digits, hyphens and underscores",
  );
