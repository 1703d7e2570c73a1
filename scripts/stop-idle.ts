/*---
description: Stops running spaces in which no command has run for some time
inputs:
  minutes: {type: number, default: 60, minimum: 0, description: "How long a space must have been idle"}
  only: {type: array, items: {type: string}, description: "Names of the spaces to look at; all where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  dryRun: {type: boolean, default: false, description: "Only tell what would be stopped"}
---*/
/**
 *     spaces run scripts/stop-idle.ts            # idle for 60 minutes
 *     spaces run scripts/stop-idle.ts 15         # idle for 15 minutes
 *     spaces run scripts/stop-idle.ts -- 15 --dry-run
 */
import { exit } from "runtime";
import spaces from "spaces";
import { inputs, numberGiven, reasonOf, type Selection, selected } from "./report.ts";

const given = inputs({ minutes: 60, dryRun: false, ...({} as Selection) });
const minutes = numberGiven(given.minutes, "minutes", "stop-idle.ts [minutes] [--dry-run]");

const idleSince = Date.now() - minutes * 60_000;
let failures = 0;

for (const space of selected(given, "running")) {
  if (space.activity === "busy") continue;
  const lastActive = space.last_active_at ?? space.started_at ?? space.created_at;
  if (Date.parse(lastActive) > idleSince) continue;
  if (given.dryRun) {
    console.log(`would stop ${space.name} (idle since ${lastActive})`);
    continue;
  }
  try {
    spaces.stop(space.name);
    console.log(`stopped ${space.name} (idle since ${lastActive})`);
  } catch (error) {
    failures += 1;
    console.error(`could not stop ${space.name}: ${reasonOf(error)}`);
  }
}

exit(failures === 0 ? 0 : 1);
