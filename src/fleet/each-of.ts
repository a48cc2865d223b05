/** Work on many things, a few at a time. */

/**
 * Shards of a model in flight: enough to keep a line busy while one is verified, few enough that the first are
 * whole, and of use to others, long before the last.
 */
export const MAX_SHARDS_AT_ONCE = 4

/** Like `Promise.all` over `work`, with at most `limit` under way; in order. After an error no other item is begun. */
export async function eachOf<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  let next = 0
  const takeTurns = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++
      try {
        results[at] = await work(items[at]!)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, takeTurns))
  return results
}
