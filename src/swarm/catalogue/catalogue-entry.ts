/**
 * What members of a fleet tell each other, after it was checked at the edge: who they are, and which shards they
 * offer. Lengths are bytes, rates bytes a second.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'

/** One shard as a host offers it in its catalogue. */
export interface OfferedShard {
  readonly infoHash: InfoHash
  /** A safe base name, never a path. */
  readonly name: string
  readonly length: number
  readonly pieceLength: number
  /** 64 hex digits: what the host says; whoever fetches the shard checks it. */
  readonly sha256: string
  readonly state: 'seeding' | 'fetching'
  readonly verifiedBytes: number
  /** What the shard belongs to: `name` of `name-00001-of-00004.gguf`, or the file's own name. */
  readonly model: string
  /** Its place in the split set, from 1; 1 of 1 for a single-file model. */
  readonly number: number
  readonly count: number
  readonly architecture: string | null
  readonly sizeLabel: string | null
}

/** What a host found out about its own files. */
export interface IntegrityInfo {
  /** Shards it does not seed because their bytes changed where they lay. */
  readonly rottenShards: number
  /** When it had read all of its shards again, in milliseconds since 1970; null while it has not. */
  readonly recheckedAt: number | null
}

/** What a member says of itself. */
export interface MemberInfo {
  /** 40 hex digits. */
  readonly hostId: string
  readonly name: string
  readonly version: string
  readonly role: 'host' | 'coordinator'
  /** When its process started, in milliseconds since 1970 by its own clock. */
  readonly startedAt: number
  /** Its BitTorrent port (TCP). */
  readonly port: number
  readonly replicating: boolean
  /** Of the disk its shards are on; null when it cannot tell. */
  readonly freeDiskBytes: number | null
  readonly uploadBytesPerSecond: number
  readonly downloadBytesPerSecond: number
  /** Left out by who does not look: coordinators, and programs older than this field. */
  readonly integrity?: IntegrityInfo | undefined
  /** Connections and packets it refused because their address is not allowed; left out where everybody is. */
  readonly strangersRefused?: number | undefined
  /** What its guards kept out since its start, by kind (`fleet/defences`); left out by programs older than this field. */
  readonly keptOut?: Readonly<Record<string, number>> | undefined
}

/** One message between members that have proved that they hold the key. */
export type CatalogueMessage =
  | { readonly type: 'info'; readonly info: MemberInfo; readonly wantsCatalogue: boolean }
  | {
      readonly type: 'beat'
      readonly info: Pick<
        MemberInfo,
        | 'replicating'
        | 'freeDiskBytes'
        | 'uploadBytesPerSecond'
        | 'downloadBytesPerSecond'
        | 'integrity'
        | 'strangersRefused'
        | 'keptOut'
      >
      /** How many shards the sender offers, so that a catalogue that went wrong is noticed. */
      readonly shardCount: number
    }
  | {
      readonly type: 'shards'
      /** New and changed ones, complete; a shard told before is replaced. */
      readonly put: readonly OfferedShard[]
      readonly drop: readonly InfoHash[]
      /** More pages of the first, complete catalogue follow. */
      readonly isPartial: boolean
    }
  | { readonly type: 'bye' }

/** Shards of one host: more than a library serves is not a host's catalogue. */
export const MAX_OFFERED_SHARDS = 10_000
