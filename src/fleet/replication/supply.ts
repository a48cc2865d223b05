/**
 * What a fleet offers that this host wants: each shard once, with who has it whole and who fetches it. Kept up to date
 * entry by entry, so that a decision looks at shards and not at every host's catalogue.
 */
import { isShardName, shardNameProblem } from '../../library/shard-name.ts'
import { twinKey } from '../../metainfo/file-name.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { pieceLengthFor } from '../../metainfo/piece-length.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { wordOf } from './host-score.ts'

/** Five times what one library holds; beyond it a host of the fleet is not worth listening to. */
const MAX_SHARDS = 50_000
/** Infohashes in a message. */
const MAX_NAMED = 3
/** One wanted shard that somebody offers. */
export interface Supplied {
  /** As it was offered first. */
  readonly shard: OfferedShard
  /** What its name is to a file system that does not tell case or composition apart. */
  readonly twinKey: string
  /** Its part of a score. */
  readonly word: number
  /** What each host says of it. */
  readonly offers: ReadonlyMap<string, OfferedShard>
  /** Host ids. */
  readonly whole: ReadonlySet<string>
  readonly fetching: ReadonlyMap<string, Fetcher>
  /** When somebody got it, lost it, began or ended to fetch it; by the clock of the caller. */
  readonly changedAtMs: number
  /** When it last lost a whole copy. */
  readonly fellAtMs: number | null
}

/** A copy that is on its way. */
export interface Fetcher {
  readonly verifiedBytes: number
  readonly movedAtMs: number
}

export interface SupplyProblem {
  readonly code: 'name-conflict' | 'disputed' | 'foreign-pieces'
  readonly reason: string
}

interface Entry extends Supplied {
  shard: OfferedShard
  twinKey: string
  readonly offers: Map<string, OfferedShard>
  readonly whole: Set<string>
  readonly fetching: Map<string, Fetcher>
  changedAtMs: number
  fellAtMs: number | null
}

export class Supply {
  readonly #isWanted: (shard: OfferedShard) => boolean
  readonly #maxShards: number
  readonly #entries = new Map<InfoHash, Entry>()
  /** By twin key. */
  readonly #byName = new Map<string, Set<InfoHash>>()
  #overflowed = false

  constructor(isWanted: (shard: OfferedShard) => boolean, maxShards: number = MAX_SHARDS) {
    this.#isWanted = isWanted
    this.#maxShards = maxShards
  }

  get size(): number {
    return this.#entries.size
  }

  /** True when more was offered than is kept: what goes makes room, and all catalogues have to be read again. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  get(infoHash: InfoHash): Supplied | undefined {
    return this.#entries.get(infoHash)
  }

  shards(): Iterable<Supplied> {
    return this.#entries.values()
  }

  /** A host offers a shard, or says something new of it; true when more changed than its progress. */
  put(hostId: string, shard: OfferedShard, nowMs: number): boolean {
    const isShard = isShardName(shard.name) && shardNameProblem(shard.name) === undefined
    if (!isShard || !this.#isWanted(shard)) return false
    const entry = this.#entries.get(shard.infoHash) ?? this.#add(shard, nowMs)
    if (entry === undefined) return false
    const known = entry.offers.get(hostId)
    entry.offers.set(hostId, shard)
    const wasWhole = entry.whole.has(hostId)
    const before = entry.fetching.get(hostId)
    if (shard.state === 'seeding') {
      entry.fetching.delete(hostId)
      entry.whole.add(hostId)
      if (!wasWhole) entry.changedAtMs = nowMs
    } else {
      if (entry.whole.delete(hostId)) entry.fellAtMs = nowMs
      const { verifiedBytes } = shard
      const movedAtMs = before?.verifiedBytes === verifiedBytes ? before.movedAtMs : nowMs
      entry.fetching.set(hostId, { verifiedBytes, movedAtMs })
      if (before === undefined) entry.changedAtMs = nowMs
    }
    return known === undefined || known.state !== shard.state || !sameFacts(known, shard)
  }

  /** A host no longer offers a shard; true when it did. */
  drop(hostId: string, infoHash: InfoHash, nowMs: number): boolean {
    const entry = this.#entries.get(infoHash)
    if (!entry?.offers.delete(hostId)) return false
    entry.fetching.delete(hostId)
    if (entry.whole.delete(hostId)) entry.fellAtMs = nowMs
    entry.changedAtMs = nowMs
    this.#unname(entry)
    const [other] = entry.offers.values()
    if (other === undefined) this.#entries.delete(infoHash)
    else {
      entry.shard = other
      entry.twinKey = twinKey(other.name)
      this.#nameIt(entry)
    }
    return true
  }

  /** Forgets everything, to hear it again. */
  clear(): void {
    this.#entries.clear()
    this.#byName.clear()
    this.#overflowed = false
  }

  /** Why a shard is not to be had, whoever offers it; null when nothing is against it. */
  problemOf({ shard, twinKey: key, offers }: Supplied): SupplyProblem | null {
    const { infoHash, length, pieceLength } = shard
    const rivals = [...(this.#byName.get(key) ?? [])].filter((other) => other !== infoHash)
    if (rivals.length > 0) {
      const all = [infoHash, ...rivals].sort().slice(0, MAX_NAMED).join(', ')
      const reason = `hosts offer different files under this name (${all}); rename all but one, then it is replicated`
      return { code: 'name-conflict', reason }
    }
    for (const [hostId, offer] of offers) {
      if (offer === shard || sameFacts(offer, shard)) continue
      const reason = `host ${hostId} and others say different things of it; one of them is damaged or does not tell the truth`
      return { code: 'disputed', reason }
    }
    if (pieceLength !== pieceLengthFor(length)) {
      const reason = `its pieces have ${pieceLength} bytes, and a host that has it would make them ${pieceLengthFor(length)}`
      return { code: 'foreign-pieces', reason }
    }
    return null
  }

  #add(shard: OfferedShard, nowMs: number): Entry | undefined {
    if (this.#entries.size >= this.#maxShards) {
      this.#overflowed = true
      return undefined
    }
    const entry: Entry = {
      shard,
      twinKey: twinKey(shard.name),
      word: wordOf(shard.infoHash),
      offers: new Map(),
      whole: new Set(),
      fetching: new Map(),
      changedAtMs: nowMs,
      fellAtMs: null,
    }
    this.#entries.set(shard.infoHash, entry)
    this.#nameIt(entry)
    return entry
  }

  #nameIt({ shard: { infoHash }, twinKey: key }: Entry): void {
    const names = this.#byName.get(key) ?? new Set()
    this.#byName.set(key, names.add(infoHash))
  }

  #unname({ shard: { infoHash }, twinKey: key }: Entry): void {
    const names = this.#byName.get(key)
    names?.delete(infoHash)
    if (names?.size === 0) this.#byName.delete(key)
  }
}

function sameFacts(a: OfferedShard, b: OfferedShard): boolean {
  return (
    a.name === b.name && a.length === b.length && a.pieceLength === b.pieceLength && a.sha256 === b.sha256
  )
}
