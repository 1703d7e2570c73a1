/** Reads options that are given once for each value: `--env KEY=VALUE`, `--allow-net=a,b`. */
import { SpacesError } from "../runtime/contract/errors.js";

/**
 * Makes the collector of a repeatable `KEY=VALUE` option.
 * @param option the option that errors name
 * @returns a function that adds one text to the map so far. The map has no prototype, so that no key
 *   is special; `INVALID_INPUT` for a text without a key or `=`, and for a key given twice.
 */
export function keyValues(
  option: string,
): (text: string, before?: Record<string, string>) => Record<string, string> {
  return (text, before) => {
    const split = text.indexOf("=");
    if (split < 1) {
      throw new SpacesError("INVALID_INPUT", `${option} cannot be "${text.slice(0, 80)}".`, {
        suggestion: `Give a pair such as ${option} NAME=value.`,
      });
    }
    const key = text.slice(0, split);
    const map: Record<string, string> = Object.assign(Object.create(null), before);
    if (Object.hasOwn(map, key)) {
      throw new SpacesError("INVALID_INPUT", `${option} gives "${key.slice(0, 80)}" twice.`, {
        suggestion: "Give each name once.",
      });
    }
    map[key] = text.slice(split + 1);
    return map;
  };
}

/**
 * Reads a permission such as `--allow-net` (all) or `--allow-net=a,b` (these).
 * @param option the option that errors name
 * @param before what an earlier use of the same option allowed
 */
export function allowList(
  text: string,
  option: string,
  before: readonly string[] | true | undefined,
): readonly string[] | true {
  if (text === "" || before === true) return true;
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) {
    throw new SpacesError("INVALID_INPUT", `${option} cannot be "${text.slice(0, 80)}".`, {
      suggestion: `Give names with commas between them, such as ${option}=a,b.`,
    });
  }
  return [...(before ?? []), ...names];
}
