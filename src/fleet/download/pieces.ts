/** Which pieces of a file on disk are right: what a resumed and a finished download are judged by. */
import { stat } from 'node:fs/promises'
import { systemCode } from '../../errors.ts'
import { HASH_LENGTH } from '../../metainfo/info-hash.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'
import { hasPiece, type PartialFile, setPiece } from '../../swarm/lane/download-store.ts'

interface WithPieces {
  /** Concatenated SHA-1 digests, 20 bytes a piece. */
  readonly pieces: Uint8Array
}

/** The digest of one piece. */
export const digestOf = (pieces: Uint8Array, index: number): Uint8Array =>
  pieces.subarray(index * HASH_LENGTH, (index + 1) * HASH_LENGTH)

/** Do both say the same of every piece? */
export function samePieces(a: WithPieces, b: WithPieces): boolean {
  return Buffer.compare(a.pieces, b.pieces) === 0
}

/** Bitfield of the pieces that are as expected. */
export function matchingPieces(pieces: Uint8Array, expected: Uint8Array): Uint8Array {
  const count = expected.length / HASH_LENGTH
  const bitfield = new Uint8Array(Math.ceil(count / 8))
  for (let index = 0; index < count; index++) {
    if (Buffer.compare(digestOf(pieces, index), digestOf(expected, index)) === 0) setPiece(bitfield, index)
  }
  return bitfield
}

/**
 * Bitfield of the pieces an earlier run left that count at once: the flushed ones, and those of the others
 * whose hash is right, which are flushed then.
 * @throws the signal's reason
 */
export async function trustedPieces(
  { handle, note }: Pick<PartialFile, 'handle' | 'note'>,
  metainfo: Metainfo,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bitfield = note.synced.slice()
  const { pieces, pieceLength, length } = metainfo
  let found = false
  for (let index = 0; index * pieceLength < length; index++) {
    if (hasPiece(bitfield, index) || !hasPiece(note.written, index)) continue
    signal.throwIfAborted() // after a damaged note it is the whole file
    const piece = new Uint8Array(Math.min(pieceLength, length - index * pieceLength))
    const { bytesRead } = await handle.read(piece, 0, piece.length, index * pieceLength)
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', piece))
    if (bytesRead === piece.length && Buffer.compare(digest, digestOf(pieces, index)) === 0) {
      setPiece(bitfield, index)
      found = true
    }
  }
  if (found) await handle.datasync()
  return bitfield
}

/** Length of a regular file in bytes, -1 for what is none, null when nothing is there. */
export async function lengthOf(path: string): Promise<number | null> {
  try {
    const stats = await stat(path)
    return stats.isFile() ? stats.size : -1
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}
