/**
 * Which shards a host begins to fetch now, and which fetches it gives up. Pure: the same situation gives the same
 * decision. Hosts decide each for itself; that they do not all do the same comes from their scores (host-score.ts), and
 * that they do not fetch too much from their seeing each other's intents as catalogue entries in state `fetching`.
 *
 *   without --replicas: everything that is wanted and lacking, the rarest first
 *   with --replicas N:  while whole copies and those on their way are fewer than N, the hosts with the highest scores
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { scoreOf, wordOf } from './host-score.ts'
import type { Fetcher, Supplied, SupplyProblem } from './supply.ts'

/** One is hashed or waits for a slow peer while the other arrives; more would make each copy whole later. */
export const MAX_FETCHES = 2
/**
 * An intent is seen by all within two seconds: decision, page, decision. A host that is first and does not begin has
 * no room, does not want the shard, or is busy; the next one then takes its place.
 */
export const GRACE_MS = 5_000
/**
 * With a number of copies to keep to, a copy becomes whole no sooner than this after it was begun: two hosts that began
 * at the same time have seen each other by then, and one has given up.
 */
export const CLAIM_MS = 5_000
/** A host that starts again is back by then. Its copies are not made anew in the meantime. */
export const REPAIR_MS = 30_000
/** A copy that has not grown for so long does not count as on its way; whoever fetches it gives up then too. */
export const INTENT_MS = 60_000
/** A whole download is hashed before it is seeded: the slowest disks read so many bytes a millisecond. */
const HASHED_BYTES_PER_MS = 20_000
/** Problems told in one decision; the others are told later. */
const MAX_PROBLEMS = 10

/** What the owner of a host asked for. */
export interface ReplicateSettings {
  /** Of a shard's or a model's name. */
  readonly isWanted: (name: string) => boolean
  readonly replicas: number | null
  readonly maxBytes: number | null
  /** Null for the default. */
  readonly minFreeBytes: number | null
}

/** The same as far as a decision depends on it. */
export interface ReplicationPolicy {
  /** Whole copies a shard is to have in the fleet; null for one on every host. */
  readonly replicas: number | null
  /** Of replicated files, all together; null for no limit but the disk's. */
  readonly maxBytes: number | null
  /** Left free on the disk. */
  readonly minFreeBytes: number
}

/** A host online, as far as it matters here. */
export interface FleetHost {
  readonly hostId: string
  readonly replicating: boolean
  readonly freeDiskBytes: number | null
}

/** Everything a decision depends on. Times are by one steady clock. */
export interface Situation {
  readonly nowMs: number
  readonly hostId: string
  /** The others. */
  readonly hosts: readonly FleetHost[]
  readonly shards: Iterable<Supplied>
  readonly problemOf: (shard: Supplied) => SupplyProblem | null
  /** When a shard may be fetched: 0 for now, a later time after a failure, infinity for what is here or refused. */
  readonly openAtMs: (shard: OfferedShard) => number
  /** Fetches under way: verified bytes. */
  readonly running: ReadonlyMap<InfoHash, number>
  /** Of a fetch under way. */
  readonly lengthOf: (infoHash: InfoHash) => number
  readonly shardOf: (infoHash: InfoHash) => Supplied | undefined
  /** Bytes of replicated files here, with what is kept of fetches that are not under way. */
  readonly keptBytes: number
  /** Bytes kept of a fetch that is not under way. */
  readonly heldBytes: (infoHash: InfoHash) => number
  /** Null when nothing can be written now. */
  readonly freeBytes: number | null
  /** How often in a row a fetch from a host failed that had nobody else to fetch from. */
  readonly strikesOf: (hostId: string) => number
}

