/**
 * Loaded by the console on first need: everything that turns values into text.
 */
import { format, tableText } from "../format.js";
import { inspect } from "../inspect.js";

const inspection = { format, inspect, tableText };

export type Inspection = typeof inspection;

export default inspection;
