/** What a replicating host sees of its fleet: the hosts online, and what they offer that it wants. */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type PeerAddress, parsePeerAddress } from '../../metainfo/peer-address.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import type { KnownHost, RosterListener } from '../membership/roster.ts'
import { QuietWatch } from '../membership/settled.ts'
import { scoreOf, wordOf } from './host-score.ts'
import type { FleetHost } from './replication-policy.ts'
import { type Supplied, Supply } from './supply.ts'

/**
 * Hosts met at the start, all within a moment of the first one, tell their catalogues within this: the rarest is not the
 * first to be heard of, nor is a name free because the other file of that name was not heard of yet.
 */
const LEARN_MS = 2_000
/** With a number of copies to keep to, a host that is not known yet is a copy that seems to be lacking. */
const LEARN_ALL_MS = 10_000
/** In a fleet that is never quiet, and from a host that never tells all, no more than this is waited for. */
const PATIENCE_MS = 30_000
/** All catalogues are read again so seldom when more was offered than is kept. */
const REBUILD_MS = 60_000

export interface FleetViewOptions {
  readonly hostId: string
  readonly isWanted: (shard: OfferedShard) => boolean
  /** Whether every catalogue must be known before a decision. */
  readonly needsAll: boolean
  /** A host got a shard, or began to fetch it. */
  readonly onCopy: (host: KnownHost, shard: OfferedShard) => void
}

export class FleetView implements RosterListener {
  readonly supply: Supply
  readonly #options: FleetViewOptions
  readonly #hosts = new Map<string, KnownHost>()
  /** Since when hosts are online whose catalogue has not arrived. */
  readonly #telling = new Map<string, number>()
  readonly #quiet = new QuietWatch()
  readonly #startedAtMs = performance.now()
  /** When the first host was met. */
  #metAtMs: number | null = null
  #settled = false
  #rebuiltAtMs = 0
  #isDirty = false

  constructor(options: FleetViewOptions) {
    this.#options = options
    this.supply = new Supply(options.isWanted)
  }

  onHost(host: KnownHost, change: 'online' | 'changed' | 'left' | 'lost' | 'forgotten'): void {
    const { hostId } = host.info
    const nowMs = performance.now()
    if (host.complete) this.#telling.delete(hostId)
    switch (change) {
      case 'online':
        this.#metAtMs ??= nowMs
        this.#telling.set(hostId, nowMs)
        this.#hosts.set(hostId, host)
        for (const shard of host.shards.values()) this.#put(host, shard)
        break
      case 'changed':
        this.#isDirty ||= this.#hosts.get(hostId)?.complete !== host.complete
        this.#hosts.set(hostId, host)
        return
      case 'left':
      case 'lost':
      case 'forgotten':
        this.#telling.delete(hostId)
        if (!this.#hosts.delete(hostId)) return
        for (const infoHash of host.shards.keys()) this.supply.drop(hostId, infoHash, nowMs)
        break
    }
    this.#isDirty = true
  }

  onShard(host: KnownHost, infoHash: InfoHash, shard: OfferedShard | null): void {
    if (!this.#hosts.has(host.info.hostId)) return
    if (shard !== null) this.#put(host, shard)
    else if (this.supply.drop(host.info.hostId, infoHash, performance.now())) this.#isDirty = true
  }

  /** The hosts online. */
  hosts(): readonly FleetHost[] {
    return [...this.#hosts.values()].map(({ info: { hostId, replicating, freeDiskBytes } }) => ({
      hostId,
      replicating,
      freeDiskBytes,
    }))
  }

  /** Hosts that have some of a shard, whole copies first, each asker's in an order of its own. */
  peersOf({ whole, fetching }: Supplied): readonly PeerAddress[] {
    const own = wordOf(this.#options.hostId)
    const order = (hostIds: Iterable<string>): readonly string[] =>
      [...hostIds].sort((a, b) => scoreOf(wordOf(b), own) - scoreOf(wordOf(a), own))
    return [...order(whole), ...order(fetching.keys())].flatMap((hostId) => {
      const host = this.#hosts.get(hostId)
      return host === undefined ? [] : (parsePeerAddress(host.address) ?? [])
    })
  }

  /** True once after something changed that a decision depends on. */
  takeDirty(): boolean {
    const nowMs = performance.now()
    if (this.supply.overflowed && nowMs - this.#rebuiltAtMs >= REBUILD_MS) this.#rebuild(nowMs)
    const isDirty = this.#isDirty
    this.#isDirty = false
    return isDirty
  }

  /** Whether enough is known to decide. */
  isReady(): boolean {
    const nowMs = performance.now()
    if (!this.#options.needsAll) {
      const learnedMs = this.#metAtMs === null ? 0 : nowMs - this.#metAtMs
      this.#settled ||=
        learnedMs >= PATIENCE_MS || (learnedMs >= LEARN_MS && !this.#isTelling(nowMs, LEARN_MS))
      return this.#settled
    }
    const hosts = [...this.#hosts.values()]
    const waitedMs = nowMs - this.#startedAtMs
    const isQuiet = this.#quiet.observe(hosts, nowMs) && waitedMs >= LEARN_ALL_MS
    this.#settled ||= isQuiet || (hosts.length > 0 && waitedMs >= PATIENCE_MS)
    return this.#settled && !this.#isTelling(nowMs, PATIENCE_MS)
  }

  /** Whether a host came online less than `withinMs` ago and has not told all that it has. */
  #isTelling(nowMs: number, withinMs: number): boolean {
    return [...this.#telling.values()].some((sinceMs) => nowMs - sinceMs < withinMs)
  }

  #put(host: KnownHost, shard: OfferedShard): void {
    if (!this.supply.put(host.info.hostId, shard, performance.now())) return
    this.#isDirty = true
    this.#options.onCopy(host, shard)
  }

  #rebuild(nowMs: number): void {
    this.#rebuiltAtMs = nowMs
    this.supply.clear()
    for (const host of this.#hosts.values()) for (const shard of host.shards.values()) this.#put(host, shard)
  }
}
