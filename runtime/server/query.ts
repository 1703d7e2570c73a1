/** Checks queries before they are read: what they say twice or in disguise is refused. */
import { SpacesError } from "../contract/errors.js";
import type { Operation } from "./api.js";

const RESERVED = new Set(["__proto__", "constructor", "prototype"]);
const LONGEST = 8192;

/**
 * @throws SpacesError `INVALID_INPUT` for a query that names a value twice, or one that the path
 *   carries, or a reserved key; and for any query where the input comes in the body
 */
export function checkQuery(query: URLSearchParams, operation: Operation): void {
  const text = query.toString();
  if (text === "") return;
  if (text.length > LONGEST) throw refused(`is longer than ${LONGEST} characters`);
  if (!operation.inQuery) throw refused("is not read: the input of this operation is its body");
  const seen = new Set<string>();
  for (const name of query.keys()) {
    const shown = name.slice(0, 64);
    if (seen.has(name)) throw refused(`has "${shown}" twice`);
    seen.add(name);
    if (operation.params.has(name)) throw refused(`has "${shown}", which the path carries`);
    const parts = name.split(/[[\]]+/);
    if (parts.some((part) => RESERVED.has(part))) throw refused(`has the reserved key "${shown}"`);
  }
}

function refused(why: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `The query ${why}.`);
}
