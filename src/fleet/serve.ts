/** Puts one verified file into the swarm, to be served where it lies as long as it stays what it is. */
import { messageOf } from '../errors.ts'
import type { FileIdentity } from '../library/identity.ts'
import { checkServed } from '../library/served.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import type { Network } from './network.ts'

/** A file that was hashed, and its identity at that time. */
export interface HashedShard {
  readonly infoHash: InfoHash
  readonly path: string
  readonly length: number
  readonly pieceLength: number
  readonly pieces: Uint8Array
  readonly identity: FileIdentity
}

/** Serves `shard`; `onLost` is called once when it is no longer what was hashed, and nothing is served then. */
export function serveFile(
  network: Network,
  torrentFile: Uint8Array,
  shard: HashedShard,
  onLost: (reason: string) => void,
): void {
  const { infoHash, path, length, pieceLength, pieces } = shard
  const file = { infoHash, path, length, pieceLength, pieces, check: checkServed(shard), onLost }
  network.seed(torrentFile, infoHash, file, (error) => onLost(messageOf(error)))
}
