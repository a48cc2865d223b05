/** Work on many things, a few at a time. */

/**
 * Shards of a model in flight: enough to keep a line busy while one is verified, few enough that the first are
 * whole, and of use to others, long before the last.
 */
export const MAX_SHARDS_AT_ONCE = 4

/** Like `Promise.all` over `work`, with at most `limit` under way; in order. */
export async function eachOf<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  const left = items.entries() // shared, so that each item is taken once
  const takeTurns = async (): Promise<void> => {
    for (const [at, item] of left) results[at] = await work(item)
  }
  await Promise.all(Array.from({ length: limit }, takeTurns))
  return results
}
