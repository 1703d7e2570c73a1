/** Changes the user's own file, and keeps what its author wrote around. For `spaces config` and `login`. */
import { readFile } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import { userFilePath } from "./paths.js";
import { writePrivateFile } from "./private-file.js";
import { userFileSchema } from "./schema.js";
import { parseYaml, readYamlFile } from "./yaml-file.js";

const KEY =
  /^(?:url|binding|driver|profile|profiles\.[a-z0-9][a-z0-9-]{0,62}(?:\.(?:url|binding|driver))?)$/;

/**
 * Sets or removes one setting.
 * @param key such as `url` or `profiles.work.url`
 * @param value undefined removes it
 * @throws SpacesError `INVALID_INPUT` for what is no setting or cannot be its value; nothing is
 *   written then
 */
export async function changeUserFile(key: string, value: string | undefined): Promise<void> {
  const path = key.split(".");
  if (!KEY.test(key) || (value !== undefined && path.length === 2)) throw noSetting(key);
  const file = userFilePath();
  await readYamlFile(file, userFileSchema);
  const { document } = parseYaml(file, await textOf(file));
  if (value === undefined) document.deleteIn(path);
  else document.setIn(path, value);
  const checked = userFileSchema.safeParse(document.toJS() ?? {});
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new SpacesError("INVALID_INPUT", `${key}: ${issue?.message ?? "is not valid"}`, {
      suggestion: "Give another value.",
    });
  }
  await writePrivateFile(file, document.toString());
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

function noSetting(key: string): SpacesError {
  const isToken = key === "token" || key.endsWith(".token");
  return new SpacesError("INVALID_INPUT", `"${key.slice(0, 80)}" cannot be set.`, {
    suggestion: isToken
      ? "Store a token with `spaces login`, which keeps it off the command line."
      : "Settings are url, binding, driver, profile and profiles.<name>.<url|binding|driver>.",
  });
}
