/** Lists that come in pages. */

/** A page of a list: an array that knows where the next page begins. */
export type Page<T> = readonly T[] & {
  /** For the next call's `cursor`; absent on the last page. */
  readonly nextCursor?: string;
};

interface RawPage<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string | undefined;
}

/** Makes a page of what the contract gives. */
export function pageOf<T, R>({ items, nextCursor }: RawPage<T>, each: (item: T) => R): Page<R> {
  return Object.assign(items.map(each), nextCursor === undefined ? {} : { nextCursor });
}

/** The items of all pages, each page asked for when it is needed. */
export async function* itemsOf<T>(
  page: (cursor: string | undefined) => Promise<RawPage<T>>,
): AsyncGenerator<T, void> {
  let cursor: string | undefined;
  do {
    const { items, nextCursor } = await page(cursor);
    yield* items;
    cursor = nextCursor;
  } while (cursor !== undefined);
}
