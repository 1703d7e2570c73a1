/** The words for a space's status. Other products have others: who uses theirs is told ours. */
import type { SpaceStatus } from "../contract/spaces.js";
import { sdkError } from "./errors.js";

const STATUSES: ReadonlySet<string> = new Set<SpaceStatus>([
  "creating",
  "stopped",
  "starting",
  "running",
  "stopping",
  "error",
  "destroyed",
]);

const OTHER_WORDS: ReadonlyMap<string, SpaceStatus> = new Map([
  ["ready", "running"],
  ["started", "running"],
  ["pending", "creating"],
  ["failed", "error"],
  ["deleted", "destroyed"],
]);

/**
 * Makes sure that a word is a status.
 * @throws SpacesError `INVALID_INPUT`, naming the word that is meant where it is known
 */
export function checkStatus(status: SpaceStatus | undefined): void {
  if (status === undefined || STATUSES.has(status)) return;
  const meant = OTHER_WORDS.get(status);
  throw sdkError("INVALID_INPUT", `status: there is no status "${String(status).slice(0, 64)}".`, {
    suggestion:
      meant === undefined
        ? `Use one of ${[...STATUSES].join(", ")}.`
        : `Use "${meant}": that is what it is called here.`,
  });
}
