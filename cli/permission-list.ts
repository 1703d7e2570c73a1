/** Reads the lists of permissions and roles that people give to options, separated by commas. */
import { SpacesError } from "../runtime/contract/errors.js";
import { ALL_PERMISSIONS, type Permission } from "../runtime/contract/permissions.js";

/** The words of a list such as `a,b`; none for an empty text. */
export function parseNames(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/**
 * Reads permissions such as `RunCommands,CopyFiles`.
 * @param option the option that errors name
 * @returns the permissions, none for an empty text; `INVALID_INPUT` for what is none
 */
export function parsePermissions(text: string, option: string): Permission[] {
  return parseNames(text).map((name) => {
    const found = ALL_PERMISSIONS.find(
      (permission) => permission.toLowerCase() === name.toLowerCase(),
    );
    if (found !== undefined) return found;
    throw new SpacesError(
      "INVALID_INPUT",
      `${option} names no permission "${name.slice(0, 80)}".`,
      {
        suggestion: `The permissions are ${ALL_PERMISSIONS.join(", ")}.`,
      },
    );
  });
}
