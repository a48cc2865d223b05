/** What a host is started with, and what its owner hears of it. */
import type { SwarmError } from '../errors.ts'
import type { ScanSummary } from '../library/shard-library.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import type { AllowedPeers } from '../swarm/allowed-peers.ts'
import type { SeedEvent } from './events.ts'
import type { FleetKey } from './membership/fleet-key.ts'
import type { MemberListener } from './membership/fleet-member.ts'
import type { DhtChoice } from './network.ts'
import type { ReplicateSettings } from './replication/replication-policy.ts'

/** Complete settings of a host; null ports mean "as last time, else a free one". */
export interface SeederOptions {
  /** Where its shards are; copies from the fleet go into the first. */
  readonly folders: readonly [string, ...string[]]
  readonly stateDir: string
  readonly torrentsDir: string
  readonly bind: string
  readonly port: number | null
  readonly dhtPort: number | null
  readonly dht: DhtChoice
  readonly advertise: readonly PeerAddress[]
  /** Mirrors: folders (ending in a slash) and files, put into magnets and .torrent files. */
  readonly webSeeds: readonly string[]
  readonly uploadLimit: number | null
  readonly maxConns: number
  /** The fleet it belongs to; null for none. */
  readonly fleet: FleetKey | null
  /** What it is called in its fleet. */
  readonly name: string
  /** What it fetches from its fleet; null for nothing. */
  readonly replicate: ReplicateSettings | null
  /** Bytes a second that are read again to find what rotted; null for none. */
  readonly recheckRate: number | null
  /** With whom it speaks; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
}

/** What the owner of a host hears besides its events. */
export interface SeederListener {
  readonly onEvent: (event: SeedEvent) => void
  /** A node entered the routing table. */
  readonly onRouting?: (nodeId: string) => void
  /** A round of announces begins. */
  readonly onRegistering?: (count: number) => void
  /** No DHT node answers, or that is over. */
  readonly onIsolated?: (isolated: boolean) => void
  /** Everything found at start is decided. */
  readonly onScanned?: (summary: ScanSummary) => void
  /** Another host of the fleet was met, or is no longer there. */
  readonly onFleetHost?: MemberListener['onHost']
  /** The host cannot go on. */
  readonly onFailed: (error: SwarmError) => void
}
