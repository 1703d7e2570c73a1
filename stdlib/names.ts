/**
 * Names as people write them: camelCase aliases of the snake_case functions, and the nearest known
 * name to a misspelt one. Used by every module of the standard library.
 */

/** `get_field` → `getField`, as a type. */
export type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;

/** `get_field` → `getField`. A name without underscores stays as it is. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** How many letters must be added, removed, replaced or swapped to get from one name to the other. */
function distance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let best = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[to.length] ?? 0;
}

/**
 * The known name that was probably meant.
 * @param name What was written.
 * @param known The names that exist.
 * @returns The nearest name, or undefined when none is near enough to be a slip of the pen.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  const plain = name.toLowerCase().replaceAll("_", "");
  let found: string | undefined;
  let best = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of known) {
    const steps = distance(plain, candidate.toLowerCase().replaceAll("_", ""));
    if (steps < best) {
      best = steps;
      found = candidate;
    }
  }
  return found;
}
