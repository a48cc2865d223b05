/**
 * The coordinator's picture of a fleet, kept up by what the roster tells, and the snapshots taken of it. Only what
 * changed is made anew: two hundred hosts with a thousand shards each are told of in heartbeats all the time.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { magnetFor } from '../../metainfo/magnet.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import type { KnownHost, RosterListener } from '../membership/roster.ts'
import { compare, groupModels } from '../names/models.ts'
import type {
  CoordinatorStatus,
  Copy,
  FleetEvent,
  FleetName,
  FleetStatus,
  HostStatus,
  ModelStatus,
  SeenPeers,
  ShardStatus,
} from '../status.ts'
import { AlarmBoard } from './alarms.ts'
import { EventLog } from './event-log.ts'
import { dissentersOf, factsOf } from './shard-facts.ts'
import { hostStatus, totalsOf } from './summary.ts'

/** What this process itself found out about a shard's swarm. */
export interface SwarmView {
  readonly seen: SeenPeers | null
  readonly dhtPeersEstimate: number | null
}

/** Events of one cause; more would push all others out of the log. */
const MAX_TOLD = 20

const UNSEEN: SwarmView = { seen: null, dhtPeersEstimate: null }

interface Row {
  facts: OfferedShard
  magnet: string
  /** By host id; a different SHA-256 for the same infohash is a host's lie. */
  readonly offers: Map<string, OfferedShard>
  view: SwarmView
  status: ShardStatus | null
}

export interface FleetPictureOptions {
  readonly fleet: FleetName
  readonly wantedReplicas: number
  readonly onChange: () => void
}

export class FleetPicture implements RosterListener {
  readonly #options: FleetPictureOptions
  readonly #hosts = new Map<string, { known: KnownHost; status: HostStatus | null }>()
  readonly #rows = new Map<InfoHash, Row>()
  /** Hosts whose catalogue was told of since they came online. */
  readonly #greeted = new Set<string>()
  readonly #log = new EventLog()
  readonly #alarms: AlarmBoard
  #models: readonly ModelStatus[] = []
  #shards: readonly ShardStatus[] = []
  #shardsChanged = false

  constructor(options: FleetPictureOptions) {
    this.#options = options
    this.#alarms = new AlarmBoard(options.wantedReplicas, this.#log)
  }

  get events(): readonly FleetEvent[] {
    return this.#log.events
  }

  /** The shards known; for those who look at their swarms. */
  infoHashes(): IterableIterator<InfoHash> {
    return this.#rows.keys()
  }

