/**
 * The module `spaces/async`: the functions of `spaces`, each returning a promise. Scripts
 * import it to do several things at once; its documentation is `types/spaces-async.d.ts`.
 */
import { createModule } from "./module.js";
import { operations } from "./operations.js";
import { type AsyncTable, drive, runAsync } from "./steps.js";

const spaces = createModule("spaces", drive(operations, runAsync) as AsyncTable<typeof operations>);

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
