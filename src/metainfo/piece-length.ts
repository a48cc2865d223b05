/**
 * The piece length of our own torrents, a pure function of the file's length: it is part of the infohash, so
 * hosts that hash the same shard on their own only meet in one swarm if all of them use this very rule. Never
 * change it.
 */

/** 256 KiB: below this a small model gains nothing and every message costs more than it carries. */
const MIN_PIECE_LENGTH: number = 256 * 1024

/** 16 MiB: the most that every common client takes, and what one bad block costs to fetch again. */
const MAX_PIECE_LENGTH: number = 16 * 1024 * 1024

/** 2,048 pieces make 40 KiB of hashes, three messages of metadata for whoever comes with a magnet link. */
const TARGET_PIECES = 2_048

/**
 * The smallest power of two that cuts `length` bytes into at most {@link TARGET_PIECES} pieces, within the
 * limits.
 */
export function pieceLengthFor(length: number): number {
  let pieceLength = MIN_PIECE_LENGTH
  while (pieceLength < MAX_PIECE_LENGTH && length > pieceLength * TARGET_PIECES) pieceLength *= 2
  return pieceLength
}

/** How many pieces `length` bytes make; the last one may be short. */
export function pieceCountOf(length: number, pieceLength: number): number {
  return Math.ceil(length / pieceLength)
}
