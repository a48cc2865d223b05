/** The hashes of pieces, reckoned without help from `src`. */
import { hash } from 'node:crypto'

/** SHA-1 of each piece, one after the other, as a .torrent has them. */
export function piecesOf(content: Buffer, pieceLength: number): Buffer {
  const count = Math.ceil(content.length / pieceLength)
  const piece = (index: number): Buffer => content.subarray(index * pieceLength, (index + 1) * pieceLength)
  return Buffer.concat(Array.from({ length: count }, (_, index) => hash('sha1', piece(index), 'buffer')))
}
