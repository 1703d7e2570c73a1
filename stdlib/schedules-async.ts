/**
 * The module `schedules/async`: the functions of `schedules`, each returning a promise. Scripts
 * import it to do several things at once; its documentation is `types/schedules-async.d.ts`.
 */
import { createModule } from "./module.js";
import { scheduleOperations } from "./schedule-operations.js";
import { type AsyncTable, drive, runAsync } from "./steps.js";

const schedules = createModule(
  "schedules",
  drive(scheduleOperations, runAsync) as AsyncTable<typeof scheduleOperations>,
);

export default schedules;

// Names of exports must be literal; `guest-types.test.ts` holds them against the declarations.
export const { add, get, list, update, pause, resume, run, history, remove, preview } = schedules;
export { remove as delete };
