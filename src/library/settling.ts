/** How a file begins to settle: what is carried over from before, and from when its quiet counts. */
import type { BigIntStats } from 'node:fs'
import { type FileIdentity, identityOfStats, sameIdentity } from './identity.ts'
import type { Rejected, Settling } from './shard-state.ts'
import type { Suspects } from './suspects.ts'

/** The longest that a file which keeps failing its piece checks rests before it is read in whole again. */
const MAX_REST_MS = 600_000

/** The first failure may be chance; a disk that keeps giving other bytes is read more and more seldom. */
export function restAfter(strikes: number, settleMs: number): number {
  return strikes > 1 ? Math.min(settleMs * 2 ** strikes, MAX_REST_MS) : 0
}

/** The longest that a file which cannot be read to its end rests; each attempt may read most of it. */
const MAX_READ_REST_MS = 3_600_000
/** Of the settle time: a disk that comes back is read again within a minute or two, one that stays bad seldom. */
const READ_REST_FACTOR = 10

/** The first attempt after a failure comes with the next rescan, each later one after twice the rest. */
export function restAfterFailedReads(failures: number, settleMs: number): number {
  return failures > 1 ? Math.min(settleMs * READ_REST_FACTOR * 2 ** (failures - 1), MAX_READ_REST_MS) : 0
}

/** How long a file rests before it is read again, for what is held against it. */
export function restOf(suspects: Suspects, path: string, settleMs: number): number {
  const suspected = restAfter(suspects.timesOf(path), settleMs)
  return Math.max(suspected, restAfterFailedReads(suspects.failedReadsOf(path), settleMs))
}

/** A settling file: `known` is its identity as last seen, `before` what it was if that was no shard. */
export function settlingOf({
  stats,
  known,
  before,
  restMs,
}: {
  readonly stats: BigIntStats
  readonly known: FileIdentity | undefined
  readonly before: Settling | Rejected | undefined
  readonly restMs: number
}): Settling {
  const nowMs = performance.now()
  const identity = identityOfStats(stats)
  const settled = before?.kind === 'settling' ? before : undefined
  // A change seen with our own eyes is newer than any time that another machine's clock put on the file.
  const changed = known !== undefined && !sameIdentity(known, identity)
  const newestMs = Number(stats.mtimeNs > stats.ctimeNs ? stats.mtimeNs : stats.ctimeNs) / 1e6
  return {
    kind: 'settling',
    identity,
    seenAtMs: nowMs,
    quietBeforeMs: changed ? 0 : Math.max(0, Date.now() - newestMs),
    sinceMs: settled?.sinceMs ?? nowMs,
    notBeforeMs: nowMs + restMs,
    told: settled?.told ?? new Set(),
    rejectedAs: before?.kind === 'rejected' ? rejectionKey(before) : settled?.rejectedAs,
    evidence: undefined,
  }
}

/** What makes two rejections the same to whoever hears of them. */
export function rejectionKey({ code, reason }: Pick<Rejected, 'code' | 'reason'>): string {
  return `${code} ${reason}`
}
