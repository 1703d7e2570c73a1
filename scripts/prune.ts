/**
 * Deletes stopped spaces that have not changed for some days.
 *
 *     spaces run scripts/prune.ts                # 30 days
 *     spaces run scripts/prune.ts 7 --dry-run    # shows what would go after 7 days
 */
import { args, exit } from "runtime";
import spaces from "spaces";

const dryRun = args.includes("--dry-run");
const [given = "30"] = args.filter((arg) => arg !== "--dry-run");
const days = Number(given);
if (!(days >= 0)) {
  console.error(`"${given}" is not a number of days. Usage: prune.ts [days] [--dry-run]`);
  exit(2);
}

const unusedSince = Date.now() - days * 86_400_000;
let failures = 0;

for (const space of spaces.list({ status: "stopped" })) {
  if (Date.parse(space.updated_at) > unusedSince) continue;
  if (dryRun) {
    console.log(`would delete ${space.name} (last changed ${space.updated_at})`);
    continue;
  }
  try {
    spaces.delete(space.name);
    console.log(`deleted ${space.name} (last changed ${space.updated_at})`);
  } catch (error) {
    failures += 1;
    console.error(`could not delete ${space.name}: ${error}`);
  }
}

exit(failures === 0 ? 0 : 1);
