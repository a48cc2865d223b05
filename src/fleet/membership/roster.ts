/**
 * The hosts a member knows, whatever connections come and go: who is online, what each offers, who is lost.
 *
 * online -> away (connection gone) -> online (back in time) | lost (not back) -> forgotten
 * online -> left (said bye)        -> forgotten at once
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import {
  type CatalogueMessage,
  MAX_OFFERED_SHARDS,
  type MemberInfo,
  type OfferedShard,
} from '../../swarm/catalogue/catalogue-entry.ts'
import { RefusedPeer } from '../../swarm/catalogue/catalogue-session.ts'

/** A connection that breaks is made again within a second or two; until then nobody is called lost. */
const AWAY_MS = 5_000
/** How long a lost host is still shown, so that people see what is gone. */
const LOST_SHOWN_MS = 30_000
/** Hosts known at once, lost ones among them: a member gone bad can come back as another one all the time. */
const MAX_HOSTS = 1_000
/** Entries over all hosts: 200 bytes each with what a picture keeps, as equal ones are kept once. */
const MAX_ENTRIES = 500_000
/** Different shards over all hosts: some 1.5 KB each, which a member gone bad can make up. */
const MAX_SHARDS = 100_000

/** A host as others are told of it. */
export interface KnownHost {
  readonly info: MemberInfo
  /** HOST:PORT of its BitTorrent port. */
  readonly address: string
  readonly state: 'online' | 'lost'
  /** When it was last heard, in milliseconds since 1970. */
  readonly seenAt: number
  /** The same in milliseconds of a clock that nobody sets: what tells how long ago it was. */
  readonly heardAtMs: number
  /** Its whole catalogue has arrived. */
  readonly complete: boolean
  readonly shards: ReadonlyMap<InfoHash, OfferedShard>
}

/** What changes. */
export interface RosterListener {
  onHost?(host: KnownHost, change: 'online' | 'changed' | 'left' | 'lost' | 'forgotten'): void
  /** `shard` is null when it is no longer offered. */
  onShard?(host: KnownHost, infoHash: InfoHash, shard: OfferedShard | null): void
}

interface Entry {
  host: KnownHost
  readonly shards: Map<InfoHash, OfferedShard>
  /** Offered before the connection was made anew and not told again yet. */
  stale: Set<InfoHash> | null
  goneAt: number | null
  /** A count of its shards that did not fit. */
  doubted: number | null
}

export class Roster {
  readonly #listener: RosterListener
  /** Milliseconds of a clock that nobody sets. */
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()
  /** The last offer of each shard, and of how many hosts: equal ones are one object. */
  readonly #known = new Map<InfoHash, { shard: OfferedShard; hosts: number }>()
  #count = 0

  constructor(listener: RosterListener, now: () => number = () => performance.now()) {
    this.#listener = listener
    this.#now = now
  }

  hosts(): readonly KnownHost[] {
    return [...this.#entries.values()].map(({ host }) => host)
  }

  /**
   * A host is connected, for the first time or again; its catalogue follows.
   * @throws {RefusedPeer} `too-many`
   */
  online(info: MemberInfo, remoteHost: string): void {
    const address = formatPeerAddress({ host: remoteHost, port: info.port })
    const known = this.#entries.get(info.hostId)
    if (known === undefined && this.#entries.size >= MAX_HOSTS) this.#forgetOne()
    const shards = known?.shards ?? new Map<InfoHash, OfferedShard>()
    const host: KnownHost = { info, address, state: 'online', ...this.#heard(), complete: false, shards }
    const isNew = known === undefined || known.host.state === 'lost'
    this.#entries.set(info.hostId, {
      host,
      shards,
      stale: new Set(shards.keys()),
      goneAt: null,
      doubted: null,
    })
    this.#listener.onHost?.(host, isNew ? 'online' : 'changed')
  }

  /** @throws {RefusedPeer} `too-many`, or `malformed` when its count of shards is not what it has told */
  told(hostId: string, message: Extract<CatalogueMessage, { type: 'beat' | 'shards' }>): void {
    const entry = this.#entries.get(hostId)
    if (entry === undefined) return
    if (message.type === 'shards') this.#shards(entry, message)
    else {
      this.#checkCount(entry, message.shardCount)
      this.#change(entry, { info: { ...entry.host.info, ...message.info } })
    }
  }

  /** The connection to a host is gone. */
  away(hostId: string, isLeaving: boolean): void {
    const entry = this.#entries.get(hostId)
    if (entry === undefined || entry.host.state === 'lost') return
    if (isLeaving) this.#forget(hostId, entry, 'left')
    else entry.goneAt ??= this.#now()
  }

  /** Declares lost and forgets what has been gone for long enough. */
  sweep(): void {
    const now = this.#now()
    for (const [hostId, entry] of this.#entries) {
      if (entry.goneAt === null) continue
      const goneMs = now - entry.goneAt
      if (entry.host.state === 'online' && goneMs >= AWAY_MS) {
        entry.host = { ...entry.host, state: 'lost' }
        this.#listener.onHost?.(entry.host, 'lost')
      }
      if (goneMs >= AWAY_MS + LOST_SHOWN_MS) this.#forget(hostId, entry, 'forgotten')
    }
  }

  /**
   * Pages come after the heartbeat that counts them in, so only a count that is wrong twice with none between shows
   * that something was lost.
   */
  #checkCount(entry: Entry, count: number): void {
    const isWrong = entry.host.complete && count !== entry.shards.size
    if (isWrong && entry.doubted === count) {
      throw new RefusedPeer('malformed', `it offers ${count} shards and has told of ${entry.shards.size}`)
    }
    entry.doubted = isWrong ? count : null
  }

