/**
 * The module `space`: the space that the script is bound to (`spaces run --space`, `run_script`),
 * with the functions of `spaces` that then need no name. Scripts import it by name.
 */
import { callSync, SpacesError, script } from "spaces:host";
import { fileOperations } from "./file-operations.js";
import { createModule } from "./module.js";
import { spaceOperations } from "./operations.js";
import type { HostSpace } from "./results.js";
import { drive, runSync, type Steps, type SyncTable } from "./steps.js";

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

type Bodies = Record<string, (...args: never[]) => Steps<unknown>>;

/** The functions of a table with the current space as their first argument. */
function bindAll<Table extends Bodies>(operations: Table): SyncTable<Table> {
  const bodies: Bodies = {};
  const made = new Map<unknown, Bodies[string]>();
  for (const [operation, body] of Object.entries(operations)) {
    const steps = body as (...args: unknown[]) => Steps<unknown>;
    // Two names of one body stay one function.
    const known = made.get(body) ?? ((...args: unknown[]) => steps(bound(), ...args));
    made.set(body, known);
    bodies[operation] = known;
  }
  return drive(bodies, runSync) as SyncTable<Table>;
}

/** The functions of the module `files`, for the files of the current space. */
export const files = createModule("space.files", bindAll(fileOperations));

const space = createModule("space", {
  get name(): string {
    return describe().name;
  },
  get id(): string {
    return describe().id;
  },
  files,
  ...bindAll(spaceOperations),
});

export default space;

/** Undefined where no space is bound; the members of the default export throw there instead. */
export const name = script.space === undefined ? undefined : space.name;
export const id = script.space === undefined ? undefined : space.id;

// Names of exports must be literal; `guest-types.test.ts` holds them against the declarations.
export const {
  start,
  stop,
  restart,
  extend,
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
