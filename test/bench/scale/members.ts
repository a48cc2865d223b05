/**
 * Members of a fleet without files: each is one connection that speaks `gs_catalogue` with the program's own session
 * and feed, and a port that says it has every piece of what it is asked for. `members.ts KEYFILE BOOTSTRAP FIRST COUNT
 * SHARDS OWN` runs COUNT of them, from host number FIRST on, each with SHARDS shards: its own if OWN is 1, else the
 * same as all others. Orders come as lines of JSON on standard input.
 */
import { type AddressInfo, connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import bencode from 'bencode'
import { CatalogueFeed } from '../../../src/fleet/membership/catalogue-feed.ts'
import { loadKeyFile, rendezvousOf, secretOf } from '../../../src/fleet/membership/fleet-key.ts'
import type { InfoHash } from '../../../src/metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress, parsePeerAddress } from '../../../src/metainfo/peer-address.ts'
import type { CatalogueMessage, OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { CatalogueSession } from '../../../src/swarm/catalogue/catalogue-session.ts'
import { DhtNode } from '../../../src/swarm/dht/dht.ts'
import { extended, handshake, ID, message, RawPeer } from '../../hostile/raw-peer.ts'
import { infoOf, shardOf } from '../../swarm-unit/catalogue-kit.ts'

/** As hosts do (fleet-member.ts, replicator.ts). */
const ROUND_MS = 250
const BEAT_MS = 5_000
const PROGRESS_MS = 1_000
/** Shards that a host fetches at once while the fleet fills. */
const PARALLEL = 2
const MAX_UNSENT_BYTES = 128 * 1024
const LOOKUP_MS = 500
const OPENING = { m: { gs_catalogue: 7 } }
/** Numbers of hosts and shards become ids; those of one kind must not be those of the other. */
const OWN_SHARDS = 1_000_000
const PER_MODEL = 4

export type Order =
  | { readonly do: 'fill'; readonly on: boolean }
  | { readonly do: 'offer'; readonly name: string }

/** Shard `number` of a fleet whose models have four each. */
function shardNumber(number: number): OfferedShard {
  const [model, place] = [`model-${Math.floor(number / PER_MODEL)}`, (number % PER_MODEL) + 1]
  const name = `${model}-0000${place}-of-0000${PER_MODEL}.gguf`
  return shardOf(number, { name, model, number: place, count: PER_MODEL, length: 400_000_000 + number })
}

class Member {
  readonly #number: number
  readonly #offer = new Map<InfoHash, OfferedShard>()
  readonly #to: Place
  readonly #port: number
  #peer: RawPeer
  #session: CatalogueSession
  #feed: CatalogueFeed | null = null
  #theirs = 0
  #beatAt: number

  constructor(number: number, port: number, shards: readonly OfferedShard[], to: Place) {
    this.#number = number
    this.#port = port
    this.#to = to
    this.#beatAt = performance.now() + Math.random() * BEAT_MS
    for (const shard of shards) this.#offer.set(shard.infoHash, shard)
    this.#session = this.#newSession()
    this.#peer = this.#dial()
  }

  get isTold(): boolean {
    return this.#feed?.isCurrent === true
  }

  round(now: number): void {
    if (this.#peer.closed) {
      if (this.#session.isProved) throw new Error(`member ${this.#number} was cut off`)
      this.#session = this.#newSession() // too many strangers at once: as a real one does, it tries again
      this.#peer = this.#dial()
    }
    this.#feed?.flush()
    if (this.#feed === null || now < this.#beatAt) return
    this.#beatAt = now + BEAT_MS
    const info = infoOf(this.#number, { uploadBytesPerSecond: Math.floor(Math.random() * 1e8) })
    this.#session.send({ type: 'beat', info, shardCount: this.#offer.size })
  }

  /** Its first shards are being fetched, a little further than before. */
  progress(): void {
    let left = PARALLEL
    for (const shard of this.#offer.values()) {
      if (left-- === 0) return
      const verifiedBytes = Math.floor(Math.random() * shard.length)
      this.#tell({ ...shard, state: 'fetching', verifiedBytes })
    }
  }

  whole(): void {
    for (const shard of this.#offer.values()) {
      if (shard.state === 'seeding') return
      this.#tell({ ...shard, state: 'seeding', verifiedBytes: shard.length })
    }
  }

  offer(shard: OfferedShard): void {
    this.#tell(shard)
    this.#feed?.flush()
  }

  #newSession(): CatalogueSession {
    return new CatalogueSession({
      secret: this.#to.secret,
      side: 'initiator',
      send: (frame) => this.#peer.write(extended(this.#theirs, Buffer.from(frame))),
    })
  }

  #dial(): RawPeer {
    const { address, rendezvous } = this.#to
    this.#theirs = 0
    const socket = connect({ ...address, localAddress: addressOf(this.#number), noDelay: true })
    const peer = new RawPeer(socket, ({ id, body }) => id === ID.extended && this.#hear(body))
    peer.write(handshake({ infoHash: rendezvous }), extended(0, Buffer.from(bencode.encode(OPENING))))
    return peer
  }

  #tell(shard: OfferedShard): void {
    this.#offer.set(shard.infoHash, shard)
    this.#feed?.mark(shard.infoHash)
  }

  #hear(body: Buffer): void {
    const frame = body.subarray(1)
    if (body[0] === 0) {
      this.#theirs = (bencode.decode(frame) as { m: Record<string, number> }).m['gs_catalogue'] ?? 0
      this.#session.start()
    } else this.#receive(frame)
  }

  #receive(frame: Uint8Array): void {
    const wasProved = this.#session.isProved
    const said = this.#session.receive(frame)
    if (!wasProved && this.#session.isProved) {
      const info = infoOf(this.#number, { port: this.#port })
      this.#session.send({ type: 'info', info, wantsCatalogue: false })
    }
    if (said?.type !== 'info' || !said.wantsCatalogue) return
    const { socket } = this.#peer
    this.#feed = new CatalogueFeed(this.#offer, {
      get hasRoom() {
        return socket.writableLength < MAX_UNSENT_BYTES
      },
      send: (page: CatalogueMessage) => this.#session.send(page),
    })
  }
}

/** Each member is a machine of its own: limits by address are not what is measured. */
const addressOf = (number: number): string => `127.77.${number >> 8}.${number & 255}`

interface Place {
  readonly address: PeerAddress
  readonly secret: Uint8Array
  readonly rendezvous: InfoHash
}

/** The first member that the DHT names: there is nobody but the coordinator. */
async function findCoordinator(bootstrap: PeerAddress, rendezvous: InfoHash): Promise<PeerAddress> {
  const { promise, resolve } = Promise.withResolvers<PeerAddress>()
  await using dht = await DhtNode.start({
    port: 0,
    bind: '127.0.0.1',
    bootstrap: [bootstrap],
    readOnly: true,
    storedPeerMaxAgeMs: 60_000,
    listener: { onPeer: (_infoHash, peer) => resolve(peer) },
  })
  await dht.join()
  const timer = setInterval(() => void dht.lookup(rendezvous), LOOKUP_MS)
  const address = await promise
  clearInterval(timer)
  return address
}

/** A seed of everything, as far as a look at its bitfield tells. */
async function listenAsSeed(host: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (opening) => {
      const infoHash = opening.subarray(28, 48).toString('hex')
      socket.write(Buffer.concat([handshake({ infoHash }), message(ID.haveAll)]))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

const say = (event: object): boolean => process.stdout.write(`${JSON.stringify(event)}\n`)

async function main([keyFile = '', bootstrap = '', ...numbers]: readonly string[]): Promise<void> {
  const [first = 0, count = 0, shards = 0, own = 0] = numbers.map(Number)
  const key = await loadKeyFile(keyFile)
  const rendezvous = rendezvousOf(key)
  const address = await findCoordinator(parsePeerAddress(bootstrap)!, rendezvous)
  const to: Place = { address, secret: secretOf(key), rendezvous }
  say({ event: 'found', coordinator: formatPeerAddress(address) })
  const members: Member[] = []
  for (let index = first; index < first + count; index++) {
    const from = own === 1 ? OWN_SHARDS + index * shards : OWN_SHARDS
    const offered = Array.from({ length: shards }, (_, at) => shardNumber(from + at))
    members.push(new Member(index + 1, await listenAsSeed(addressOf(index + 1)), offered, to))
  }
  let wasTold = false
  setInterval(() => {
    const now = performance.now()
    for (const member of members) member.round(now)
    if (wasTold || !members.every(({ isTold }) => isTold)) return
    wasTold = true
    say({ event: 'told' })
  }, ROUND_MS)
  let filling: NodeJS.Timeout | undefined
  let offers = 0
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order
    if (order.do === 'offer') {
      members[0]?.offer(shardOf(offers++, { name: order.name, model: order.name }))
      say({ event: 'offered', name: order.name, atMs: Date.now() })
    } else if (order.on) {
      filling = setInterval(() => {
        for (const member of members) member.progress()
      }, PROGRESS_MS)
    } else {
      clearInterval(filling)
      for (const member of members) member.whole()
    }
  }
}

await main(process.argv.slice(2))
