/** How a file settles: what is carried over from before, from when its quiet counts, and what follows from it. */
import type { BigIntStats } from 'node:fs'
import { systemCode } from '../errors.ts'
import { type FileIdentity, identityOf, identityOfStats, sameIdentity } from './identity.ts'
import { unreadable } from './look.ts'
import { shardNameProblem } from './shard-name.ts'
import { FOR_GOOD, type Rejected, type Settling, type Verdict } from './shard-state.ts'
import type { Suspects } from './suspects.ts'
import { gatherEvidence, nextStep, type SettleTimes, type WaitReason } from './wholeness.ts'

/** The longest that a file which keeps failing its piece checks rests before it is read in whole again. */
const MAX_REST_MS = 600_000

/** The first failure may be chance; a disk that keeps giving other bytes is read more and more seldom. */
function restAfter(strikes: number, settleMs: number): number {
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

/** What to do about a settling file now. */
export type Decision =
  | { readonly kind: 'whole' }
  | { readonly kind: 'refused'; readonly verdict: Verdict }
  | { readonly kind: 'wait'; readonly forMs: number; readonly because?: WaitReason }

/** Decides about a settling file from its quiet, its bytes and what is seen around it. Never throws. */
export async function decideOn(
  file: { readonly path: string; readonly name: string; readonly stats: BigIntStats },
  state: Settling,
  times: SettleTimes,
  signal: AbortSignal,
): Promise<Decision> {
  const { path, name, stats } = file
  const problem = shardNameProblem(name)
  if (problem !== undefined) {
    return { kind: 'refused', verdict: { ...problem, retry: false, isOfContent: false } }
  }
  const nowMs = performance.now()
  const quietMs = nowMs - state.seenAtMs + state.quietBeforeMs
  const restMs = Math.max(times.momentMs - quietMs, state.notBeforeMs - nowMs)
  if (restMs > 0) {
    const isChanging = nowMs - state.sinceMs >= times.changingMs && state.told.size === 0
    const because: WaitReason = { kind: 'changing', reason: 'it is still being written' }
    return { kind: 'wait', forMs: restMs, ...(isChanging && { because }) }
  }
  try {
    if (state.evidence === undefined) {
      const evidence = await gatherEvidence(path, stats, signal)
      // What was read may be newer than what was seen: the next look begins anew with it.
      if (!sameIdentity(state.identity, await identityOf(path))) return { kind: 'wait', forMs: 0 }
      state.evidence = evidence
    }
    const step = await nextStep({ path, name, identity: state.identity }, state.evidence, quietMs, times)
    if (step.kind !== 'reject') return step
    const { code, reason } = step
    return { kind: 'refused', verdict: { code, reason, ...FOR_GOOD } }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { kind: 'wait', forMs: 0 }
    return { kind: 'refused', verdict: { ...unreadable(error), retry: true, isOfContent: false } }
  }
}
