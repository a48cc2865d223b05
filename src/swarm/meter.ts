/**
 * Bytes a second over the last few seconds, in place of the engine's own meter, which asks the operating system
 * for the time twice a block.
 */
const BUCKET_MS = 100
/** Five seconds, as the engine's own: shorter ones jump about in a progress line. */
const BUCKETS = 50

/** Adds bytes, if any, and gives bytes a second. */
export type SpeedMeter = (bytes?: number) => number

export function speedMeter(now: () => number = Date.now): SpeedMeter {
  const buckets = new Float64Array(BUCKETS)
  const startedAt = Math.floor(now() / BUCKET_MS)
  let newest = startedAt
  let sum = 0
  return (bytes = 0) => {
    const tick = Math.floor(now() / BUCKET_MS)
    if (tick < newest || tick - newest >= BUCKETS) {
      // A clock that was set back, or a long silence: nothing of what is here counts any more.
      buckets.fill(0)
      sum = 0
      newest = tick
    }
    while (newest < tick) {
      newest++
      sum -= buckets[newest % BUCKETS]!
      buckets[newest % BUCKETS] = 0
    }
    if (bytes > 0) {
      buckets[tick % BUCKETS]! += bytes
      sum += bytes
    }
    const ticks = Math.min(BUCKETS, Math.max(10, tick - startedAt + 1))
    return (sum * 1000) / (ticks * BUCKET_MS)
  }
}