  /** A shard, and where to ask for it. */
  whereabouts(
    infoHash: InfoHash,
  ): { readonly facts: OfferedShard; readonly addresses: readonly string[] } | undefined {
    const row = this.#rows.get(infoHash)
    if (row === undefined) return undefined
    const online = [...row.offers.keys()].flatMap((hostId) => this.#onlineHost(hostId) ?? [])
    return { facts: row.facts, addresses: online.map(({ address }) => address) }
  }

  onHost(host: KnownHost, change: Parameters<NonNullable<RosterListener['onHost']>>[1]): void {
    const { hostId } = host.info
    const before = this.#hosts.get(hostId)?.known
    if (change === 'left' || change === 'forgotten') {
      this.#hosts.delete(hostId)
      if (change === 'left') this.#log.add('host-left', `${host.info.name} left`, { hostId })
      this.#tellGone([...host.shards.keys()].flatMap((infoHash) => this.#take(infoHash, hostId) ?? []))
    } else this.#hosts.set(hostId, { known: host, status: null })
    if (before?.state !== host.state || change === 'left') this.#touch(host)
    this.#alarms.hostChanged(host, change)
    if (change === 'lost')
      this.#log.add('host-lost', `${host.info.name} (${host.address}) is lost`, { hostId })
    const isHere = change === 'online' || change === 'changed'
    if (!isHere) this.#greeted.delete(hostId)
    // A connection that is made anew brings the catalogue again: that is no news.
    if (isHere && host.complete && !this.#greeted.has(hostId)) {
      this.#greeted.add(hostId)
      const count = `${host.shards.size} ${host.shards.size === 1 ? 'shard' : 'shards'}`
      this.#log.add('host-online', `${host.info.name} (${host.address}) is online with ${count}`, { hostId })
    }
    this.#options.onChange()
  }

  onShard(host: KnownHost, infoHash: InfoHash, shard: OfferedShard | null): void {
    const { hostId } = host.info
    if (shard === null) this.#tellGone([this.#take(infoHash, hostId)].filter((gone) => gone !== undefined))
    else this.#put(host, shard)
    const entry = this.#hosts.get(hostId)
    if (entry !== undefined) entry.status = null
    this.#options.onChange()
  }

  /** What was seen of a shard's swarm. */
  look(infoHash: InfoHash, view: Partial<SwarmView>): void {
    const row = this.#rows.get(infoHash)
    if (row === undefined) return
    row.view = { ...row.view, ...view }
    this.#dirty(row)
    this.#options.onChange()
  }

  snapshot(coordinator: CoordinatorStatus): FleetStatus {
    this.#refreshShards()
    const hosts = [...this.#hosts.values()]
      .map((entry) => {
        entry.status ??= hostStatus(entry.known)
        return entry.status
      })
      .sort((a, b) => compare(a.name, b.name) || compare(a.hostId, b.hostId))
    const alarms = this.#alarms.refresh(this.#shards, this.#models)
    return {
      time: new Date().toISOString(),
      fleet: this.#options.fleet,
      coordinator,
      totals: totalsOf(hosts, this.#models, this.#shards),
      hosts,
      models: this.#models,
      shards: this.#shards,
      alarms,
    }
  }

  #refreshShards(): void {
    if (!this.#shardsChanged) return
    this.#shardsChanged = false
    const shards: ShardStatus[] = []
    for (const row of this.#rows.values()) {
      row.status ??= this.#shardStatus(row)
      shards.push(row.status)
    }
    shards.sort(
      (a, b) =>
        compare(a.model, b.model) ||
        a.number - b.number ||
        compare(a.name, b.name) ||
        compare(a.infoHash, b.infoHash),
    )
    this.#shards = shards
    this.#models = groupModels(shards, this.#models)
  }

  #shardStatus(row: Row): ShardStatus {
    const { offers, view } = row
    const facts = factsOf(offers) ?? row.facts
    if (facts.name !== row.facts.name || facts.length !== row.facts.length) row.magnet = magnetFor(facts)
    row.facts = facts
    const liars = dissentersOf(facts, offers)
    this.#alarms.disagreed(
      facts,
      offers.size,
      liars.flatMap((hostId) => this.#hosts.get(hostId)?.known ?? []),
    )
    const { infoHash, name, length } = facts
    const copies: Copy[] = []
    let wholeSeeds = 0
    for (const [hostId, { state, verifiedBytes }] of offers) {
      copies.push({ hostId, state, verifiedBytes })
      if (state === 'seeding' && this.#onlineHost(hostId) !== undefined) wholeSeeds++
    }
    // Written out: what is spread into an object takes half as much again, and there may be 100,000 of them.
    return {
      infoHash,
      name,
      length,
      pieceLength: facts.pieceLength,
      sha256: facts.sha256,
      magnet: row.magnet,
      model: facts.model,
      number: facts.number,
      count: facts.count,
      architecture: facts.architecture,
      sizeLabel: facts.sizeLabel,
      copies,
      wholeSeeds,
      seen: view.seen,
      dhtPeersEstimate: view.dhtPeersEstimate,
    }
  }

  #put(host: KnownHost, shard: OfferedShard): void {
    const { hostId, name } = host.info
    const { infoHash } = shard
    let row = this.#rows.get(infoHash)
    if (row === undefined) {
      row = { facts: shard, magnet: magnetFor(shard), offers: new Map(), view: UNSEEN, status: null }
      this.#rows.set(infoHash, row)
      if (host.complete) this.#log.add('shard-offered', `${name} offers ${shard.name}`, { hostId, infoHash })
    }
    const before = row.offers.get(hostId)
    row.offers.set(hostId, shard)
    this.#dirty(row)
    if (host.complete && before?.state !== shard.state) {
      if (shard.state === 'fetching')
        this.#log.add('copy-started', `${name} fetches ${shard.name}`, { hostId, infoHash })
      else this.#log.add('copy-complete', `${name} has all of ${shard.name}`, { hostId, infoHash })
    }
  }

  /** Takes an offer back; gives the shard when that was the last one. */
  #take(infoHash: InfoHash, hostId: string): OfferedShard | undefined {
    const row = this.#rows.get(infoHash)
    if (row === undefined || !row.offers.delete(hostId)) return undefined
    this.#dirty(row)
    if (row.offers.size > 0) return undefined
    this.#rows.delete(infoHash)
    this.#alarms.shardGone(infoHash)
    return row.facts
  }

  #tellGone(shards: readonly OfferedShard[]): void {
    for (const { name, infoHash } of shards.slice(0, MAX_TOLD)) {
      this.#log.add('shard-withdrawn', `nobody offers ${name} any more`, { infoHash })
    }
    const more = shards.length - MAX_TOLD
    if (more > 0) this.#log.add('shard-withdrawn', `nobody offers ${more} more shards any more`)
  }

  /** A host's state counts in each of its shards. */
  #touch(host: KnownHost): void {
    for (const infoHash of host.shards.keys()) {
      const row = this.#rows.get(infoHash)
      if (row !== undefined) this.#dirty(row)
    }
  }

  #dirty(row: Row): void {
    row.status = null
    this.#shardsChanged = true
  }

  #onlineHost(hostId: string): KnownHost | undefined {
    const host = this.#hosts.get(hostId)?.known
    return host?.state === 'online' ? host : undefined
  }
}
