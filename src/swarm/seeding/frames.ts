/**
 * Blocks as they go on the wire: each with the head of its `piece` message (BEP 3) in front. A peer that asks for
 * blocks in sequence, as all do, gets one stretch of such frames in one write, and the next peer gets the same.
 */

/** What everybody asks for at once (BEP 3 as it is practised). */
export const BLOCK_BYTES: number = 16 * 1024
/** Length, number, piece and offset. */
export const HEAD_BYTES = 13
/** 1 MiB a read: 64 blocks, few enough system calls, small enough that many readers fit the budget. */
export const WINDOW_BYTES: number = 1024 * 1024
const PIECE = 7

/** A part of a file, of whole blocks: several small pieces, or a part of a large one. */
export interface FileRange {
  readonly firstPiece: number
  /** The piece after the last one. */
  readonly endPiece: number
  /** In the file. */
  readonly start: number
  readonly end: number
}

/** Where the frames of one file lie: pure arithmetic. */
export class FrameLayout {
  readonly #length: number
  readonly #pieceLength: number
  readonly #count: number
  /** Pieces in a window; 0 when a piece has several windows. */
  readonly #piecesPerWindow: number
  readonly #windowsPerPiece: number
  /** Bytes that the frames of a whole piece take. */
  readonly #pieceFrames: number

  /** @param shortBytes pieces shorter than this share a window of so many bytes; a window has a whole piece at least */
  constructor(length: number, pieceLength: number, shortBytes: number = WINDOW_BYTES) {
    this.#length = length
    this.#pieceLength = pieceLength
    this.#count = Math.ceil(length / pieceLength)
    this.#piecesPerWindow = pieceLength > WINDOW_BYTES ? 0 : Math.floor(shortBytes / pieceLength)
    this.#windowsPerPiece = Math.ceil(pieceLength / WINDOW_BYTES)
    this.#pieceFrames = pieceLength + HEAD_BYTES * Math.ceil(pieceLength / BLOCK_BYTES)
  }

  /** @throws {RangeError} for a piece that is not there */
  pieceBytes(piece: number): number {
    if (!Number.isInteger(piece) || piece < 0 || piece >= this.#count)
      throw new RangeError(`no piece ${piece}`)
    return Math.min(this.#pieceLength, this.#length - piece * this.#pieceLength)
  }

  /** Is it one of the blocks that frames are made of? Others are cut out by hand. */
  isBlock(piece: number, offset: number, length: number): boolean {
    if (piece < 0 || piece >= this.#count || offset < 0 || offset % BLOCK_BYTES !== 0) return false
    const left = Math.min(this.#pieceLength, this.#length - piece * this.#pieceLength) - offset
    return length > 0 && length === Math.min(BLOCK_BYTES, left)
  }

  /** The window that holds this byte of a piece. */
  windowOf(piece: number, offset: number): number {
    if (this.#piecesPerWindow > 0) return Math.floor(piece / this.#piecesPerWindow)
    return piece * this.#windowsPerPiece + Math.floor(offset / WINDOW_BYTES)
  }

  /** Where the frame of the block at `offset` begins in its window. */
  placeOf(piece: number, offset: number): number {
    const block = offset / BLOCK_BYTES
    if (this.#piecesPerWindow > 0)
      return (piece % this.#piecesPerWindow) * this.#pieceFrames + block * (HEAD_BYTES + BLOCK_BYTES)
    return (block % (WINDOW_BYTES / BLOCK_BYTES)) * (HEAD_BYTES + BLOCK_BYTES)
  }

  range(window: number): FileRange {
    if (this.#piecesPerWindow > 0) {
      const firstPiece = window * this.#piecesPerWindow
      const endPiece = Math.min(this.#count, firstPiece + this.#piecesPerWindow)
      const start = firstPiece * this.#pieceLength
      return { firstPiece, endPiece, start, end: Math.min(this.#length, endPiece * this.#pieceLength) }
    }
    const firstPiece = Math.floor(window / this.#windowsPerPiece)
    const pieceStart = firstPiece * this.#pieceLength
    const start = pieceStart + (window % this.#windowsPerPiece) * WINDOW_BYTES
    const end = Math.min(start + WINDOW_BYTES, pieceStart + this.pieceBytes(firstPiece))
    return { firstPiece, endPiece: firstPiece + 1, start, end }
  }

  /** The frames of a window, heads in place, in memory from `take`; `blocks` are the parts that want the file's bytes. */
  frames(
    window: number,
    take: (length: number) => Buffer,
  ): { readonly bytes: Buffer; readonly blocks: readonly Buffer[] } {
    const { start, end } = this.range(window)
    const parts: { piece: number; offset: number; length: number }[] = []
    for (let at = start; at < end; ) {
      const piece = Math.floor(at / this.#pieceLength)
      const offset = at - piece * this.#pieceLength
      const length = Math.min(BLOCK_BYTES, this.pieceBytes(piece) - offset)
      parts.push({ piece, offset, length })
      at += length
    }
    const bytes = take(end - start + HEAD_BYTES * parts.length)
    let at = 0
    const blocks = parts.map(({ piece, offset, length }) => {
      bytes.writeUInt32BE(HEAD_BYTES - 4 + length, at)
      bytes[at + 4] = PIECE
      bytes.writeUInt32BE(piece, at + 5)
      bytes.writeUInt32BE(offset, at + 9)
      at += HEAD_BYTES + length
      return bytes.subarray(at - length, at)
    })
    return { bytes, blocks }
  }
}
