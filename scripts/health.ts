/**
 * Reports the state of all spaces; ends with code 1 if one of them is in error.
 *
 *     spaces run scripts/health.ts
 */
import { exit } from "runtime";
import spaces from "spaces";

const all = spaces.list();
for (const space of all) {
  const trouble = space.last_error === undefined ? "" : ` - ${space.last_error.message}`;
  console.log(`${space.name}: ${space.status} on ${space.driver}${trouble}`);
}

const broken = all.filter((space) => space.status === "error").length;
console.log(`${all.length} spaces, ${broken} in error`);
exit(broken === 0 ? 0 : 1);
