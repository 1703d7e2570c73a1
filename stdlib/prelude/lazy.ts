/** Loads the parts of the prelude that are too large to be evaluated for every script. */
export { loadLazy } from "./boundary.js";
