/**
 * What a coordinator knows of its fleet at one moment: one immutable snapshot. Terminal, page, API and metrics
 * only render it. A host, model or shard that did not change is the same object in the next snapshot, so what
 * changed can be told by comparing references.
 *
 * Lengths are bytes, rates bytes a second, times ISO 8601 in UTC, infohashes 40 and SHA-256 64 hex digits.
 */
import type { InfoHash } from '../metainfo/info-hash.ts'

/** The whole picture. Hosts are sorted by name, models by name, shards by model and number. */
export interface FleetStatus {
  readonly time: string
  readonly fleet: FleetName
  readonly coordinator: CoordinatorStatus
  readonly totals: FleetTotals
  readonly hosts: readonly HostStatus[]
  readonly models: readonly ModelStatus[]
  readonly shards: readonly ShardStatus[]
  readonly alarms: readonly Alarm[]
}

/** Which fleet this is. */
export interface FleetName {
  /** The name of an open fleet; null for a keyed one. */
  readonly name: string | null
  readonly keyed: boolean
  /** The infohash its members announce to find each other. */
  readonly rendezvous: InfoHash
}

/** The process that looks. It is no host and stands in no list. */
export interface CoordinatorStatus {
  readonly hostId: string
  readonly version: string
  readonly startedAt: string
  /** Nodes in its DHT routing table. */
  readonly dhtNodes: number
  /** True while no DHT node answers: nobody new can be found. */
  readonly isolated: boolean
  /** Fleet peers turned away since its start, by reason (`wrong-key`, `malformed`, `flooding`, …). */
  readonly turnedAway: Readonly<Record<string, number>>
  /** What `--allow` refused since its start, by kind; left out without that option. */
  readonly strangersRefused?: Readonly<Record<string, number>>
}

export interface FleetTotals {
  readonly hostsOnline: number
  readonly hostsLost: number
  readonly models: number
  /** Models of which every shard has a whole copy. */
  readonly wholeModels: number
  readonly shards: number
  /** Whole copies over all shards; 16 for four shards on four hosts. */
  readonly copies: number
  /** Bytes of all shards, each counted once, and with every whole copy. */
  readonly bytes: number
  readonly copiesBytes: number
  readonly uploadBytesPerSecond: number
  readonly downloadBytesPerSecond: number
}

/** One running `seed`. A lost one is kept for a while, so that people see what is gone. */
export interface HostStatus {
  readonly hostId: string
  /** Chosen with `--name`, else the machine's name; not unique. */
  readonly name: string
  /** HOST:PORT at which its BitTorrent port was reached. */
  readonly address: string
  readonly version: string
  readonly state: 'online' | 'lost'
  readonly onlineSince: string
  /** Its last message. */
  readonly seenAt: string
  readonly uploadBytesPerSecond: number
  readonly downloadBytesPerSecond: number
  /** Of the disk its shards are on; null when it cannot tell. */
  readonly freeDiskBytes: number | null
  readonly replicating: boolean
  readonly seeding: number
  readonly fetching: number
  /** Shards it withdrew because their bytes changed where they lay; left out by hosts that do not say. */
  readonly rottenShards?: number
  /** When it had read all its shards again; left out while it has not, or does not say. */
  readonly recheckedAt?: string
  /** Connections and packets of addresses outside its `--allow`; left out without that option. */
  readonly strangersRefused?: number
  /** What its guards kept out since its start, by kind; left out by hosts that do not say. */
  readonly keptOut?: Readonly<Record<string, number>>
}

/** A split set, or a file that is a model by itself. */
export interface ModelStatus {
  /** What `get` takes: the file name without `-00001-of-00004.gguf` or `.gguf`. */
  readonly name: string
  readonly architecture: string | null
  /** `general.size_label`, such as `7B`. */
  readonly sizeLabel: string | null
  /** How many shards make it whole. */
  readonly count: number
  /** Known shards by number, first to last; empty where none is known, several where contents differ. */
  readonly shards: readonly (readonly InfoHash[])[]
  /** Numbers (from 1) of shards without a whole copy. */
  readonly missing: readonly number[]
  readonly length: number
  /** Whole copies of its weakest shard. */
  readonly weakestSeeds: number
  readonly weakest: InfoHash | null
  /** True when one name stands for different contents. */
  readonly ambiguous: boolean
}

/** One shard, wherever it is. */
export interface ShardStatus {
  readonly infoHash: InfoHash
  readonly name: string
  readonly length: number
  readonly pieceLength: number
  readonly sha256: string
  readonly magnet: string
  readonly model: string
  /** Its place in a split set, from 1; 1 of 1 for a single-file model. */
  readonly number: number
  readonly count: number
  /** `general.architecture` and `general.size_label` of its header, which the first shard of a set has alone. */
  readonly architecture: string | null
  readonly sizeLabel: string | null
  readonly copies: readonly Copy[]
  /** Hosts online whose last heartbeat says that they seed it. */
  readonly wholeSeeds: number
  /** What this coordinator saw on the wire itself; null before the first look. */
  readonly seen: SeenPeers | null
  /** Peers the DHT names. An estimate: it lists the dead for up to 45 minutes, and samples. */
  readonly dhtPeersEstimate: number | null
}

/** A host's copy. */
export interface Copy {
  readonly hostId: string
  readonly state: 'seeding' | 'fetching'
  readonly verifiedBytes: number
}

/** Bitfields really received from peers of a shard's torrent. */
export interface SeenPeers {
  readonly at: string
  readonly peers: number
  /** Peers that said they have every piece, hosts of the fleet or not. */
  readonly wholePeers: number
}

export type AlarmKind =
  /** Known, and nobody online has it whole. */
  | 'no-seeds'
  /** Fewer whole copies than wanted. */
  | 'few-seeds'
  | 'host-lost'
  /** One name, different contents. */
  | 'name-conflict'
  /** One infohash, different SHA-256: a host does not tell the truth. */
  | 'sha256-conflict'
  /** A shard of a set that no host has. */
  | 'missing-shard'
  /** A host found bytes of its own changed where they lay. */
  | 'rotten'

/** Something a person should look at. */
export interface Alarm {
  readonly kind: AlarmKind
  readonly severity: 'critical' | 'warning'
  /** What is wrong, where, and what to do; printable, names are already escaped for terminals. */
  readonly message: string
  readonly since: string
  readonly infoHash?: InfoHash
  readonly hostId?: string
  readonly model?: string
}

/** One line of the event log. */
export interface FleetEvent {
  /** Counts from 1, without gaps. */
  readonly id: number
  readonly time: string
  readonly kind:
    | 'host-online'
    | 'host-left'
    | 'host-lost'
    | 'shard-offered'
    | 'shard-withdrawn'
    | 'copy-started'
    | 'copy-complete'
    | 'alarm'
    | 'alarm-over'
  readonly message: string
  readonly hostId?: string
  readonly infoHash?: InfoHash
}
