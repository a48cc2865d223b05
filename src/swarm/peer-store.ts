/**
 * The peers that others announced to our DHT node (BEP 5). It has room for so many and no more; when it is full, the
 * address that has announced most makes room, so that nobody pushes out what others have announced.
 */

/** Of all infohashes: some 300 bytes each where every one is of another infohash, 15 MB in all. */
const MAX_PEERS = 50_000
/** Of one infohash: more than any client asks for in an hour, few enough to be looked through for each query. */
const MAX_PEERS_PER_INFOHASH = 2_000
/** In one reply: 50 × 8 bytes fit every client's receive buffer, the smallest of which has 1,500. */
const MAX_PEERS_PER_REPLY = 50
/** Looked at to find one to drop. Who holds a tenth of the store is among them in four cases of five. */
const DROP_SAMPLE = 16
/** Expired ones are looked for so often within the time they live. */
const SWEEPS = 3
/** IPv4 address and port (BEP 5). */
const COMPACT_BYTES = 6

interface StoredPeer {
  readonly infoHash: string
  readonly address: number
  readonly port: number
  storedAt: number
  /** Where it stands in the list of all. */
  place: number
}

/** What the DHT library asks of its store (record-cache 1.2.0): names are infohashes in hex. */
export class PeerStore {
  readonly #maxAgeMs: number
  readonly #now: () => number
  readonly #all: StoredPeer[] = []
  readonly #byInfoHash = new Map<string, StoredPeer[]>()
  /** How many each address has. */
  readonly #counts = new Map<number, number>()
  readonly #sweeping: NodeJS.Timeout
  #dropped = 0

  constructor(maxAgeMs: number, now: () => number = () => performance.now()) {
    this.#maxAgeMs = maxAgeMs
    this.#now = now
    this.#sweeping = setInterval(() => this.#sweep(), Math.ceil(maxAgeMs / SWEEPS))
    this.#sweeping.unref()
  }

  get size(): number {
    return this.#all.length
  }

  /** Dropped before their time because there was no room. */
  get dropped(): number {
    return this.#dropped
  }

  /** Stores a peer, or that it is still there. */
  add(infoHash: string, compact: Buffer): void {
    const [address, port] = [compact.readUInt32BE(0), compact.readUInt16BE(4)]
    const peers = this.#byInfoHash.get(infoHash) ?? []
    const known = peers.find((peer) => peer.address === address && peer.port === port)
    if (known !== undefined) {
      known.storedAt = this.#now()
      return
    }
    if (peers.length >= MAX_PEERS_PER_INFOHASH) this.#drop(crowdOf(peers, this.#countIn(peers)))
    else if (this.#all.length >= MAX_PEERS) this.#drop(crowdOf(this.#sample(), this.#counts))
    const peer = { infoHash, address, port, storedAt: this.#now(), place: this.#all.length }
    this.#all.push(peer)
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1)
    peers.push(peer)
    this.#byInfoHash.set(infoHash, peers)
  }

  /**
   * Up to `count` peers in compact form, others each time where there are more. One of each address comes before a
   * second of any: one that announces a thousand ports is no more likely to be named than one that announces its own.
   */
  get(infoHash: string, count: number = MAX_PEERS_PER_REPLY): Buffer[] {
    const peers = this.#byInfoHash.get(infoHash) ?? []
    const oldest = this.#now() - this.#maxAgeMs
    const start = Math.floor(Math.random() * peers.length)
    const seen = new Set<number>()
    const first: StoredPeer[] = []
    const more: StoredPeer[] = []
    for (let at = 0; at < peers.length && first.length < count; at++) {
      const peer = peers[(start + at) % peers.length]!
      if (peer.storedAt < oldest) continue
      if (seen.has(peer.address)) more.push(peer)
      else first.push(peer)
      seen.add(peer.address)
    }
    return [...first, ...more].slice(0, count).map(compactOf)
  }

  destroy(): void {
    clearInterval(this.#sweeping)
    this.#all.length = 0
    this.#byInfoHash.clear()
    this.#counts.clear()
  }

  #countIn(peers: readonly StoredPeer[]): ReadonlyMap<number, number> {
    const counts = new Map<number, number>()
    for (const { address } of peers) counts.set(address, (counts.get(address) ?? 0) + 1)
    return counts
  }

  #sample(): readonly StoredPeer[] {
    return Array.from({ length: DROP_SAMPLE }, () => this.#all[Math.floor(Math.random() * this.#all.length)]!)
  }

  #drop(peer: StoredPeer): void {
    this.#dropped++
    this.#remove(peer)
  }

  #remove(peer: StoredPeer): void {
    const last = this.#all.pop()!
    if (last !== peer) {
      this.#all[peer.place] = last
      last.place = peer.place
    }
    const count = (this.#counts.get(peer.address) ?? 1) - 1
    if (count > 0) this.#counts.set(peer.address, count)
    else this.#counts.delete(peer.address)
    const peers = this.#byInfoHash.get(peer.infoHash)!
    peers.splice(peers.indexOf(peer), 1)
    if (peers.length === 0) this.#byInfoHash.delete(peer.infoHash)
  }

  #sweep(): void {
    const oldest = this.#now() - this.#maxAgeMs
    for (const peer of this.#all.filter(({ storedAt }) => storedAt < oldest)) this.#remove(peer)
  }
}

/** Of these peers the oldest of the address that has most. */
function crowdOf(peers: readonly StoredPeer[], counts: ReadonlyMap<number, number>): StoredPeer {
  const countOf = ({ address }: StoredPeer): number => counts.get(address) ?? 0
  return peers.reduce((most, peer) => {
    const more = countOf(peer) - countOf(most)
    return more > 0 || (more === 0 && peer.storedAt < most.storedAt) ? peer : most
  })
}

function compactOf({ address, port }: StoredPeer): Buffer {
  const bytes = Buffer.allocUnsafe(COMPACT_BYTES)
  bytes.writeUInt32BE(address, 0)
  bytes.writeUInt16BE(port, 4)
  return bytes
}
