/**
 * What processes tell the outside, one plain object an event: the contract of `--json`. Every line printed
 * also has `event` and `time`; lengths are bytes, rates bytes a second, infohashes 40 hex digits.
 */
import type { InfoHash } from '../metainfo/info-hash.ts'

/** Events of a host. */
export type SeedEvent =
  | { readonly event: 'listening'; readonly port: number; readonly dhtPort: number; readonly hostId: string }
  | { readonly event: 'hashing'; readonly file: string; readonly length: number }
  | {
      readonly event: 'seeding'
      readonly file: string
      /** What the torrent is called: the file's own name, except for a blob of Ollama. */
      readonly name: string
      readonly infoHash: InfoHash
      readonly magnet: string
      readonly length: number
      readonly pieceLength: number
      readonly sha256: string
      /** Where it is; or will be, when an `error` has told that it cannot be written now. */
      readonly torrentFile: string
    }
  | { readonly event: 'announced'; readonly infoHash: InfoHash; readonly nodes: number }
  | { readonly event: 'rejected'; readonly file: string; readonly code: string; readonly reason: string }
  /** The same file as `of`, whose torrent serves for both. */
  | {
      readonly event: 'duplicate'
      readonly file: string
      readonly of: string
      readonly infoHash: InfoHash
    }
  | { readonly event: 'waiting'; readonly file: string; readonly reason: string }
  | {
      readonly event: 'withdrawn'
      readonly file: string
      readonly infoHash: InfoHash
      readonly reason: string
    }
  /** All that is seeded was read again (`--recheck-rate`): `shards` are what was hashed, `bad` ones were not. */
  | { readonly event: 'rechecked'; readonly shards: number; readonly bad: number; readonly bytes: number }
  | ReplicationEvent
  | ErrorEvent

/** One more path of a file that is seeded. */
export const duplicateEvent = (
  file: string,
  { relativePath: of, infoHash }: { readonly relativePath: string; readonly infoHash: InfoHash },
): SeedEvent => ({ event: 'duplicate', file, of, infoHash })

/** Events of `--replicate`: each `replicating` ends in `replicated` or `not-replicated`. */
export type ReplicationEvent =
  | {
      readonly event: 'replicating'
      readonly infoHash: InfoHash
      readonly name: string
      readonly length: number
      /** Whole copies in the fleet. */
      readonly copies: number
    }
  | {
      readonly event: 'replicated'
      readonly infoHash: InfoHash
      readonly file: string
      readonly length: number
      readonly sha256: string
    }
  /** Not, or no longer, fetched; also told of a shard that was not begun, once for each reason. */
  | {
      readonly event: 'not-replicated'
      readonly infoHash: InfoHash
      readonly name: string
      readonly code: string
      readonly reason: string
    }

/** Events of a download. */
export type GetEvent =
  | {
      readonly event: 'metadata'
      readonly infoHash: InfoHash
      readonly name: string
      readonly length: number
      readonly pieceLength: number
    }
  | {
      readonly event: 'progress'
      readonly infoHash: InfoHash
      readonly verifiedBytes: number
      readonly length: number
      readonly downloadBytesPerSecond: number
      readonly peers: number
    }
  | {
      readonly event: 'done'
      readonly infoHash: InfoHash
      readonly path: string
      readonly length: number
      readonly sha256: string
    }
  /** A web server is asked, too, or is left: then it says why. */
  | {
      readonly event: 'web-seed'
      readonly infoHash: InfoHash
      readonly url: string
      readonly state: 'joined' | 'left'
      readonly reason?: string
    }
  /** All shards of a model asked for by name are there; `path` is the first one's, which loaders want. */
  | {
      readonly event: 'model'
      readonly name: string
      readonly path: string
      readonly shards: readonly string[]
    }
  | ErrorEvent

/** Something went wrong; `code` is stable, `message` names the file or hash and says what to do. */
export interface ErrorEvent {
  readonly event: 'error'
  readonly code: string
  readonly message: string
}
