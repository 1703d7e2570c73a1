/**
 * The prelude: evaluated in every fresh sandbox before anything else. It is also the module
 * `spaces:host`, which the other modules of the standard library import.
 */

import { callAsync, native, write } from "./boundary.js";
import { installConsole } from "./console.js";
import { installGlobals } from "./globals.js";
import { installTimers } from "./timers.js";

export { callAsync, callSync, hook, loadLazy, native, script, send } from "./boundary.js";
export { describe, SpacesError } from "./errors.js";
export { parseJson } from "./primordials.js";

for (const name of ["SharedArrayBuffer", "Atomics"]) {
  Reflect.deleteProperty(globalThis, name);
}
installTimers();
installConsole(write);
installGlobals(native, callAsync);
