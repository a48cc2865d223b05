/** Waits for a condition instead of sleeping: polls `check` until it gives something truthy. */
import { setTimeout as delay } from 'node:timers/promises'

export interface UntilOptions {
  readonly timeoutMs: number
  /** What is waited for; a function is asked when the time is over, to tell what there was by then. */
  readonly what?: string | (() => string)
  readonly everyMs?: number
}

/**
 * Resolves with the first truthy value of `check`; an error thrown by it counts as "not yet" and is the
 * cause of the failure when `timeoutMs` runs out.
 */
export async function until<T>(
  check: () => T | Promise<T>,
  { timeoutMs, what = 'condition', everyMs = 25 }: UntilOptions,
): Promise<NonNullable<Awaited<T>>> {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await check()
      if (value) return value as NonNullable<Awaited<T>>
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadline) {
      const awaited = typeof what === 'string' ? what : what()
      throw new Error(`${awaited}: not within ${timeoutMs} ms`, { cause: last })
    }
    await delay(everyMs)
  }
}