  #shards(entry: Entry, { put, drop, isPartial }: Extract<CatalogueMessage, { type: 'shards' }>): void {
    entry.doubted = null
    for (const shard of put) this.#put(entry, shard)
    for (const infoHash of drop) this.#drop(entry, infoHash)
    if (isPartial || entry.host.complete) return
    for (const infoHash of entry.stale ?? []) this.#dropStale(entry, infoHash)
    entry.stale = null
    this.#change(entry, { complete: true })
  }

  #put(entry: Entry, shard: OfferedShard): void {
    const { infoHash } = shard
    entry.stale?.delete(infoHash)
    const before = entry.shards.get(infoHash)
    if (before !== undefined && isEqual(before, shard)) return // told again on a new connection
    if (before === undefined) {
      const [stale] = entry.shards.size >= MAX_OFFERED_SHARDS ? (entry.stale ?? []) : []
      if (stale !== undefined) this.#dropStale(entry, stale)
      if (entry.shards.size >= MAX_OFFERED_SHARDS) {
        throw new RefusedPeer('too-many', `it offers more than ${MAX_OFFERED_SHARDS} shards`)
      }
      if (this.#count >= MAX_ENTRIES || (this.#known.size >= MAX_SHARDS && !this.#known.has(infoHash))) {
        throw new RefusedPeer('too-many', 'the fleet offers more than fits')
      }
      this.#count++
    }
    const shared = this.#share(shard, before === undefined)
    entry.shards.set(infoHash, shared)
    this.#listener.onShard?.(entry.host, infoHash, shared)
  }

  #dropStale(entry: Entry, infoHash: InfoHash): void {
    entry.stale?.delete(infoHash)
    this.#drop(entry, infoHash)
  }

  #drop(entry: Entry, infoHash: InfoHash): void {
    if (!entry.shards.delete(infoHash)) return
    this.#unshare(infoHash)
    this.#listener.onShard?.(entry.host, infoHash, null)
  }

  #change(entry: Entry, change: Partial<KnownHost>): void {
    entry.host = { ...entry.host, ...change, ...this.#heard() }
    this.#listener.onHost?.(entry.host, 'changed')
  }

  #heard(): Pick<KnownHost, 'seenAt' | 'heardAtMs'> {
    return { seenAt: Date.now(), heardAtMs: this.#now() }
  }

  #forget(hostId: string, entry: Entry, how: 'left' | 'forgotten'): void {
    this.#entries.delete(hostId)
    for (const infoHash of entry.shards.keys()) this.#unshare(infoHash)
    this.#listener.onHost?.(entry.host, how)
  }

  /** Makes room for another host. */
  #forgetOne(): void {
    for (const [hostId, entry] of this.#entries) {
      if (entry.host.state !== 'lost') continue
      this.#forget(hostId, entry, 'forgotten')
      return
    }
    throw new RefusedPeer('too-many', `more than ${MAX_HOSTS} hosts`)
  }

  #share(shard: OfferedShard, isOneMore: boolean): OfferedShard {
    const known = this.#known.get(shard.infoHash)
    if (known === undefined) {
      this.#known.set(shard.infoHash, { shard, hosts: 1 })
      return shard
    }
    if (isOneMore) known.hosts++
    if (!isEqual(known.shard, shard)) {
      // One that is being fetched differs in its progress alone: its texts are kept once all the same.
      const { state, verifiedBytes } = shard
      const moved = { ...known.shard, state, verifiedBytes }
      known.shard = isEqual(moved, shard) ? moved : shard
    }
    return known.shard
  }

  #unshare(infoHash: InfoHash): void {
    this.#count--
    const known = this.#known.get(infoHash)
    if (known !== undefined && --known.hosts === 0) this.#known.delete(infoHash)
  }
}

function isEqual(a: OfferedShard, b: OfferedShard): boolean {
  if (a === b) return true
  for (const key in a) if (a[key as keyof OfferedShard] !== b[key as keyof OfferedShard]) return false
  return true
}
