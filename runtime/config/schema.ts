/** What configuration files may hold. */
import { z } from "zod";
import { SpacesError } from "../contract/errors.js";
import { nameSchema } from "../contract/ids.js";
import { parseServerUrl } from "./server-address.js";

/** The URL of a server, in its one form. */
const urlSchema = z.string().transform((text, context) => {
  try {
    return parseServerUrl(text).url;
  } catch (error) {
    if (!SpacesError.isInstance(error)) throw error;
    context.addIssue({ code: "custom", message: error.message });
    return z.NEVER;
  }
});

const settingsShape = {
  url: urlSchema.optional(),
  binding: z.enum(["auto", "local", "remote"]).optional(),
  driver: nameSchema.optional(),
};

const tokenSchema = z.string().regex(/^[\x21-\x7e]{1,4096}$/, "must be one word");

/** A project's file. It holds no token: it is shared, and anybody may have written it. */
export const projectFileSchema = z.strictObject({
  ...settingsShape,
  profile: nameSchema.optional(),
});
export type ProjectSettings = z.infer<typeof projectFileSchema>;

const profileSchema = z.strictObject({ ...settingsShape, token: tokenSchema.optional() });
export type Profile = z.infer<typeof profileSchema>;

/** The user's own file. */
export const userFileSchema = z.strictObject({
  ...settingsShape,
  token: tokenSchema.optional(),
  /** The profile that counts when none is named. */
  profile: nameSchema.optional(),
  profiles: z.record(nameSchema, profileSchema).optional(),
});
export type UserSettings = z.infer<typeof userFileSchema>;

/** Tokens by the URL that they are for. */
export const credentialsSchema = z.strictObject({
  tokens: z.record(z.string(), z.strictObject({ token: tokenSchema, user: z.string().optional() })),
});
export type Credentials = z.infer<typeof credentialsSchema>;
