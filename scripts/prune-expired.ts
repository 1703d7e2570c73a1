/*---
description: Deletes spaces that have expired, or have been in error for long
inputs:
  errorHours: {type: number, default: 24, minimum: 0, description: "How long a space must have been in error"}
  only: {type: array, items: {type: string}, description: "Names of the spaces to look at; all where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  dryRun: {type: boolean, default: false, description: "Only tell what would be deleted"}
---*/
/**
 *     spaces run scripts/prune-expired.ts
 *     spaces run scripts/prune-expired.ts -- --error-hours 72 --dry-run
 */
import { exit } from "runtime";
import spaces, { type SpaceInfo } from "spaces";
import { inputs, reasonOf, type Selection, selected } from "./report.ts";

const given = inputs({ errorHours: 24, dryRun: false, ...({} as Selection) });
const now = Date.now();
let failures = 0;

/** Why a space is to go; undefined where it stays. */
function whyGone({ expires_at, status, last_error }: SpaceInfo): string | undefined {
  if (expires_at !== undefined && Date.parse(expires_at) <= now) return `expired at ${expires_at}`;
  if (status !== "error" || last_error === undefined) return undefined;
  if (Date.parse(last_error.at) > now - given.errorHours * 3_600_000) return undefined;
  return `in error since ${last_error.at}: ${last_error.code}`;
}

/** Deletes a space that may be gone already: expired ones are deleted by themselves, too. */
function remove(name: string): void {
  try {
    spaces.delete(name, { force: true });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "SPACE_NOT_FOUND" && code !== "SPACE_EXPIRED") throw error;
  }
}

for (const space of selected(given)) {
  const why = whyGone(space);
  if (why === undefined) continue;
  if (given.dryRun) {
    console.log(`would delete ${space.name} (${why})`);
    continue;
  }
  try {
    remove(space.name);
    console.log(`deleted ${space.name} (${why})`);
  } catch (error) {
    failures += 1;
    console.error(`could not delete ${space.name}: ${reasonOf(error)}`);
  }
}

exit(failures === 0 ? 0 : 1);
