/**
 * How this program behaves towards the peers of one torrent where the engine has no opinion, or a wrong
 * one: no wires to itself or from seed to seed, DHT ports exchanged (BEP 5), plaintext tried where
 * encryption fails.
 */
import { isIP } from 'node:net'
import type Wire from 'bittorrent-protocol'
import type { Torrent, TorrentPeer } from 'webtorrent'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import { isLoopback, plainAddress, resolveAddress } from '../address.ts'
import type { AllowedPeers } from '../allowed-peers.ts'
import { REQUEST_QUEUE_LENGTH } from '../seeding/upload-queue.ts'
import { duplicateConnection, isConnected } from './duplicate-connection.ts'
import { limitPieces } from './piece-claims.ts'
import { wasRefused } from './wire-guard.ts'

/** More than the engine's three reconnect attempts: a peer marked with it is not dialled again. */
const NO_RECONNECT = 1_000
/** How long a peer known to be a seed is left alone by a torrent that is complete itself. */
const SEED_MEMORY_MS = 60 * 60_000
/** How long a peer is left alone that floods or sends what no message is: the engine would dial it again each second. */
const REFUSED_MEMORY_MS = 60_000
/** Peers known per torrent: PEX and DHT replies name any number, and each is an object and a dial. */
const MAX_KNOWN_PEERS = 1_000
/**
 * Of these, such as other peers told of (PEX): one of them can name a thousand that are not there, and must leave
 * room for those that the DHT names.
 */
const MAX_PEX_PEERS = 250
/** Ports of one host that may turn out to be liars before all of it is left alone; hosts share addresses (NAT). */
const MAX_LIARS_PER_HOST = 3
/** Addresses remembered per torrent (seeds, self, plaintext, liars); the oldest go first. */
const MAX_REMEMBERED = 1_000
/** Client name in the extended handshake (BEP 10), which other clients show in their peer lists. */
const CLIENT_NAME = 'gguf-swarm 0.1'

/** What the policy needs to know of the process. */
export interface PolicyContext {
  /** Our own peer id, 40 hex digits. */
  readonly peerId: string
  readonly port: () => number
  /** Our DHT node's port; null for a node that must not be kept by others (BEP 43). */
  readonly dhtPort: number | null
  readonly onDhtNode: (node: PeerAddress) => void
  /** Who may be dialled; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  /** Of a torrent without content, whose peers choose among their connections themselves: is this address connected? */
  readonly isMet?: (address: string) => boolean
  /** Runs `dial` with outgoing encryption off. */
  readonly withoutEncryption: <T>(dial: () => T) => T
}

/** A map that forgets its oldest entry when it is full. */
class Remembered<V> {
  readonly #entries = new Map<string, V>()
  get size(): number {
    return this.#entries.size
  }
  get(key: string): V | undefined {
    return this.#entries.get(key)
  }
  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > MAX_REMEMBERED && oldest !== undefined) this.#entries.delete(oldest)
  }
}

/** The policy of one torrent, in force from construction until the torrent ends. */
export class WirePolicy {
  readonly #torrent: Torrent
  readonly #context: PolicyContext
  readonly #self = new Remembered<true>()
  readonly #seeds = new Remembered<number>()
  readonly #refused = new Remembered<number>()
  readonly #plaintext = new Remembered<true>()
  /** Peers that sent wrong data, by address and by peer id; and how many of them one host has had. */
  readonly #liars = new Remembered<true>()
  readonly #liarsOfHost = new Remembered<number>()
  readonly #bannedWires = new WeakSet<Wire>()
  /** How to greet those that came before the metadata, for as long as they stay. */
  readonly #greetings = new Map<Wire, () => void>()
  /** Peers heard of before the engine took the torrent in. */
  readonly #early: PeerAddress[] = []
  #banned = 0