export interface Decision {
  readonly start: readonly Supplied[]
  readonly stop: readonly { readonly infoHash: InfoHash; readonly code: 'surplus' | 'no-room' }[]
  /** The first shard that would be fetched if there were room. */
  readonly lacking: Lacking | null
  readonly problems: readonly { readonly shard: Supplied; readonly problem: SupplyProblem }[]
  /** When to decide again even if nothing changes; infinity for never. */
  readonly againAtMs: number
}

export interface Lacking {
  readonly shard: Supplied
  readonly limit: 'max-bytes' | 'min-free'
  readonly missingBytes: number
}

/** When a host may begin to fetch a shard. */
interface Turn {
  readonly atMs: number
  /** True when others come before it and did not begin. */
  readonly isStandIn: boolean
}

/** A shard that could be fetched now, and what decides between several. */
interface Candidate {
  readonly shard: Supplied
  /** In the order in which they count; the smallest goes first. */
  readonly keys: readonly number[]
}

type Contender = FleetHost & { readonly word: number }

const NEVER = Number.POSITIVE_INFINITY

/** Decides. Takes time in the number of shards, times that of hosts for those that lack copies. */
export function decide(policy: ReplicationPolicy, situation: Situation): Decision {
  const { running, shards, nowMs, problemOf, openAtMs } = situation
  const problems: { shard: Supplied; problem: SupplyProblem }[] = []
  const candidates: Candidate[] = []
  let againAtMs = NEVER
  const own = wordOf(situation.hostId)
  const contenders = situation.hosts
    .filter(({ replicating }) => replicating)
    .map((host) => ({ ...host, word: wordOf(host.hostId) }))
  for (const shard of shards) {
    const { infoHash } = shard.shard
    if (shard.whole.size === 0 || running.has(infoHash)) continue
    const openMs = openAtMs(shard.shard)
    if (openMs === NEVER) continue
    const turn = turnOf(shard, policy.replicas, own, contenders, nowMs)
    const atMs = Math.max(openMs, turn.atMs)
    if (atMs > nowMs) {
      againAtMs = Math.min(againAtMs, atMs)
      continue
    }
    const problem = problemOf(shard)
    if (problem === null) candidates.push(candidateOf(shard, turn, own, situation))
    else if (problems.length < MAX_PROBLEMS) problems.push({ shard, problem })
  }
  return { ...choose(candidates, policy, situation), stop: stopsOf(policy, situation), problems, againAtMs }
}

/** Copies that are on their way at other hosts. */
function arriving({ shard, fetching }: Supplied, nowMs: number): readonly (readonly [string, Fetcher])[] {
  return [...fetching].filter(([, { verifiedBytes, movedAtMs }]) => {
    const hashingMs = verifiedBytes < shard.length ? 0 : shard.length / HASHED_BYTES_PER_MS
    return nowMs - movedAtMs < INTENT_MS + hashingMs
  })
}

function turnOf(
  shard: Supplied,
  replicas: number | null,
  own: number,
  contenders: readonly Contender[],
  nowMs: number,
): Turn {
  if (replicas === null) return { atMs: 0, isStandIn: false }
  const deficit = replicas - shard.whole.size - arriving(shard, nowMs).length
  if (deficit <= 0) return { atMs: NEVER, isStandIn: false }
  const { whole, fetching, word, changedAtMs, fellAtMs } = shard
  const score = scoreOf(own, word)
  const first = contenders.filter(
    ({ hostId, word: host, freeDiskBytes }) =>
      scoreOf(host, word) > score &&
      !whole.has(hostId) &&
      !fetching.has(hostId) &&
      (freeDiskBytes === null || freeDiskBytes >= shard.shard.length),
  ).length
  const baseMs = fellAtMs === null ? 0 : fellAtMs + REPAIR_MS
  if (first < deficit) return { atMs: baseMs, isStandIn: false }
  return { atMs: Math.max(baseMs, changedAtMs) + (first - deficit + 1) * GRACE_MS, isStandIn: true }
}

/**
 * What can be had only from hosts that let us down comes last, or they would keep us from everything else; then the
 * rarest, then what this host is first for, then what it has the highest score for.
 */
