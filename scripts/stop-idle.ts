/**
 * Stops running spaces in which no command has run for some time.
 *
 *     spaces run scripts/stop-idle.ts            # idle for 60 minutes
 *     spaces run scripts/stop-idle.ts 15         # idle for 15 minutes
 *     spaces run scripts/stop-idle.ts 15 --dry-run
 */
import { args, exit } from "runtime";
import spaces from "spaces";

const dryRun = args.includes("--dry-run");
const [given = "60"] = args.filter((arg) => arg !== "--dry-run");
const minutes = Number(given);
if (!(minutes >= 0)) {
  console.error(`"${given}" is not a number of minutes. Usage: stop-idle.ts [minutes] [--dry-run]`);
  exit(2);
}

const idleSince = Date.now() - minutes * 60_000;
let failures = 0;

for (const space of spaces.list({ status: "running" })) {
  if (space.activity === "busy") continue;
  const lastActive = space.last_active_at ?? space.started_at ?? space.created_at;
  if (Date.parse(lastActive) > idleSince) continue;
  if (dryRun) {
    console.log(`would stop ${space.name} (idle since ${lastActive})`);
    continue;
  }
  try {
    spaces.stop(space.name);
    console.log(`stopped ${space.name} (idle since ${lastActive})`);
  } catch (error) {
    failures += 1;
    console.error(`could not stop ${space.name}: ${error}`);
  }
}

exit(failures === 0 ? 0 : 1);