  constructor(torrent: Torrent, context: PolicyContext) {
    this.#torrent = torrent
    this.#context = context
    this.#chooseDials()
    torrent.on('wire', (wire: Wire, address?: string) => this.#onWire(wire, address))
    torrent.once('infoHash', () => {
      for (const peer of this.#early.splice(0)) this.dial(peer)
    })
    torrent.once('ready', () => {
      for (const greet of this.#greetings.values()) setImmediate(greet)
      this.#greetings.clear()
    })
    torrent.on('done', () => {
      for (const wire of [...torrent.wires]) if (isSeed(wire, torrent)) this.#leaveSeed(wire)
    })
  }

  /** Connects to a peer heard of, unless that is pointless: ourselves, or a seed while we are one. */
  dial({ host, port }: PeerAddress): void {
    const torrent = this.#torrent
    if (!torrent.infoHash) {
      this.#early.push({ host, port })
      return
    }
    // Where not everybody is allowed, a name is looked up before it is judged, and not once more to connect.
    if (this.#context.allowed !== undefined && isIP(host) === 0) {
      void resolveAddress({ host, port }).then(
        (peer) => this.dial(peer),
        () => undefined, // nobody has that name
      )
    } else if (!torrent.destroyed) torrent.addPeer(`${host}:${port}`, 'dht')
  }

  /** Connections left so far because of wrong data. */
  get banned(): number {
    return this.#banned
  }

  /** Did it ever meet another seed, while it was one itself? */
  get hasMetSeeds(): boolean {
    return this.#seeds.size > 0
  }

  /**
   * Leaves a peer that sent wrong data, and does not connect to it again. Once: more of what it sent may be found
   * wrong after that, and is no other peer's.
   */
  ban(wire: Wire): void {
    if (this.#bannedWires.has(wire)) return
    this.#bannedWires.add(wire)
    const { remoteAddress: host, remotePort, peerId } = wire
    this.#liars.set(peerId, true)
    this.#banned++
    if (host !== undefined) {
      // An incoming connection has a port of its own; the one it listens on is in its extended handshake.
      for (const port of [remotePort, wire.peerExtendedHandshake['p']]) {
        this.#liars.set(`${host}:${port}`, true)
        this.#forget(`${host}:${port}`)
      }
      this.#liarsOfHost.set(host, (this.#liarsOfHost.get(host) ?? 0) + 1)
    }
    wire.destroy()
  }

  #isLiar(host: string | undefined, ...names: readonly string[]): boolean {
    const ofHost = host === undefined ? 0 : (this.#liarsOfHost.get(host) ?? 0)
    return ofHost >= MAX_LIARS_PER_HOST || names.some((name) => this.#liars.get(name))
  }

  /** Is there no use in dialling this address: ourselves, a liar, a flood, who is connected, or a seed while we are one? */
  #isPointless(address: string): boolean {
    const host = hostOf(address)
    const isMet = this.#context.isMet ?? ((met) => isConnected(met, this.#torrent.wires))
    if (this.#self.get(address) || this.#isLiar(host, address) || isMet(address)) return true
    const until = (times: Remembered<number>): number => times.get(address) ?? 0
    const now = performance.now()
    return until(this.#refused) > now || (this.#torrent.done && until(this.#seeds) > now)
  }

  #hasRoomFor(address: string, source: string | undefined): boolean {
    const peers = this.#torrent._peers
    if ((peers?.size ?? 0) >= MAX_KNOWN_PEERS) return false
    if (source !== 'ut_pex') return true
    // A peer elsewhere cannot mean a program of this machine well.
    if (isLoopback(hostOf(address))) return false
    let count = 0
    for (const known of peers?.values() ?? []) if (known.source === source) count++
    return count < MAX_PEX_PEERS
  }

  #onWire(wire: Wire, address: string | undefined): void {
    const torrent = this.#torrent
    const { peerId, port, dhtPort, onDhtNode } = this.#context
    if (wire.peerId === peerId) {
      if (address !== undefined) this.#self.set(address, true)
      this.#forget(address)
      wire.destroy()
      return
    }
    if (this.#isLiar(wire.remoteAddress, wire.peerId)) {
      wire.destroy()
      return
    }
    const duplicate =
      this.#context.isMet === undefined ? duplicateConnection(wire, torrent.wires, peerId) : null
    if (duplicate !== null) {
      this.#forget(duplicate === wire ? address : `${duplicate.remoteAddress}:${duplicate.remotePort}`)
      duplicate.destroy()
      if (duplicate === wire) return
    }
    wire.once('close', () => {
      this.#greetings.delete(wire)
      if (wasRefused(wire) && address !== undefined)
        this.#refused.set(address, performance.now() + REFUSED_MEMORY_MS)
    })
    limitPieces(wire, () => torrent.pieces.length)
    Object.assign(wire.extendedHandshake, { v: CLIENT_NAME, p: port(), reqq: REQUEST_QUEUE_LENGTH })
    // Once: each is a ping to a port of the peer's choice.
    wire.once('port', (theirs: number) => {
      if (wire.remoteAddress && theirs > 0)
        onDhtNode({ host: plainAddress(wire.remoteAddress), port: theirs })
    })
    // The engine drops a request for a piece that is not there without a word, and it would wait for ever.
    wire.on('request', (index: number, _offset: number, _length: number, respond: (error: Error) => void) => {
      if (!torrent.bitfield?.get(index)) respond(new Error('that piece is not here'))
    })
    const checkSeed = (): void => {
      if (torrent.done && isSeed(wire, torrent)) this.#leaveSeed(wire, address)
    }
    wire.on('have-all', checkSeed)
    wire.on('bitfield', checkSeed)
    const greet = (): void => {
      if (wire.destroyed) return
      if (wire.peerExtensions.dht && dhtPort !== null) wire.port(dhtPort)
      // A peer whose first messages came in one segment with its handshake was interested before the
      // engine listened, and would never be unchoked.
      if (wire.peerInterested && wire.amChoking) wire.unchoke()
      // Nor would a seed be known for one.
      checkSeed()
    }
    // A torrent without content is never ready, and every connection ever made would wait for it.
    if (this.#context.isMet !== undefined) return
    // After the engine's own bitfield message, which BEP 3 wants to be the first.
    if (torrent.ready) setImmediate(greet)
    else this.#greetings.set(wire, greet)
  }

  /** Two seeds have nothing to give each other: the connection goes, and is not made again for a while. */
  #leaveSeed(wire: Wire, address = `${wire.remoteAddress}:${wire.remotePort}`): void {
    this.#seeds.set(address, performance.now() + SEED_MEMORY_MS)
    this.#forget(address)
    wire.destroy()
  }

  #forget(address: string | undefined): void {
    const peer = address === undefined ? undefined : this.#torrent._peers?.get(address)
    if (peer !== undefined) peer.retries = NO_RECONNECT
  }

  /**
   * Every connection the engine makes passes here, also those to peers that other peers told of (PEX) and
   * those it tries again. It always opens with encryption (MSE) and never without, so a peer that speaks
   * plaintext only could not be reached: after a connection that ended before its handshake, the next
   * attempt is made the other way.
   */
  #chooseDials(): void {
    const torrent = this.#torrent
    const addPeer = torrent._addPeer.bind(torrent)
    torrent._addPeer = (address, type, source) => {
      if (typeof address !== 'string') return addPeer(address, type, source)
      if (this.#isPointless(address) || !this.#hasRoomFor(address, source)) return null
      if (this.#context.allowed?.admits(hostOf(address), 'dials') === false) return null
      const plain = this.#plaintext.get(address) === true
      const dial = (): TorrentPeer | null => addPeer(address, type, source)
      const peer = plain ? this.#context.withoutEncryption(dial) : dial()
      peer?.once('disconnect', () => {
        if (!peer._handshakeDone && !plain) this.#plaintext.set(address, true)
      })
      return peer
    }
  }
}

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':'))

/** Has this peer every piece, by its own bitfield? */
function isSeed(wire: Wire, torrent: Torrent): boolean {
  for (let index = torrent.pieces.length - 1; index >= 0; index--) {
    if (!wire.peerPieces.get(index)) return false
  }
  return torrent.pieces.length > 0
}
