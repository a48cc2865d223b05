/**
 * A process's membership in a fleet: it announces the rendezvous, keeps a connection to every other member it
 * finds, tells them what it offers, and hears what they offer.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { FailedError } from '../errors.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import type { CatalogueMessage, MemberInfo, OfferedShard } from '../swarm/catalogue-entry.ts'
import { type Refusal, RefusedPeer } from '../swarm/catalogue-session.ts'
import type { CatalogueWire } from '../swarm/catalogue-wire.ts'
import { CatalogueFeed } from './catalogue-feed.ts'
import { type FleetKey, rendezvousOf, secretOf } from './fleet-key.ts'
import { FleetLink } from './fleet-link.ts'
import type { Network } from './network.ts'
import { type KnownHost, Roster, type RosterListener } from './roster.ts'

export type { KnownHost } from './roster.ts'

/** Pages are told, and time limits are looked at, so often. */
const ROUND_MS = 250
const BEAT_MS = 5_000
/** The engine throws away what a connection has not sent yet. */
const FAREWELL_MS = 100
/** Connections that have not proved the key: a stranger can open any number. */
const MAX_UNPROVED = 64
/** Members at once; each is a socket, and the process has some hundred of them for the shards as well. */
const MAX_MEMBERS = 300

/** Addresses remembered; a member has two or three. */
const MAX_ADDRESSES = 5_000

export type MemberListener = RosterListener

/** Complete settings of a membership. */
export interface MemberOptions {
  readonly network: Network
  readonly key: FleetKey
  /** What to say of this process now. */
  readonly self: () => MemberInfo
  readonly listener: MemberListener
  /** Whether others are asked for their catalogues; who only offers does without. */
  readonly wantsCatalogues: boolean
}

interface Peer {
  info: MemberInfo | null
  /** What it is told; null while it did not ask. */
  feed: CatalogueFeed | null
  isLeaving: boolean
}

/** A running membership. Made by {@link FleetMember.join}. */
export class FleetMember implements AsyncDisposable {
  readonly key: FleetKey
  readonly rendezvous: InfoHash
  readonly #options: MemberOptions
  readonly #roster: Roster
  readonly #offer = new Map<InfoHash, OfferedShard>()
  readonly #peers = new Map<FleetLink, Peer>()
  /** Which member answered at an address it was dialled at, or says it listens at. */
  readonly #addresses = new Map<string, string>()
  readonly #turnedAway = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #beatAt = 0
  #stopping: Promise<void> | undefined

  private constructor(options: MemberOptions) {
    this.#options = options
    this.key = options.key
    this.rendezvous = rendezvousOf(options.key)
    this.#roster = new Roster(options.listener)
    const secret = secretOf(options.key)
    options.network.gather(this.rendezvous, {
      open: (wire) => this.#open(wire, secret),
      isMet: (address) => this.#isConnected(this.#addresses.get(address)),
    })
    this.#timer = setInterval(() => this.#round(), ROUND_MS)
  }

  /** Joins; others are found as soon as the DHT answers. */
  static join(options: MemberOptions): FleetMember {
    return new FleetMember(options)
  }

  /** The hosts known, ourselves not among them; a lost one is among them for half a minute. */
  hosts(): readonly KnownHost[] {
    return this.#roster.hosts()
  }

  /** Fleet peers turned away so far, by reason. */
  get turnedAway(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#turnedAway)
  }

  /** Members connected now, coordinators among them. */
  get connected(): number {
    return this.#peers.size
  }

