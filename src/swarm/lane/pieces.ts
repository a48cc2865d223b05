/**
 * The pieces of one download: which are begun and by whom, until they are on disk and verified. Nothing counts, is
 * told to others or can be read before it was written and the store has read it back and found it right.
 */
import type { Torrent } from 'webtorrent'
import { BLOCK_BYTES } from '../seeding/frames.ts'
import { ActivePiece } from './active-piece.ts'
import type { Blame, JudgedPiece } from './blame.ts'
import { WrongPiece } from './download-store.ts'
import { Haves } from './haves.ts'
import type { LanePeer } from './lane-peer.ts'
import type { PieceBuffers } from './piece-buffers.ts'
import { PieceOrder } from './piece-order.ts'

/** What every download may have under way, however many there are: two pieces, so that none waits for the other. */
const SURE_PIECES = 2

export class Pieces {
  readonly #torrent: Torrent
  readonly #buffers: PieceBuffers
  readonly #blame: Blame
  /** Called when a piece is on disk or was wrong: there is room for another. */
  readonly #onRoom: () => void
  readonly order: PieceOrder
  readonly haves = new Haves()
  readonly #active = new Map<number, ActivePiece>()
  /** Those of the active ones that have blocks nobody is asked for. */
  readonly #open = new Set<ActivePiece>()
  /** Pieces that were wrong when several peers had sent them. */
  readonly #solo = new Set<number>()
  /** Buffers taken: of active pieces, and of those being written. */
  #held = 0
  /** There was no memory for another piece. */
  #isFull = false
  #changes = 0
  #stopped = false

  constructor(torrent: Torrent, buffers: PieceBuffers, blame: Blame, onRoom: () => void) {
    this.#torrent = torrent
    this.#buffers = buffers
    this.#blame = blame
    this.#onRoom = onRoom
    this.order = new PieceOrder(torrent.pieces.length, (index) => torrent.bitfield?.get(index) === true)
  }

  /** Rises when there may be something to ask for again, of a peer for which there was nothing. */
  get changes(): number {
    return this.#changes
  }

  /** No piece can be begun with anybody. */
  get isAllBegun(): boolean {
    return this.order.missing === 0 || this.#isFull
  }

  /** A piece with blocks to ask this peer for: its own, one left by another, a new one, one to help with. */
  next(peer: LanePeer): ActivePiece | null {
    if (peer.own !== null && peer.own.free > 0) return peer.own
    peer.own = this.#left(peer) ?? this.#begin(peer)
    if (peer.own !== null) peer.own.owner = peer
    return peer.own ?? this.#toHelpWith(peer)
  }

  /** Takes a block that nobody was asked for yet. */
  ask(piece: ActivePiece): number {
    const block = piece.ask()
    if (piece.free === 0) this.#open.delete(piece)
    return block
  }

  /** Nothing is to be expected of this block any more. */
  release(piece: ActivePiece, block: number): void {
    if (this.#active.get(piece.index) !== piece) return
    piece.release(block)
    this.#changes++
    if (piece.free > 0) this.#open.add(piece)
    // Its owner has asked for all of it and gone on to another: whoever comes next may take it over.
    if (!piece.isSolo && piece.owner?.own !== piece) piece.owner = null
  }

  /** The peer does not go on with a piece; true when the piece starts over, as it is to come from one peer alone. */
  disown(piece: ActivePiece, peer: LanePeer): boolean {
    if (piece.owner !== peer || this.#active.get(piece.index) !== piece) return false
    piece.owner = null
    this.#changes++
    if (!piece.isSolo) return false
    piece.reset()
    this.#open.add(piece)
    return true
  }

  arrived(piece: ActivePiece, block: number, from: LanePeer): void {
    piece.arrived(block, from)
    if (piece.free === 0) this.#open.delete(piece)
    if (piece.missing === 0) this.#complete(piece)
  }

  stop(): void {
    this.#stopped = true
    this.haves.tellAll()
    for (const { buffer } of this.#active.values()) this.#buffers.give(buffer)
    this.#active.clear()
    this.#open.clear()
    this.#buffers.trim()
  }

  #left(peer: LanePeer): ActivePiece | null {
    for (const piece of this.#open) {
      if (piece.owner === null && peer.has(piece.index) && peer.mayAsk(piece.index)) return piece
    }
    return null
  }

  #begin(peer: LanePeer): ActivePiece | null {
    if (this.order.missing === 0 || this.#stopped) return null
    const { pieceLength, length } = this.#torrent
    const buffer = this.#buffers.take(pieceLength, this.#held < SURE_PIECES)
    this.#isFull = buffer === null
    if (buffer === null) return null
    const index = this.order.begin(peer, peer.mayAsk)
    if (index < 0) {
      this.#buffers.give(buffer)
      return null
    }
    this.#held++
    const bytes = Math.min(pieceLength, length - index * pieceLength)
    const piece = new ActivePiece(index, bytes, buffer, this.#solo.has(index))
    this.#active.set(index, piece)
    this.#open.add(piece)
    return piece
  }

  /** The piece that has most left to ask for. */
  #toHelpWith(peer: LanePeer): ActivePiece | null {
    let most: ActivePiece | null = null
    for (const piece of this.#open) {
      if (piece.isSolo || piece.free <= (most?.free ?? 0)) continue
      if (peer.has(piece.index) && peer.mayAsk(piece.index)) most = piece
    }
    return most
  }

  #complete(piece: ActivePiece): void {
    this.#active.delete(piece.index)
    this.#open.delete(piece)
    const torrent = this.#torrent
    torrent.store.put(piece.index, piece.bytes, (error) => {
      // The owner of a download was told by its store of a disk that fails, and ends the torrent.
      if (torrent.destroyed || !(error === null || error instanceof WrongPiece)) this.#give(piece)
      else if (error === null) this.#right(piece)
      else this.#wrong(piece)
    })
  }

  #right(piece: ActivePiece): void {
    const { index } = piece
    const torrent = this.#torrent
    if (this.#solo.delete(index)) this.#blame.passed(judged(piece))
    this.#give(piece)
    this.order.arrived(index)
    torrent._markVerified(index)
    this.haves.tell(torrent.wires, index)
    if (this.order.left === 0) torrent._checkDone()
    this.#onRoom()
  }

  #wrong(piece: ActivePiece): void {
    if (new Set(piece.senders).size > 1) this.#solo.add(piece.index)
    this.order.putBack(piece.index)
    this.#changes++
    this.#blame.failed(judged(piece))
    this.#give(piece)
    this.#onRoom()
  }

  #give({ buffer }: ActivePiece): void {
    this.#held--
    this.#buffers.give(buffer)
    if (this.#isFull) this.#changes++
    this.#isFull = false
    if (this.#stopped) this.#buffers.trim()
  }
}

function judged({ index, bytes, senders }: ActivePiece): JudgedPiece {
  return { index, bytes, blockBytes: BLOCK_BYTES, senders: senders.map((peer) => peer?.wire) }
}
