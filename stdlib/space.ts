/**
 * The module `space`: the space that the script is bound to (`spaces run --space`, `run_script`),
 * with the functions of `spaces` that then need no name. Scripts import it by name.
 */
import { callSync, SpacesError, script } from "spaces:host";
import { createModule } from "./module.js";
import { spaceOperations } from "./operations.js";
import type { HostSpace } from "./results.js";
import { runSync, type Steps, type SyncTable } from "./steps.js";

function bound(): string {
  if (script.space === undefined) {
    throw new SpacesError("SPACE_NOT_FOUND", "This script is bound to no space.", {
      suggestion: "Run it with `--space NAME`, or name the space and import `spaces` instead.",
    });
  }
  return script.space;
}

let known: HostSpace | undefined;

/** Name and id never change while a script is bound to the space: asked for once. */
function describe(): HostSpace {
  known ??= callSync("spaces.get", { space: bound() }) as HostSpace;
  return known;
}

function bindAll(): SyncTable<typeof spaceOperations> {
  const functions: Record<string, (...args: unknown[]) => unknown> = {};
  for (const [operation, body] of Object.entries(spaceOperations)) {
    const steps = body as (...args: unknown[]) => Steps<unknown>;
    functions[operation] = (...args) => runSync(steps(bound(), ...args));
  }
  return functions as SyncTable<typeof spaceOperations>;
}

const space = createModule("space", {
  get name(): string {
    return describe().name;
  },
  get id(): string {
    return describe().id;
  },
  ...bindAll(),
});

export default space;

/** Undefined where no space is bound; the members of the default export throw there instead. */
export const name = script.space === undefined ? undefined : space.name;
export const id = script.space === undefined ? undefined : space.id;

// Names of exports must be literal; `exports.test.ts` holds them against the table.
export const {
  start,
  stop,
  restart,
  is_running,
  isRunning,
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
} = space;
