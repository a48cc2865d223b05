/**
 * The peers that others announced to our DHT node (BEP 5). It has room for so many and no more; when it is full, the
 * address that has announced most makes room, so that nobody pushes out what others have announced.
 */

/** Of all infohashes: some 600 bytes each where every one is of another infohash, 30 MB in all. */
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
  /** Where it stands in the list of all, and in that of its infohash. */
  place: number
  placeInSwarm: number
}

/** What the DHT library asks of its store (record-cache 1.2.0): names are infohashes in hex. */
export class PeerStore {
  readonly #maxAgeMs: number
  readonly #now: () => number
  readonly #all: StoredPeer[] = []
  readonly #swarms = new Map<string, StoredPeer[]>()
  /** By infohash and address. */
  readonly #known = new Map<string, StoredPeer>()
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
    const key = infoHash + compact.toString('latin1')
    const known = this.#known.get(key)
    if (known !== undefined) {
      known.storedAt = this.#now()
      return
    }
    const swarm = this.#swarms.get(infoHash) ?? []
    if (swarm.length >= MAX_PEERS_PER_INFOHASH) this.#drop(mostCrowded(sampleOf(swarm)))
    else if (this.#all.length >= MAX_PEERS) this.#drop(mostCrowded(sampleOf(this.#all), this.#counts))
    const [address, port] = [compact.readUInt32BE(0), compact.readUInt16BE(4)]
    const places = { place: this.#all.length, placeInSwarm: swarm.length }
    const peer = { infoHash, address, port, storedAt: this.#now(), ...places }
    this.#all.push(peer)
    swarm.push(peer)
    this.#swarms.set(infoHash, swarm)
    this.#known.set(key, peer)
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1)
  }

  /**
   * Up to `count` peers in compact form, others each time where there are more. One of each address comes before a
   * second of any: one that announces a thousand ports is no more likely to be named than one that announces its own.
   */
  get(infoHash: string, count: number = MAX_PEERS_PER_REPLY): Buffer[] {
    const swarm = this.#swarms.get(infoHash) ?? []
    const oldest = this.#now() - this.#maxAgeMs
    const start = Math.floor(Math.random() * swarm.length)
    const seen = new Set<number>()
    const first: StoredPeer[] = []
    const more: StoredPeer[] = []
    for (let at = 0; at < swarm.length && first.length < count; at++) {
      const peer = swarm[(start + at) % swarm.length]!
      if (peer.storedAt < oldest) continue
      if (seen.has(peer.address)) more.push(peer)
      else first.push(peer)
      seen.add(peer.address)
    }
    return [...first, ...more].slice(0, count).map(compactOf)
  }

  /** For another node of this process: the store outlives that one, also one that could not open its port. */
  lent(): Pick<PeerStore, 'add' | 'get' | 'destroy'> {
    return {
      add: (infoHash, compact) => this.add(infoHash, compact),
      get: (infoHash, count) => this.get(infoHash, count),
      destroy: () => undefined,
    }
  }

  destroy(): void {
    clearInterval(this.#sweeping)
    this.#all.length = 0
    this.#swarms.clear()
    this.#known.clear()
    this.#counts.clear()
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
    const swarm = this.#swarms.get(peer.infoHash)!
    const lastInSwarm = swarm.pop()!
    if (lastInSwarm !== peer) {
      swarm[peer.placeInSwarm] = lastInSwarm
      lastInSwarm.placeInSwarm = peer.placeInSwarm
    }
    if (swarm.length === 0) this.#swarms.delete(peer.infoHash)
    this.#known.delete(peer.infoHash + compactOf(peer).toString('latin1'))
    const count = (this.#counts.get(peer.address) ?? 1) - 1
    if (count > 0) this.#counts.set(peer.address, count)
    else this.#counts.delete(peer.address)
  }

  #sweep(): void {
    const oldest = this.#now() - this.#maxAgeMs
    for (const peer of this.#all.filter(({ storedAt }) => storedAt < oldest)) this.#remove(peer)
  }
}

const sampleOf = (peers: readonly StoredPeer[]): readonly StoredPeer[] =>
  Array.from({ length: DROP_SAMPLE }, () => peers[Math.floor(Math.random() * peers.length)]!)

/** The oldest of the address that has most: by these counts, or else among these peers. */
function mostCrowded(peers: readonly StoredPeer[], counts = countsOf(peers)): StoredPeer {
  const countOf = ({ address }: StoredPeer): number => counts.get(address) ?? 0
  return peers.reduce((most, peer) => {
    const more = countOf(peer) - countOf(most)
    return more > 0 || (more === 0 && peer.storedAt < most.storedAt) ? peer : most
  })
}

function countsOf(peers: readonly StoredPeer[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { address } of peers) counts.set(address, (counts.get(address) ?? 0) + 1)
  return counts
}

function compactOf({ address, port }: StoredPeer): Buffer {
  const bytes = Buffer.allocUnsafe(COMPACT_BYTES)
  bytes.writeUInt32BE(address, 0)
  bytes.writeUInt16BE(port, 4)
  return bytes
}
