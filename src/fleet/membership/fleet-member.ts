/**
 * A process's membership in a fleet: it announces the rendezvous, keeps a connection to every other member it
 * finds, tells them what it offers, and hears what they offer.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { FailedError } from '../../errors.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import { offerProblem } from '../../swarm/catalogue/catalogue-codec.ts'
import {
  type CatalogueMessage,
  MAX_OFFERED_SHARDS,
  type MemberInfo,
  type OfferedShard,
} from '../../swarm/catalogue/catalogue-entry.ts'
import { type Refusal, RefusedPeer } from '../../swarm/catalogue/catalogue-session.ts'
import type { CatalogueWire } from '../../swarm/catalogue/catalogue-wire.ts'
import type { Network } from '../network.ts'
import { CatalogueFeed } from './catalogue-feed.ts'
import { type FleetKey, rendezvousOf, secretOf } from './fleet-key.ts'
import { FleetLink } from './fleet-link.ts'
import { type KnownHost, Roster, type RosterListener } from './roster.ts'

export type { KnownHost } from './roster.ts'

/** Pages are told, and time limits are looked at, so often. */
const ROUND_MS = 250
const BEAT_MS = 5_000
/** A connection on which a heartbeat is missing may be dead: one that its peer makes anew replaces it. */
const QUIET_MS = 1.5 * BEAT_MS
/** The engine throws away what a connection has not sent yet. */
const FAREWELL_MS = 100
/** Connections from outside that have not proved the key: a stranger can open any number. */
const MAX_UNPROVED = 64
/** Members at once; each is a socket, and the process has some hundred of them for the shards as well. */
const MAX_MEMBERS = 300

/** Addresses remembered; a member has two or three. */
const MAX_ADDRESSES = 5_000

export type MemberListener = RosterListener

/** Complete settings of a membership. */
export interface MemberOptions {
  readonly network: Pick<Network, 'gather' | 'remove'>
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
  /** The one connection to each member, by host id. */
  readonly #members = new Map<string, FleetLink>()
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
      onSilent: () => this.#count('silent'),
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
    return this.#members.size
  }

  /**
   * Offers a shard, or says that what was said of it has changed. Gives the reason, for people, when it cannot be
   * told: others would refuse all of a catalogue that holds it.
   */
  offer(shard: OfferedShard): string | undefined {
    const isNew = !this.#offer.has(shard.infoHash)
    if (isNew && this.#offer.size >= MAX_OFFERED_SHARDS)
      return `a catalogue has ${MAX_OFFERED_SHARDS} shards at most`
    const problem = offerProblem(shard)
    if (problem !== undefined) return problem
    this.#offer.set(shard.infoHash, shard)
    for (const { feed } of this.#peers.values()) feed?.mark(shard.infoHash)
    return undefined
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
        onProved: (proved) => this.#onProved(proved),
        onMessage: (from, message) => this.#onMessage(from, message),
        onClosed: (closed, refusal) => this.#onClosed(closed, refusal),
      },
    })
    this.#peers.set(link, { info: null, feed: null, isLeaving: false })
    this.#limitUnproved()
    return link
  }

  /**
   * Of those that connected to us and prove nothing, the address that has most of them loses one. Which of them is
   * chance: the oldest, and a flood that is quick enough would push out every member before its proof arrives.
   * Those we dialled do not count; there are no more of them than dials.
   */
  #limitUnproved(): void {
    const byHost = new Map<string, FleetLink[]>()
    let count = 0
    for (const link of this.#peers.keys()) {
      if (link.isProved || link.wire.side === 'initiator') continue
      count++
      const { host } = link.wire.remote
      byHost.set(host, [...(byHost.get(host) ?? []), link])
    }
    if (count <= MAX_UNPROVED) return
    const [first = [], ...others] = byHost.values()
    const crowd = others.reduce((most, links) => (links.length > most.length ? links : most), first)
    crowd[randomInt(crowd.length)]?.refuse('too-many')
  }

  #onProved(link: FleetLink): void {
    if (this.#members.size >= MAX_MEMBERS)
      throw new RefusedPeer('too-many', `more than ${MAX_MEMBERS} members`)
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
    // Pages nobody asked for are not kept.
    else if (message.type === 'shards' && !this.#options.wantsCatalogues) return
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
    if (!this.#isBest(link, info, self.hostId)) {
      link.close()
      return
    }
    peer.info = info
    this.#members.set(info.hostId, link)
    if (wantsCatalogue) {
      peer.feed = new CatalogueFeed(this.#offer, link)
      peer.feed.flush()
    }
    if (info.role === 'host') this.#roster.online(info, link.wire.remote.host)
    else this.#roster.away(info.hostId, false) // what was a host by that id is one no longer
  }

  /**
   * Two members that dial each other at the same time have two connections. Both keep the one that the member
   * with the smaller id made; of two made by the same, the newer. A process that started later replaces the one
   * before it, and any connection replaces one that has gone quiet.
   */
  #isBest(link: FleetLink, info: MemberInfo, ownId: string): boolean {
    const other = this.#members.get(info.hostId)
    const known = other === undefined ? null : this.#peers.get(other)?.info
    if (other === undefined || known == null) return true
    const wanted = ownId < info.hostId ? 'initiator' : 'acceptor'
    const isNewer = info.startedAt !== known.startedAt ? info.startedAt > known.startedAt : undefined
    const isBetter = isNewer ?? (link.wire.side === other.wire.side || link.wire.side === wanted)
    if (!isBetter && other.quietMs < QUIET_MS) return false
    this.#peers.delete(other) // its end is no end of the host
    other.close()
    return true
  }

  #onClosed(link: FleetLink, refusal: Refusal | null): void {
    const peer = this.#peers.get(link)
    this.#peers.delete(link)
    if (refusal !== null) this.#count(refusal)
    if (peer === undefined || peer.info === null || this.#members.get(peer.info.hostId) !== link) return
    this.#members.delete(peer.info.hostId)
    if (peer.info.role === 'host') this.#roster.away(peer.info.hostId, peer.isLeaving)
  }

  #count(refusal: Refusal): void {
    this.#turnedAway.set(refusal, (this.#turnedAway.get(refusal) ?? 0) + 1)
  }

  #remember({ side, remote }: CatalogueWire, { hostId, port }: MemberInfo): void {
    this.#addresses.set(formatPeerAddress({ host: remote.host, port }), hostId)
    if (side === 'initiator') this.#addresses.set(formatPeerAddress(remote), hostId)
    for (const oldest of this.#addresses.keys()) {
      if (this.#addresses.size <= MAX_ADDRESSES) break
      this.#addresses.delete(oldest)
    }
  }

  #isConnected(hostId: string | undefined): boolean {
    return hostId !== undefined && (this.#members.has(hostId) || hostId === this.#options.self().hostId)
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
      if (self !== null && link.hasRoom) link.send({ type: 'beat', info: self, shardCount: this.#offer.size })
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