  /** Offers a shard, or says that what was said of it has changed. */
  offer(shard: OfferedShard): void {
    this.#offer.set(shard.infoHash, shard)
    for (const { feed } of this.#peers.values()) feed?.mark(shard.infoHash)
  }

  /** Offers it no longer. */
  withdraw(infoHash: InfoHash): void {
    if (!this.#offer.delete(infoHash)) return
    for (const { feed } of this.#peers.values()) feed?.mark(infoHash)
  }

  /** Says goodbye, so that nobody raises an alarm; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#timer)
      for (const link of this.#peers.keys()) link.send({ type: 'bye' })
      if (this.#peers.size > 0) await delay(FAREWELL_MS)
      await this.#options.network.remove(this.rendezvous)
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #open(wire: CatalogueWire, secret: Uint8Array): FleetLink {
    const link = new FleetLink({
      wire,
      secret,
      listener: {
        onProved: (proved) => this.#tellInfo(proved),
        onMessage: (from, message) => this.#onMessage(from, message),
        onClosed: (closed, refusal) => this.#onClosed(closed, refusal),
      },
    })
    this.#peers.set(link, { info: null, feed: null, isLeaving: false })
    const unproved = [...this.#peers.keys()].filter((peer) => !peer.isProved)
    if (unproved.length > MAX_UNPROVED) unproved[0]?.refuse('too-many')
    if (this.#peers.size > MAX_MEMBERS + MAX_UNPROVED) link.refuse('too-many')
    return link
  }

  #tellInfo(link: FleetLink): void {
    link.send({ type: 'info', info: this.#options.self(), wantsCatalogue: this.#options.wantsCatalogues })
  }

  #onMessage(link: FleetLink, message: CatalogueMessage): void {
    const peer = this.#peers.get(link)
    if (peer === undefined) return
    if (message.type === 'info') {
      this.#onInfo(link, peer, message.info, message.wantsCatalogue)
      return
    }
    if (peer.info === null) throw new RefusedPeer('malformed', 'it did not say who it is')
    if (message.type === 'bye') peer.isLeaving = true
    else if (peer.info.role === 'host') this.#roster.told(peer.info.hostId, message)
  }

  #onInfo(link: FleetLink, peer: Peer, info: MemberInfo, wantsCatalogue: boolean): void {
    if (peer.info !== null) throw new RefusedPeer('malformed', 'it says twice who it is')
    const self = this.#options.self()
    this.#remember(link.wire, info)
    if (info.hostId === self.hostId) {
      link.close() // ourselves, by another address
      return
    }
    peer.info = info
    if (!this.#isBest(link, info, self.hostId)) {
      link.close()
      return
    }
    if (wantsCatalogue) {
      peer.feed = new CatalogueFeed(this.#offer, (message) => link.send(message))
      peer.feed.flush()
    }
    if (info.role === 'host') this.#roster.online(info, link.wire.remote.host)
  }

  /**
   * Two members that dial each other at the same time have two connections. Both keep the one that the member
   * with the smaller id made; of two made by the same, the newer. A process that started later replaces the one
   * before it.
   */
  #isBest(link: FleetLink, info: MemberInfo, ownId: string): boolean {
    const wanted = ownId < info.hostId ? 'initiator' : 'acceptor'
    for (const [other, { info: known }] of this.#peers) {
      if (other === link || known?.hostId !== info.hostId) continue
      const isNewer = info.startedAt !== known.startedAt ? info.startedAt > known.startedAt : undefined
      if (isNewer ?? (link.wire.side === other.wire.side || link.wire.side === wanted)) {
        this.#peers.delete(other) // its end is no end of the host
        other.close()
      } else return false
    }
    return true
  }

  #onClosed(link: FleetLink, refusal: Refusal | null): void {
    const peer = this.#peers.get(link)
    this.#peers.delete(link)
    if (refusal !== null) this.#turnedAway.set(refusal, (this.#turnedAway.get(refusal) ?? 0) + 1)
    if (peer?.info?.role !== 'host' || this.#isConnected(peer.info.hostId)) return
    this.#roster.away(peer.info.hostId, peer.isLeaving)
  }

  #remember({ side, remote }: CatalogueWire, { hostId, port }: MemberInfo): void {
    this.#addresses.set(formatPeerAddress({ host: remote.host, port }), hostId)
    if (side === 'initiator') this.#addresses.set(formatPeerAddress(remote), hostId)
    const [oldest] = this.#addresses.keys()
    if (this.#addresses.size > MAX_ADDRESSES && oldest !== undefined) this.#addresses.delete(oldest)
  }

  #isConnected(hostId: string | undefined): boolean {
    if (hostId === this.#options.self().hostId) return true
    return [...this.#peers.values()].some(({ info }) => info?.hostId === hostId)
  }

  #round(): void {
    const now = performance.now()
    const isBeat = now >= this.#beatAt
    if (isBeat) this.#beatAt = now + BEAT_MS
    const self = isBeat ? this.#options.self() : null
    for (const [link, { feed, info }] of [...this.#peers]) {
      link.checkTime()
      if (info === null) continue
      feed?.flush()
      if (self !== null) link.send({ type: 'beat', info: self, shardCount: this.#offer.size })
    }
    this.#roster.sweep()
  }
}

/** A fleet that a command cannot do without. */
export function requireFleet(key: FleetKey | null): FleetKey {
  if (key !== null) return key
  throw new FailedError(
    'no-fleet',
    'no fleet: on the public DHT name one with --fleet-key FILE (`gguf-swarm key` makes a key) or --fleet NAME',
  )
}
