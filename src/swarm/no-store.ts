/** The store of a torrent without content: the engine wants one, and has nothing to put there. */
import type { ChunkStore, ChunkStoreCallback } from 'webtorrent'

const NOTHING = new Error('there is no content here')

export class NoStore implements ChunkStore {
  readonly chunkLength = 0
  get(_index: number, options: object | null | ChunkStoreCallback, callback?: ChunkStoreCallback): void {
    ;(typeof options === 'function' ? options : callback)?.(NOTHING)
  }
  put(_index: number, _data: Uint8Array, callback?: (error: Error | null) => void): void {
    callback?.(NOTHING)
  }
  close(callback?: (error: Error | null) => void): void {
    callback?.(null)
  }
  destroy(callback?: (error: Error | null) => void): void {
    callback?.(null)
  }
}
