/**
 * A fleet in one process and in no time: hosts that decide with the real policy, see each other's catalogues late and
 * in random order, and fetch at random rates. Everything follows from one seed.
 */
import { createHash } from 'node:crypto'
import {
  CLAIM_MS,
  decide,
  type ReplicationPolicy,
} from '../../../src/fleet/replication/replication-policy.ts'
import { Supply } from '../../../src/fleet/replication/supply.ts'
import type { InfoHash } from '../../../src/metainfo/info-hash.ts'
import { pieceLengthFor } from '../../../src/metainfo/piece-length.ts'
import type { OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { randomFrom } from '../../helpers/random.ts'

const STEP_MS = 100
/** As the replicator has it: a decision a second, none before catalogues had time to arrive. */
const DECIDE_MS = 1_000
const LEARN_MS = 10_000
/** Hashing of what arrived, before it is seeded. */
const HASH_MS = 1_000

/** A shard as a host would offer it. */
export function offered(number: number, change: Partial<OfferedShard> = {}): OfferedShard {
  const length = change.length ?? 1_000_000
  const infoHash = createHash('sha1').update(`shard ${number}`).digest('hex') as InfoHash
  return {
    infoHash,
    name: `model-${number}.gguf`,
    length,
    pieceLength: pieceLengthFor(length),
    sha256: createHash('sha256').update(infoHash).digest('hex'),
    state: 'seeding',
    verifiedBytes: length,
    model: `model-${number}`,
    number: 1,
    count: 1,
    architecture: null,
    sizeLabel: null,
    ...change,
  }
}

export interface HostSettings {
  readonly joinsAtMs: number
  readonly bytesPerSecond: number
  readonly replicating: boolean
  readonly wants: (shard: OfferedShard) => boolean
  readonly policy: ReplicationPolicy
}

interface Fetch {
  readonly offer: OfferedShard
  readonly startedAtMs: number
  bytes: number
  wholeAtMs: number | null
}

interface Host {
  readonly id: string
  readonly settings: HostSettings
  readonly supply: Supply
  readonly has: Map<InfoHash, OfferedShard>
  readonly running: Map<InfoHash, Fetch>
  keptBytes: number
  readonly notBefore: Map<InfoHash, number>
  /** Hosts whose catalogue it has. */
  readonly online: Set<string>
  /** Hosts that it tells its own. */
  readonly tells: Set<Host>
  decidesAtMs: number
  state: 'before' | 'on' | 'off'
}

export class SimulatedFleet {
  readonly #random: () => number
  readonly #hosts: Host[] = []
  readonly #due = new Map<number, (() => void)[]>()
  /** Messages from one host to another keep their order. */
  readonly #lastMs = new Map<string, number>()
  nowMs = 0
  fetchedBytes = 0
  givenUp = 0
  /** The most whole copies, and the most whole and arriving ones, that any shard ever had. */
  mostWhole = 0
  mostTogether = 0

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  random(): number {
    return this.#random()
  }

  add(settings: HostSettings, shards: readonly OfferedShard[]): string {
    const id = createHash('sha1').update(`host ${this.random()}`).digest('hex')
    const host: Host = {
      id,
      settings,
      supply: new Supply(settings.wants),
      has: new Map(shards.map((shard) => [shard.infoHash, shard])),
      running: new Map(),
      keptBytes: 0,
      notBefore: new Map(),
      online: new Set(),
      tells: new Set(),
      decidesAtMs: 0,
      state: 'before',
    }
    this.#hosts.push(host)
    this.#at(settings.joinsAtMs, () => this.#join(host))
    return id
  }

  /** The host falls silent; the others notice a few seconds later. */
  kill(id: string): void {
    const host = this.#hosts.find((one) => one.id === id)!
    host.state = 'off'
    for (const other of this.#hosts) {
      if (other !== host) this.#at(this.nowMs + 5_000 + this.random() * 1_000, () => this.#lose(other, host))
    }
  }

  run(untilMs: number): void {
    for (; this.nowMs < untilMs; this.nowMs += STEP_MS) {
      for (const act of this.#due.get(this.nowMs) ?? []) act()
      this.#due.delete(this.nowMs)
      for (const host of this.#hosts) if (host.state === 'on') this.#step(host)
      this.#measure()
    }
  }

  copies(infoHash: InfoHash): readonly string[] {
    return this.#hosts.flatMap((host) => (host.state === 'on' && host.has.has(infoHash) ? [host.id] : []))
  }

  /** Bytes of what a host fetched. */
  keptBytes(id: string): number {
    return this.#hosts.find((host) => host.id === id)!.keptBytes
  }

  /** The first shards that each host began to fetch, at its first decision. */
  readonly firstStarts: InfoHash[][] = []

  #at(ms: number, act: () => void): void {
    const at = Math.max(this.nowMs + STEP_MS, Math.ceil(ms / STEP_MS) * STEP_MS)
    const acts = this.#due.get(at)
    if (acts === undefined) this.#due.set(at, [act])
    else acts.push(act)
  }

  /** A page leaves within 250 ms and is on its way for some more, seldom for long. */
  #send(from: Host, to: Host, act: () => void): void {
    const slow = this.random() < 0.02 ? 2_000 : 0
    const key = `${from.id} ${to.id}`
    const at = Math.max(this.#lastMs.get(key) ?? 0, this.nowMs + 50 + this.random() * 500 + slow)
    this.#lastMs.set(key, at)
    this.#at(at, () => {
      if (to.state === 'on') act()
    })
  }

  #join(host: Host): void {
    host.state = 'on'
    host.decidesAtMs = this.nowMs + LEARN_MS + this.random() * DECIDE_MS
    for (const other of this.#hosts) {
      if (other === host || other.state !== 'on') continue
      this.#at(this.nowMs + 300 + this.random() * 3_000, () => {
        if (host.state !== 'on' || other.state !== 'on') return
        this.#meet(host, other)
        this.#meet(other, host)
      })
    }
  }

  #meet(from: Host, to: Host): void {
    from.tells.add(to)
    const offers = [...from.has.values(), ...[...from.running.values()].map(intentOf)]
    this.#send(from, to, () => {
      to.online.add(from.id)
      for (const offer of offers) to.supply.put(from.id, offer, this.nowMs)
    })
  }

  #lose(to: Host, lost: Host): void {
    to.online.delete(lost.id)
    to.tells.delete(lost)
    for (const infoHash of [...lost.has.keys(), ...lost.running.keys()])
      to.supply.drop(lost.id, infoHash, this.nowMs)
  }

  #tell(from: Host, infoHash: InfoHash, offer: OfferedShard | null): void {
    for (const to of from.tells) {
      this.#send(from, to, () => {
        if (offer === null) to.supply.drop(from.id, infoHash, this.nowMs)
        else to.supply.put(from.id, offer, this.nowMs)
      })
    }
  }

  #step(host: Host): void {
    const share = (host.settings.bytesPerSecond * STEP_MS) / 1_000 / Math.max(1, host.running.size)
    for (const fetch of [...host.running.values()]) this.#advance(host, fetch, share)
    if (!host.settings.replicating || this.nowMs < host.decidesAtMs) return
    host.decidesAtMs = this.nowMs + DECIDE_MS
    for (const fetch of host.running.values()) this.#tell(host, fetch.offer.infoHash, intentOf(fetch))
    this.#decide(host)
  }

  #advance(host: Host, fetch: Fetch, share: number): void {
    const { infoHash, length } = fetch.offer
    const got = Math.min(share, length - fetch.bytes)
    fetch.bytes += got
    this.fetchedBytes += got
    if (fetch.bytes < length) return
    const claimedMs = host.settings.policy.replicas === null ? 0 : fetch.startedAtMs + CLAIM_MS
    fetch.wholeAtMs ??= Math.max(this.nowMs + HASH_MS, claimedMs)
    if (this.nowMs < fetch.wholeAtMs) return
    host.running.delete(infoHash)
    host.has.set(infoHash, fetch.offer)
    host.keptBytes += length
    this.#tell(host, infoHash, fetch.offer)
  }

  #decide(host: Host): void {
    const { supply, running, has, notBefore, settings } = host
    const decision = decide(settings.policy, {
      nowMs: this.nowMs,
      hostId: host.id,
      hosts: this.#hosts
        .filter(({ id }) => host.online.has(id))
        .map(({ id, settings: { replicating } }) => ({ hostId: id, replicating, freeDiskBytes: null })),
      shards: supply.shards(),
      shardOf: (infoHash) => supply.get(infoHash),
      problemOf: (shard) => supply.problemOf(shard),
      openAtMs: ({ infoHash }) =>
        has.has(infoHash) ? Number.POSITIVE_INFINITY : (notBefore.get(infoHash) ?? 0),
      running: new Map([...running].map(([infoHash, { bytes }]) => [infoHash, bytes])),
      lengthOf: (infoHash) => running.get(infoHash)!.offer.length,
      keptBytes: host.keptBytes,
      heldBytes: () => 0,
      freeBytes: Number.MAX_SAFE_INTEGER,
      strikesOf: () => 0,
    })
    if (decision.start.length > 0 && running.size === 0 && host.keptBytes === 0) {
      this.firstStarts.push(decision.start.map(({ shard: { infoHash } }) => infoHash))
    }
    for (const { infoHash } of decision.stop) {
      running.delete(infoHash)
      notBefore.set(infoHash, this.nowMs + 10_000)
      this.givenUp++
      this.#tell(host, infoHash, null)
    }
    for (const { shard } of decision.start) {
      const fetch = {
        offer: { ...shard, state: 'seeding' as const },
        bytes: 0,
        startedAtMs: this.nowMs,
        wholeAtMs: null,
      }
      running.set(shard.infoHash, fetch)
      this.#tell(host, shard.infoHash, intentOf(fetch))
    }
  }

  #measure(): void {
    const whole = new Map<InfoHash, number>()
    const together = new Map<InfoHash, number>()
    const add = (counts: Map<InfoHash, number>, infoHash: InfoHash): void =>
      void counts.set(infoHash, (counts.get(infoHash) ?? 0) + 1)
    for (const { has, running, state } of this.#hosts) {
      if (state !== 'on') continue
      for (const infoHash of has.keys()) {
        add(whole, infoHash)
        add(together, infoHash)
      }
      for (const infoHash of running.keys()) add(together, infoHash)
    }
    this.mostWhole = Math.max(this.mostWhole, ...whole.values())
    this.mostTogether = Math.max(this.mostTogether, ...together.values())
  }
}

function intentOf({ offer, bytes }: Fetch): OfferedShard {
  return { ...offer, state: 'fetching', verifiedBytes: Math.floor(bytes) }
}
