/**
 * The hosts a member knows, whatever connections come and go: who is online, what each offers, who is lost.
 *
 * online -> away (connection gone) -> online (back in time) | lost (not back) -> forgotten
 * online -> left (said bye)        -> forgotten at once
 */
import type { InfoHash } from '../metainfo/info-hash.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import {
  type CatalogueMessage,
  MAX_OFFERED_SHARDS,
  type MemberInfo,
  type OfferedShard,
} from '../swarm/catalogue-entry.ts'
import { RefusedPeer } from '../swarm/catalogue-session.ts'

/** A connection that breaks is made again within a second or two; until then nobody is called lost. */
const AWAY_MS = 5_000
/** How long a lost host is still shown, so that people see what is gone. */
const LOST_SHOWN_MS = 30_000
/** Entries over all hosts, some 100 bytes each as equal ones are kept once. */
const MAX_ENTRIES = 1_000_000

/** A host as others are told of it. */
export interface KnownHost {
  readonly info: MemberInfo
  /** HOST:PORT of its BitTorrent port. */
  readonly address: string
  readonly state: 'online' | 'lost'
  /** When it was last heard, in milliseconds since 1970. */
  readonly seenAt: number
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
  readonly #entries = new Map<string, Entry>()
  /** Equal offers of different hosts are one object. */
  readonly #shared = new Map<InfoHash, OfferedShard>()
  #count = 0

  constructor(listener: RosterListener) {
    this.#listener = listener
  }

  hosts(): readonly KnownHost[] {
    return [...this.#entries.values()].map(({ host }) => host)
  }

  /** A host is connected, for the first time or again; its catalogue follows. */
  online(info: MemberInfo, remoteHost: string): void {
    const address = formatPeerAddress({ host: remoteHost, port: info.port })
    const known = this.#entries.get(info.hostId)
    const shards = known?.shards ?? new Map<InfoHash, OfferedShard>()
    const host: KnownHost = { info, address, state: 'online', seenAt: Date.now(), complete: false, shards }
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
    else entry.goneAt ??= performance.now()
  }

  /** Declares lost and forgets what has been gone for long enough. */
  sweep(): void {
    const now = performance.now()
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

  /** A heartbeat may overtake a page, so only a count that is wrong twice shows that something was lost. */
  #checkCount(entry: Entry, count: number): void {
    const isWrong = entry.host.complete && count !== entry.shards.size
    if (isWrong && entry.doubted === count) {
      throw new RefusedPeer('malformed', `it offers ${count} shards and has told of ${entry.shards.size}`)
    }
    entry.doubted = isWrong ? count : null
  }

  #shards(entry: Entry, { put, drop, isPartial }: Extract<CatalogueMessage, { type: 'shards' }>): void {
    for (const shard of put) {
      entry.stale?.delete(shard.infoHash)
      const isNew = !entry.shards.has(shard.infoHash)
      if (isNew && (entry.shards.size >= MAX_OFFERED_SHARDS || this.#count >= MAX_ENTRIES)) {
        throw new RefusedPeer('too-many', `it offers more than ${MAX_OFFERED_SHARDS} shards`)
      }
      if (isNew) this.#count++
      const shared = this.#share(shard)
      entry.shards.set(shard.infoHash, shared)
      this.#listener.onShard?.(entry.host, shard.infoHash, shared)
    }
    for (const infoHash of drop) this.#drop(entry, infoHash)
    if (isPartial || entry.host.complete) return
    for (const infoHash of entry.stale ?? []) this.#drop(entry, infoHash)
    entry.stale = null
    this.#change(entry, { complete: true })
  }

  #drop(entry: Entry, infoHash: InfoHash): void {
    if (!entry.shards.delete(infoHash)) return
    this.#count--
    this.#listener.onShard?.(entry.host, infoHash, null)
  }

  #change(entry: Entry, change: Partial<KnownHost>): void {
    entry.host = { ...entry.host, ...change, seenAt: Date.now() }
    this.#listener.onHost?.(entry.host, 'changed')
  }

  #forget(hostId: string, entry: Entry, how: 'left' | 'forgotten'): void {
    this.#entries.delete(hostId)
    this.#count -= entry.shards.size
    if (this.#entries.size === 0) this.#shared.clear()
    this.#listener.onHost?.(entry.host, how)
  }

  #share(shard: OfferedShard): OfferedShard {
    if (shard.state !== 'seeding') return shard
    const known = this.#shared.get(shard.infoHash)
    if (known !== undefined && isEqual(known, shard)) return known
    this.#shared.set(shard.infoHash, shard)
    return shard
  }
}

function isEqual(a: OfferedShard, b: OfferedShard): boolean {
  return (Object.keys(a) as (keyof OfferedShard)[]).every((key) => a[key] === b[key])
}
