/**
 * The module `spaces`: synchronous functions to start, stop, command and describe spaces. Scripts
 * import it by name; its documentation for them is `types/spaces.d.ts`.
 */
import { createModule } from "./module.js";
import { operations } from "./operations.js";
import { drive, runSync, type SyncTable } from "./steps.js";

const spaces = createModule("spaces", drive(operations, runSync) as SyncTable<typeof operations>);

export default spaces;

// Names of exports must be literal; `guest-types.test.ts` holds them against the declarations.
export const {
  start,
  stop,
  restart,
  extend,
  is_running,
  isRunning,
  list,
  create,
  remove,
  get,
  get_field,
  getField,
  set_field,
  setField,
  list_fields,
  listFields,
  get_description,
  getDescription,
  set_description,
  setDescription,
  run,
  exec,
  run_script,
  runScript,
  port_forward,
  portForward,
  port_list,
  portList,
  port_stop,
  portStop,
} = spaces;
export { remove as delete };
