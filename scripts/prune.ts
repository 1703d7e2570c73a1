/*---
description: Deletes stopped spaces that have not changed for some days
inputs:
  days: {type: number, default: 30, minimum: 0, description: "How long a space must not have changed"}
  only: {type: array, items: {type: string}, description: "Names of the spaces to look at; all where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  dryRun: {type: boolean, default: false, description: "Only tell what would be deleted"}
---*/
/**
 *     spaces run scripts/prune.ts                # 30 days
 *     spaces run scripts/prune.ts -- 7 --dry-run # shows what would go after 7 days
 */
import { exit } from "runtime";
import spaces from "spaces";
import { inputs, numberGiven, reasonOf, type Selection, selected } from "./report.ts";

const given = inputs({ days: 30, dryRun: false, ...({} as Selection) });
const days = numberGiven(given.days, "days", "prune.ts [days] [--dry-run]");

const unusedSince = Date.now() - days * 86_400_000;
let failures = 0;

for (const space of selected(given, "stopped")) {
  if (Date.parse(space.updated_at) > unusedSince) continue;
  if (given.dryRun) {
    console.log(`would delete ${space.name} (last changed ${space.updated_at})`);
    continue;
  }
  try {
    spaces.delete(space.name);
    console.log(`deleted ${space.name} (last changed ${space.updated_at})`);
  } catch (error) {
    failures += 1;
    console.error(`could not delete ${space.name}: ${reasonOf(error)}`);
  }
}

exit(failures === 0 ? 0 : 1);
