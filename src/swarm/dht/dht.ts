/**
 * One mainline DHT node (BEP 5) with promises in place of callbacks. The only file that meets
 * bittorrent-dht; what is changed in that library's behaviour is in dht-guard.ts.
 */
import { randomBytes } from 'node:crypto'
import DHT, { type DhtContact, type DhtReply } from 'bittorrent-dht'
import { type InfoHash, infoHashBytes, parseInfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import { isLoopback, resolveAddress } from '../address.ts'
import type { AllowedPeers } from '../allowed-peers.ts'
import { listenError } from '../listen-error.ts'
import { assertLibrary, tame } from './dht-guard.ts'
import { PeerStore } from './peer-store.ts'
import { type GuardCounters, GuardedUdpSocket } from './udp-guard.ts'

/** Kademlia's k: an announce goes to so many of the closest nodes. */
const CLOSEST_NODES = 8
/** Lookup tables kept between lookup and announce; must exceed the number of shards one host announces. */
const MAX_LOOKUP_TABLES = 5_000
/** A node that has not answered after this is taken for dead; each costs a lookup this long. */
const QUERY_TIMEOUT_MS = 1_000
/** Queries under way at once; lookups of many shards share them. */
const QUERY_CONCURRENCY = 64
/** A lookup that has not ended by then is given up; the library can lose one to a vanished node. */
const LOOKUP_DEADLINE_MS = 20_000

/** What the owner of a node hears from it. */
export interface DhtListener {
  /** A peer of `infoHash` was found by a lookup. */
  onPeer?(infoHash: InfoHash, peer: PeerAddress): void
  /** Somebody announced itself to this node as a peer of `infoHash`. */
  onAnnounce?(infoHash: InfoHash, peer: PeerAddress): void
  /** A node entered the routing table. */
  onNode?(nodeId: string, node: PeerAddress): void
}

/** Complete settings of one node. */
export interface DhtOptions {
  /** UDP port; 0 picks a free one. */
  readonly port: number
  /** How a person chooses another port, for the message that this one is in use. */
  readonly portOption?: string
  /** IPv4 address to listen on. */
  readonly bind: string
  /** 40 hex digits; a new random id when left out. */
  readonly nodeId?: string
  /** Nodes that are always asked and always told. */
  readonly bootstrap: readonly PeerAddress[]
  /** BEP 43: answerable, but not kept in anybody's routing table. */
  readonly readOnly: boolean
  /** With whom it speaks; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  /** Stored peers expire after this, so that dead hosts fade. */
  readonly storedPeerMaxAgeMs: number
  /** Stored peers are those of this other node of the same process: what one is told, both answer. */
  readonly shareStoreOf?: DhtNode
  readonly listener: DhtListener
}

/** What one announce achieved. */
export interface AnnounceResult {
  /** Nodes that answered the lookup. */
  readonly visited: number
  /** Nodes that acknowledged that they stored us. */
  readonly stored: number
}

/** A running DHT node. Made by {@link DhtNode.start}. */
export class DhtNode implements AsyncDisposable {
  /** Nodes that are always asked and always told; its owner names others when they have moved. */
  bootstrap: readonly PeerAddress[]
  readonly #dht: DHT
  readonly #socket: GuardedUdpSocket
  readonly #store: PeerStore
  #stopping: Promise<void> | undefined

  private constructor(options: DhtOptions) {
    this.#socket = new GuardedUdpSocket(options)
    this.bootstrap = options.bootstrap
    this.#dht = new DHT({
      nodeId: options.nodeId ?? randomBytes(20).toString('hex'),
      bootstrap: false, // joining is done by join(), which can be repeated
      socket: this.#socket,
      timeout: QUERY_TIMEOUT_MS,
      concurrency: QUERY_CONCURRENCY,
      maxTables: MAX_LOOKUP_TABLES,
    })
    assertLibrary(this.#dht)
    tame(this.#dht)
    const lender = options.shareStoreOf
    this.#store = lender === undefined ? new PeerStore(options.storedPeerMaxAgeMs) : lender.#store
    this.#dht._peers.destroy()
    this.#dht._peers = lender === undefined ? this.#store : this.#store.lent()
    this.#listen(options.listener)
  }

  /**
   * Binds the socket and answers queries from then on; nothing is sent before {@link join}.
   * @throws {FailedError} `port-in-use`, or `cannot-listen` with the system's reason.
   */
  static async start(options: DhtOptions): Promise<DhtNode> {
    const node = new DhtNode(options)
    try {
      await node.#bind(options)
      return node
    } catch (error) {
      await node.stop()
      throw error
    }
  }

  get nodeId(): string {
    return this.#dht.nodeId.toString('hex')
  }

  /** The UDP port in use. */
  get port(): number {
    return this.#dht.address().port
  }

  get guard(): GuardCounters {
    return this.#socket.counters
  }

  /** Peers kept for others, and how many had to go before their time. */
  get stored(): { readonly peers: number; readonly dropped: number } {
    return { peers: this.#store.size, dropped: this.#store.dropped }
  }

  /** Nodes in the routing table. */
  get nodeCount(): number {
    return this.#dht.nodes.count()
  }

  /** The routing table's addresses, to be kept for the next start. */
  nodes(): readonly PeerAddress[] {
    return this.#dht.nodes.toArray().map(({ host, port }) => ({ host, port }))
  }

  /** Pings an address; its node enters the routing table when it answers. */
  addNode(endpoint: PeerAddress): void {
    if (this.#stopping === undefined) this.#dht.addNode({ ...endpoint })
  }

  /** Asks every bootstrap node for the nodes near us; resolves with how many bootstraps answered. */
  async join(): Promise<number> {
    const id = this.#dht.nodeId
    const answers = await Promise.all(
      this.bootstrap.map((endpoint) => this.#ask(endpoint, 'find_node', { target: id }).then(Boolean)),
    )
    const answered = answers.filter(Boolean).length
    if (answered > 0 && this.#stopping === undefined) {
      const message = { q: 'find_node', a: { id, target: id } }
      let isOver = false // nodes that always name nearer ones would keep this going, too
      const goesOn = (): boolean => !isOver
      await bounded((done) => this.#dht._rpc.closest(id, message, goesOn, () => done(undefined)))
      isOver = true
    }
    return answered
  }

  /** Looks `infoHash` up; peers go to the listener. Resolves with the number of nodes that answered. */
  async lookup(infoHash: InfoHash): Promise<number> {
    if (this.#stopping !== undefined) return 0
    let abort: (() => void) | undefined
    const visited = await bounded<number>((done) => {
      abort = this.#dht.lookup(infoHash, (error, visited) => done(error ? 0 : (visited ?? 0)))
    })
    // Nodes that always name nearer ones would keep it going for as long as they have addresses.
    if (visited === undefined) abort?.()
    return visited ?? 0
  }

  /**
   * Looks `infoHash` up and announces our TCP `port` to the closest nodes and to every bootstrap node.
   * The bootstraps are told in any case: libtorrent asks one node per /24 only, and that is often them.
   */
  async announce(infoHash: InfoHash, port: number): Promise<AnnounceResult> {
    const visited = await this.lookup(infoHash)
    if (this.#stopping !== undefined) return { visited, stored: 0 }
    const target = infoHashBytes(infoHash)
    const closest = this.#dht._tables.get(infoHash)?.closest(target, CLOSEST_NODES) ?? []
    const nodes = [...closest, ...(await this.#bootstrapTokens(target, closest))]
    this.#dht._tables.remove(infoHash) // tokens expire; the next announce looks up again
    if (nodes.length === 0) return { visited, stored: 0 }
    const message = {
      q: 'announce_peer',
      a: { id: this.#dht.nodeId, info_hash: target, port, implied_port: 0 },
    }
    const stored = await bounded<number>((done) =>
      this.#dht._rpc.queryAll(nodes, message, null, (_error, hits) => done(hits)),
    )
    return { visited, stored: stored ?? 0 }
  }

  /**
   * The peers of `infoHash` that this one node names, in compact form as hex; null when it does not answer. Tells a
   * bootstrap that lost its memory in a restart from one that has it.
   */
  async peersKnownTo(endpoint: PeerAddress, infoHash: InfoHash): Promise<readonly string[] | null> {
    const reply = await this.#ask(endpoint, 'get_peers', { info_hash: infoHashBytes(infoHash) })
    return reply && (reply.r?.values ?? []).map((compact) => Buffer.from(compact).toString('hex'))
  }

  /** Stores ourselves as a peer, as other nodes do: without it, whoever asks us directly hears of nobody. */
  storeSelf(infoHash: InfoHash, { host, port }: PeerAddress): void {
    const self = { host, port }
    this.#dht._addPeer(self, Buffer.from(infoHashBytes(infoHash)), { host, port: this.port })
  }

  /** Closes the socket; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= new Promise((resolve) => this.#dht.destroy(resolve))
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #bootstrapTokens(target: Uint8Array, closest: readonly DhtContact[]): Promise<DhtContact[]> {
    const known = new Set(closest.map(formatPeerAddress))
    const contacts = await Promise.all(
      this.bootstrap.map(async (endpoint): Promise<DhtContact | null> => {
        const address = await resolveAddress(endpoint).catch(() => null)
        if (address === null || known.has(formatPeerAddress(address))) return null
        const reply = await this.#ask(address, 'get_peers', { info_hash: target })
        return reply?.r?.token === undefined ? null : { ...address, token: reply.r.token }
      }),
    )
    return contacts.filter((contact) => contact !== null)
  }

  /** One query to one address; null when its name does not resolve or it does not answer. */
  async #ask(endpoint: PeerAddress, query: string, args: Record<string, unknown>): Promise<DhtReply | null> {
    const address = await resolveAddress(endpoint).catch(() => null)
    if (address === null || this.#stopping !== undefined) return null
    const message = { q: query, a: { id: this.#dht.nodeId, ...args } }
    const reply = await bounded<DhtReply | null>((done) =>
      this.#dht._rpc.query(address, message, (error, reply) => done(error ? null : (reply ?? null))),
    )
    return reply ?? null
  }

  async #bind({ port, bind, portOption }: DhtOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#socket.once('listening', resolve)
    this.#socket.once('error', reject)
    this.#dht.listen(port, bind)
    try {
      await promise
    } catch (error) {
      throw listenError(error, { protocol: 'UDP', bind, port, option: portOption })
    } finally {
      this.#socket.off('error', reject)
    }
  }

  #listen({ onPeer, onAnnounce, onNode }: DhtListener): void {
    const dht = this.#dht
    // Warnings are one per odd datagram; the guard counts those. Errors come from send() and pass.
    dht.on('warning', () => undefined)
    dht.on('error', () => undefined)
    dht.on(
      'peer',
      (peer: PeerAddress, infoHash: Buffer, from: { address?: string; host?: string } | null) => {
        // A host that shares a machine with its bootstrap is known to that by an address of no use elsewhere.
        if (isLoopback(peer.host) && !isLoopback(from?.address ?? from?.host ?? peer.host)) return
        onPeer?.(toInfoHash(infoHash), peer)
      },
    )
    dht.on('announce', (peer: PeerAddress, infoHash: Buffer) => {
      this.#socket.prove(peer.host) // its token was sent to that address, and nowhere else
      onAnnounce?.(toInfoHash(infoHash), peer)
    })
    dht.on('node', (node: DhtContact) => {
      if (node.id) onNode?.(Buffer.from(node.id).toString('hex'), { host: node.host, port: node.port })
    })
  }
}

const toInfoHash = (bytes: Buffer): InfoHash => parseInfoHash(bytes.toString('hex'))

/** Runs a callback-style call with a deadline; undefined when the deadline passed first. */
function bounded<T>(call: (done: (value: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), LOOKUP_DEADLINE_MS)
    // A node that is stopped never calls back, and must not keep the process for the rest of the time.
    timer.unref()
    call((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}
