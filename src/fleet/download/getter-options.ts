/** What a download is started with, and what its owner hears of it. */
import type { HashedFile } from '../../library/hash-pool.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { TorrentId } from '../../metainfo/parse.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import type { GetEvent } from '../events.ts'
import type { Expected } from './expected.ts'
import type { Placement } from './placement.ts'
import type { Stall } from './stall.ts'

/** Complete settings of one download. */
export interface GetOptions extends Expected {
  readonly id: TorrentId
  readonly out: string
  /** Where the file goes, if not into `out` under its own name. */
  readonly place?: Placement
  /** Peers to try besides those the DHT names. */
  readonly peers: readonly PeerAddress[]
  /** Which web seeds may be used besides peers; none without it. */
  readonly webSeeds?: WebSeedChoice
  /** Give up after so long without a single new byte; null waits for ever. */
  readonly timeoutMs: number | null
  /** Waited for when everything is right, before the file gets its name; what it throws ends the download. */
  readonly beforeNaming?: (hashed: HashedFile) => Promise<void>
}

/** The web servers a download may ask. */
export interface WebSeedChoice {
  /** Those named by a person. */
  readonly urls: readonly string[]
  /** Whether those that magnet links and .torrent files name are asked, too. */
  readonly ofLinks: boolean
}

/** What a download tells while it runs. */
export interface GetListener {
  readonly onEvent: (event: GetEvent) => void
  /** The state of affairs, with the reason when nothing moves; about twice a second. */
  readonly onState?: (state: GetState) => void
}

/** One moment of a download, for display. */
export interface GetState {
  readonly infoHash: InfoHash
  readonly name: string | null
  readonly verifiedBytes: number
  readonly length: number | null
  readonly downloadBytesPerSecond: number
  readonly peers: number
  readonly webSeeds: number
  readonly phase: 'metadata' | 'downloading' | 'verifying'
  readonly stall: Stall | null
}
