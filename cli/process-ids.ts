/** Names processes: short ids for people, and the process that a given id means. */
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";

const FULL = /^[0-9a-f]{32}$/;
const PREFIX = /^[0-9a-f]{6,32}$/;
const SHOWN_DIGITS = 12;

/** A process, as calls of the contract name it. */
export interface Target {
  readonly space: string;
  /** The full id. */
  readonly process: string;
}

/** The id as people see it. */
export function shortId(id: string): string {
  return id.slice(0, SHOWN_DIGITS);
}

/**
 * Finds the process that an id or the beginning of one means.
 * @param given at least 6 hexadecimal digits
 * @throws SpacesError `INVALID_INPUT` for what is no id and for digits that several ids begin with,
 *   `PROCESS_NOT_FOUND`, and what `processes.list` throws
 */
export async function findProcess(
  client: Client,
  space: string,
  given: string,
  signal: AbortSignal,
): Promise<Target> {
  if (!PREFIX.test(given)) {
    throw new SpacesError("INVALID_INPUT", `"${given.slice(0, 80)}" is no id of a process.`, {
      suggestion: `Give an id of \`spaces ps ${space}\`, or at least its first 6 digits.`,
    });
  }
  if (FULL.test(given)) return { space, process: given };
  const { items } = await client.processes.list({ space }, { signal });
  const [found, ...others] = items.filter(({ id }) => id.startsWith(given));
  if (found === undefined) {
    throw new SpacesError("PROCESS_NOT_FOUND", `The id of no process begins with ${given}.`, {
      suggestion: `List the processes with \`spaces ps ${space}\`.`,
    });
  }
  if (others.length > 0) {
    throw new SpacesError(
      "INVALID_INPUT",
      `The ids of ${others.length + 1} processes begin with ${given}.`,
      { suggestion: "Give more of its digits." },
    );
  }
  return { space, process: found.id };
}
