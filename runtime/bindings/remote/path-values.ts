/** Checks the values that stand in the path of a request; the link and attachments call it. */
import { SpacesError } from "../../contract/errors.js";

/** No id or name of the contract is longer than a few dozen. */
const LONGEST = 1024;

/**
 * Refuses what cannot stand in a path: with `..` the request would reach another route.
 * @param name of the value, as the error shows it
 * @throws SpacesError `INVALID_INPUT`
 */
export function checkPathValue(name: string, value: unknown): void {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text === "string" && text.length <= LONGEST && /^(?!\.{0,2}$)/.test(text)) {
    // A half of a surrogate pair cannot be encoded.
    if (/^[^\ud800-\udfff]*$/u.test(text)) return;
  }
  throw new SpacesError("INVALID_INPUT", `${name}: must be an id or a name`);
}
