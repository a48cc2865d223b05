/** The two messages a download sends, many of them in one buffer (BEP 3). */
import { BLOCK_BYTES } from '../seeding/frames.ts'
import type { ActivePiece } from './active-piece.ts'

const MESSAGE_BYTES = 17
const BODY_BYTES = 13
const REQUEST = 6
const CANCEL = 8

/** One block of one piece. */
export interface WantedBlock {
  readonly piece: ActivePiece
  readonly block: number
}

export const requestMessages = (blocks: readonly WantedBlock[]): Uint8Array => messages(REQUEST, blocks)
export const cancelMessage = (block: WantedBlock): Uint8Array => messages(CANCEL, [block])

function messages(number: number, blocks: readonly WantedBlock[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(MESSAGE_BYTES * blocks.length)
  let at = 0
  for (const { piece, block } of blocks) {
    bytes.writeUInt32BE(BODY_BYTES, at)
    bytes[at + 4] = number
    bytes.writeUInt32BE(piece.index, at + 5)
    bytes.writeUInt32BE(block * BLOCK_BYTES, at + 9)
    bytes.writeUInt32BE(piece.blockLength(block), at + 13)
    at += MESSAGE_BYTES
  }
  return bytes
}