function candidateOf(shard: Supplied, turn: Turn, own: number, { strikesOf }: Situation): Candidate {
  let strikes = NEVER
  for (const hostId of shard.whole) strikes = Math.min(strikes, strikesOf(hostId))
  return { shard, keys: [strikes, shard.whole.size, turn.isStandIn ? 1 : 0, -scoreOf(own, shard.word)] }
}

function isBefore(a: Candidate, b: Candidate): boolean {
  for (const [at, key] of a.keys.entries()) if (key !== b.keys[at]) return key < b.keys[at]!
  return false
}

/** The first candidates that there is room for, as many as may be fetched at once. */
function choose(
  candidates: readonly Candidate[],
  { maxBytes, minFreeBytes }: ReplicationPolicy,
  { running, keptBytes, heldBytes, freeBytes, lengthOf }: Situation,
): Pick<Decision, 'start' | 'lacking'> {
  let quotaBytes = maxBytes === null ? NEVER : maxBytes - keptBytes
  let roomBytes = (freeBytes ?? 0) - minFreeBytes
  for (const [infoHash, verifiedBytes] of running) {
    quotaBytes -= lengthOf(infoHash)
    roomBytes -= lengthOf(infoHash) - verifiedBytes
  }
  const start: Supplied[] = []
  let lacking: (Lacking & { readonly candidate: Candidate }) | null = null
  for (let slots = MAX_FETCHES - running.size; slots > 0; slots--) {
    let best: Candidate | undefined
    for (const candidate of candidates) {
      const { shard } = candidate
      if (start.includes(shard)) continue
      const { infoHash, length } = shard.shard
      const held = heldBytes(infoHash)
      const overQuota = length - held - quotaBytes
      const overRoom = Math.max(0, length - held) - roomBytes
      if (overQuota > 0 || overRoom > 0) {
        if (lacking !== null && !isBefore(candidate, lacking.candidate)) continue
        const limit = overQuota > 0 ? 'max-bytes' : 'min-free'
        lacking = { shard, limit, missingBytes: overQuota > 0 ? overQuota : overRoom, candidate }
      } else if (best === undefined || isBefore(candidate, best)) best = candidate
    }
    if (best === undefined) break
    start.push(best.shard)
    const { infoHash, length } = best.shard.shard
    quotaBytes -= length - heldBytes(infoHash)
    roomBytes -= length - heldBytes(infoHash)
  }
  return { start, lacking }
}

/** Fetches that are too many by now, or fill a disk that others filled meanwhile. */
function stopsOf({ replicas, minFreeBytes }: ReplicationPolicy, situation: Situation): Decision['stop'] {
  const { running, freeBytes, shardOf, lengthOf } = situation
  const stop: { infoHash: InfoHash; code: 'surplus' | 'no-room' }[] = []
  for (const [infoHash, verifiedBytes] of running) {
    const isWhole = verifiedBytes >= lengthOf(infoHash)
    if (freeBytes !== null && freeBytes < minFreeBytes && !isWhole) stop.push({ infoHash, code: 'no-room' })
    else if (replicas !== null) {
      const shard = shardOf(infoHash)
      if (shard !== undefined && isSurplus(shard, replicas, situation))
        stop.push({ infoHash, code: 'surplus' })
    }
  }
  return stop
}

/**
 * Whether those that have it and those with a higher score that fetch it are enough. How far each is does not count: what
 * a host sees of others is older than what it knows of itself, so each of two would think itself ahead.
 */
function isSurplus(shard: Supplied, replicas: number, { hostId, nowMs }: Situation): boolean {
  const { whole, word } = shard
  const own = scoreOf(wordOf(hostId), word)
  const before = arriving(shard, nowMs).filter(([other]) => scoreOf(wordOf(other), word) > own)
  return whole.size + before.length >= replicas
}
