/**
 * The module `schedules`: synchronous functions that have stored scripts run at times. Scripts
 * import it by name; its documentation for them is `types/schedules.d.ts`.
 */
import { createModule } from "./module.js";
import { scheduleOperations } from "./schedule-operations.js";
import { drive, runSync, type SyncTable } from "./steps.js";

const schedules = createModule(
  "schedules",
  drive(scheduleOperations, runSync) as SyncTable<typeof scheduleOperations>,
);

export default schedules;

// Names of exports must be literal; `guest-types.test.ts` holds them against the declarations.
export const { add, get, list, update, pause, resume, run, history, remove, preview } = schedules;
export { remove as delete };
