/** `Array.fromAsync`, which the engine lacks. */

type Source = AsyncIterable<unknown> | Iterable<unknown> | ArrayLike<unknown>;

async function fromAsync(
  this: unknown,
  source: Source,
  map?: (value: unknown, index: number) => unknown,
  self?: unknown,
): Promise<unknown> {
  if (map !== undefined && typeof map !== "function") {
    throw new TypeError("Array.fromAsync() requires a function to map with.");
  }
  const given = Object(source) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const walkable = given[Symbol.asyncIterator] ?? given[Symbol.iterator];
  const items = walkable
    ? (source as AsyncIterable<unknown> | Iterable<unknown>)
    : Array.from(source as ArrayLike<unknown>);
  const result: unknown[] = [];
  for await (const item of items) {
    const index = result.length;
    result.push(map ? await map.call(self, item, index) : item);
  }
  return result;
}

export default () => ({ fromAsync });
