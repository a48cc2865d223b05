/**
 * Asks one certain peer for one shard: which pieces it says it has, and whether chosen ones are right.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import { PeerProbe, type SeenPiece, type SeenPieces } from './peer-probe.ts'

/** What must be known of a shard before a peer is asked for it. */
export interface ProbedShard {
  readonly infoHash: InfoHash
  readonly length: number
  readonly pieceLength: number
}

/**
 * Connects to one address and looks which pieces of `shard` its peer says it has.
 * @throws {FailedError} see {@link PeerProbe.connect}; `silent` when it says nothing of its pieces
 */
export async function probePeer(
  address: PeerAddress,
  shard: ProbedShard,
  signal: AbortSignal,
): Promise<SeenPieces> {
  await using probe = await PeerProbe.connect(address, shard.infoHash, signal)
  return await probe.seenPieces(pieceCountOf(shard.length, shard.pieceLength))
}

/**
 * Fetches these pieces from one address and hashes them. The metainfo, when not given, comes from the same
 * peer and must match the infohash.
 * @throws {FailedError} as {@link probePeer}; `refused`, `closed` or `silent` when a piece does not come
 */
export async function probePieces(
  address: PeerAddress,
  shard: ProbedShard,
  indexes: readonly number[],
  signal: AbortSignal,
  metainfo?: Metainfo,
): Promise<readonly SeenPiece[]> {
  await using probe = await PeerProbe.connect(address, shard.infoHash, signal)
  const known = metainfo ?? (await probe.metainfo())
  const seen: SeenPiece[] = []
  for (const index of indexes) seen.push(await probe.piece(known, index))
  return seen
}
