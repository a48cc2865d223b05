/** The store of a download as the engine makes it, with what it has for others. */
import type { ChunkStore, Torrent } from 'webtorrent'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import type { WindowCache } from '../seeding/window-cache.ts'
import { DownloadStore, type DownloadStoreSettings } from './download-store.ts'
import { PartialFrames } from './partial-frames.ts'

export interface EngineStoreOptions {
  readonly infoHash: InfoHash
  /** What a former run left. */
  readonly known?: { readonly bitfield: Uint8Array }
  readonly store: DownloadStoreSettings
}

export interface EngineStore {
  /** The engine makes one of it, when it knows the metadata. */
  readonly Store: new (
    pieceLength: number,
    options: never,
  ) => ChunkStore
  /** Undefined until then. */
  readonly frames: () => PartialFrames | undefined
}

export function engineStore(
  { infoHash, known, store: settings }: EngineStoreOptions,
  cache: WindowCache,
): EngineStore {
  let frames: PartialFrames | undefined
  class Store extends DownloadStore {
    constructor(pieceLength: number, { torrent, length }: { torrent: Torrent; length: number }) {
      super(pieceLength, { settings })
      const holds = (piece: number): boolean => torrent.bitfield?.get(piece) === true
      frames = new PartialFrames({ infoHash, length, pieceLength, partial: settings.partial, holds, cache })
      // Set before the engine looks at it: an empty bitfield keeps it from hashing a file that is not there.
      torrent._startupBitfield =
        known?.bitfield ?? new Uint8Array(Math.ceil(pieceCountOf(length, pieceLength) / 8))
    }

    override close(callback?: (error: Error | null) => void): void {
      frames?.close()
      super.close(callback)
    }
  }
  return { Store, frames: () => frames }
}
