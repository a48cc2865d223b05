/** Waits for a condition instead of sleeping: polls `check` until it gives something truthy. */
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Resolves with the first truthy value of `check`; an error thrown by it counts as "not yet" and is the
 * cause of the failure when `timeoutMs` runs out.
 */
export async function until<T>(
  check: () => T | Promise<T>,
  { timeoutMs, what = 'condition', everyMs = 25 }: { timeoutMs: number; what?: string; everyMs?: number },
): Promise<NonNullable<Awaited<T>>> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await check()
      if (value) return value as NonNullable<Awaited<T>>
    } catch (error) {
      last = error
    }
    if (Date.now() >= deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last })
    await delay(everyMs)
  }
}
