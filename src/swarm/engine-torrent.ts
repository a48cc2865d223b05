/** Two small acts on a torrent of the engine. */
import { createHash } from 'node:crypto'
import type { Torrent } from 'webtorrent'
import { type InfoHash, infoHashBytes } from '../metainfo/info-hash.ts'

/**
 * The engine caches this hash lazily, and wrongly while it does not know the infohash yet: then no encrypted
 * connection would ever find the torrent.
 */
export function setEncryptedName(torrent: Torrent, infoHash: InfoHash): void {
  torrent.infoHashHash = createHash('sha1').update('req2').update(infoHashBytes(infoHash)).digest('hex')
}

/** Ends it; its files stay. */
export function removeTorrent(torrent: Torrent): Promise<void> {
  if (torrent.destroyed) return Promise.resolve()
  return new Promise((resolve) => torrent.destroy({ destroyStore: false }, () => resolve()))
}
