/**
 * Fetches one torrent over the connections that the engine keeps. The engine's own requests cost more than the
 * data itself: here whole pieces go to peers, requests leave in batches, and the bytes of blocks go from the
 * socket into the piece, which is hashed and written once.
 */
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'
import { BLOCK_BYTES } from '../seeding/frames.ts'
import { type BlockTarget, readerOf } from '../wire/wire-reader.ts'
import { type ActivePiece, blockKey, blockOfKey } from './active-piece.ts'
import { Blame } from './blame.ts'
import { LanePeer } from './lane-peer.ts'
import type { PieceBuffers } from './piece-buffers.ts'
import { Pieces } from './pieces.ts'
import { cancelMessage, requestMessages, type WantedBlock } from './requests.ts'
import { SleepWatch } from './sleep.ts'
import { takeOver } from './take-over.ts'

/** How often rates are measured and silent peers noticed. */
const LOOK_MS = 250
/** A peer that was asked and says nothing for so long: its blocks are anybody's. TCP has recovered twice by then. */
const SILENT_MS = 3_000
/** After so long it is left. */
const LEAVE_MS = 30_000

/** What a lane needs. */
export interface LaneOptions {
  readonly buffers: PieceBuffers
  /** The peer sent wrong data, or only refuses. */
  readonly onGuilty: (wire: Wire) => void
}

export class Lane {
  readonly #torrent: Torrent
  readonly #blame: Blame
  readonly #pieces: Pieces
  readonly #peers = new Map<Wire, LanePeer>()
  readonly #timer: NodeJS.Timeout
  readonly #sleep = new SleepWatch(performance.now())
  #stopped = false

  /** Starts at once; the torrent is ready. */
  constructor(torrent: Torrent, { buffers, onGuilty }: LaneOptions) {
    this.#torrent = torrent
    this.#blame = new Blame(onGuilty)
    this.#pieces = new Pieces(torrent, buffers, this.#blame, () => this.#fillAll())
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
    // After the engine's own bitfield message, which BEP 3 wants to be the first.
    const add = (wire: Wire): void => void setImmediate(() => this.#add(wire))
    torrent.wires.forEach(add)
    torrent.on('wire', add)
    torrent.once('done', () => this.stop())
    torrent.once('close', () => this.stop())
  }

  /** Fetches from one more that answers like a connection of the engine, and is none: a web seed. */
  join(wire: Wire): void {
    this.#add(wire)
  }

  /** Asks for nothing any more and gives its memory back. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    clearInterval(this.#timer)
    for (const wire of this.#peers.keys()) {
      const reader = readerOf(wire)
      reader.sink = null
      reader.dropBlock()
    }
    this.#peers.clear()
    this.#pieces.stop()
    if (!this.#torrent.destroyed) this.#torrent._updateInterest()
  }

  #add(wire: Wire): void {
    if (this.#stopped || wire.destroyed || wire._finished) return
    const peer = new LanePeer(wire)
    this.#peers.set(wire, peer)
    readerOf(wire).sink = {
      begin: (piece, offset, length) => this.#begin(peer, piece, offset, length),
      end: () => this.#onBlock(peer),
    }
    wire.once('finish', () => this.#remove(peer))
    wire.once('close', () => this.#remove(peer))
    // With BEP 6 each request is refused by itself.
    wire.on('choke', () => wire.hasFast || this.#release(peer))
    wire.on('unchoke', () => {
      peer.emptyAt = null
      this.#fillSoon(peer)
    })
    wire.on('reject', (index: number, offset: number) => this.#onReject(peer, index, offset))
    wire.on('suggest', (index: number) => {
      peer.suggest(index, performance.now())
      peer.emptyAt = null
      this.#fillSoon(peer)
    })
    wire.on('have', (index: number) => {
      peer.countPiece(index, this.#pieces.order)
      if (!this.#pieces.order.isMissing(index)) return
      peer.emptyAt = null
      this.#fill(peer)
    })
    for (const event of ['bitfield', 'have-all', 'have-none']) wire.on(event, () => this.#onPieces(peer))
    this.#onPieces(peer)
  }

  #remove(peer: LanePeer): void {
    if (!this.#peers.delete(peer.wire)) return
    peer.uncount(this.#pieces.order)
    readerOf(peer.wire).dropBlock()
    peer.arriving = null
    this.#release(peer)
    this.#fillAll()
  }

  /** The peer said what it has. */
  #onPieces(peer: LanePeer): void {
    if (this.#stopped) return
    peer.uncount(this.#pieces.order)
    peer.count(this.#torrent.pieces.length, this.#pieces.order)
    peer.emptyAt = null
    this.#fill(peer)
  }

  /** Nothing is to be expected of the peer any more. */
  #release(peer: LanePeer): void {
    const asked = [...peer.asked]
    peer.asked.clear()
    for (const [key, piece] of asked) this.#releaseBlock(piece, blockOfKey(key))
    for (const piece of new Set([...asked.map(([, piece]) => piece), ...(peer.own ? [peer.own] : [])])) {
      this.#disown(piece, peer)
    }
    peer.isSilent = false
  }

  /** The peer does not go on with a piece. One that is to come from it alone starts over with another. */
  #disown(piece: ActivePiece, peer: LanePeer): void {
    if (peer.own === piece) peer.own = null
    if (!this.#pieces.disown(piece, peer)) return
    for (const [key, asked] of peer.asked) if (asked === piece) peer.asked.delete(key)
    if (peer.arriving?.piece === piece) {
      peer.arriving = null
      readerOf(peer.wire).dropBlock()
    }
  }

  #releaseBlock(piece: ActivePiece, block: number): void {
    const key = blockKey(piece.index, block)
    const isAskedElsewhere = piece.isShared && [...this.#peers.values()].some(({ asked }) => asked.has(key))
    if (!isAskedElsewhere) this.#pieces.release(piece, block)
  }

  #onReject(peer: LanePeer, index: number, offset: number): void {
    const block = offset / BLOCK_BYTES
    const key = blockKey(index, block)
    const piece = peer.asked.get(key)
    // An offset beyond all pieces would name a block of another one.
    if (piece?.index !== index) return
    peer.asked.delete(key)
    this.#releaseBlock(piece, block)
    this.#disown(piece, peer)
    if (peer.asked.size === 0) peer.isSilent = false
    if (peer.wire.peerChoking) return
    peer.avoid(index, performance.now())
    this.#blame.refused(peer.wire)
  }

  /** Where the bytes of a block that begins go; null when it was not asked for, or is here already. */
  #begin(peer: LanePeer, index: number, offset: number, length: number): BlockTarget | null {
    const block = offset / BLOCK_BYTES
    const piece = Number.isInteger(block) ? peer.asked.get(blockKey(index, block)) : undefined
    if (piece === undefined || length !== piece.blockLength(block)) return null
    // Two that send the same block at once must not write into one another's bytes.
    const isTaken =
      piece.isShared &&
      [...this.#peers.values()].some(({ arriving }) => arriving?.piece === piece && arriving.block === block)
    const target = isTaken ? { buffer: Buffer.alloc(length), at: 0 } : { buffer: piece.buffer, at: offset }
    peer.arriving = { piece, block, target }
    return target
  }

  #onBlock(peer: LanePeer): void {
    if (peer.arriving === null) return
    const { piece, block, target } = peer.arriving
    peer.arriving = null
    const length = piece.blockLength(block)
    peer.asked.delete(blockKey(piece.index, block))
    peer.received(length, performance.now())
    this.#blame.answered(peer.wire)
    if (target.buffer !== piece.buffer) target.buffer.copy(piece.buffer, block * BLOCK_BYTES)
    if (piece.isShared) this.#cancelElsewhere(piece, block)
    this.#pieces.arrived(piece, block, peer)
    if (peer.asked.size === 0) peer.emptyAt = null // it may help others from now on
    this.#fill(peer)
  }

  #cancelElsewhere(piece: ActivePiece, block: number): void {
    const key = blockKey(piece.index, block)
    for (const other of this.#peers.values()) {
      if (!other.asked.delete(key)) continue
      if (other.arriving?.piece === piece && other.arriving.block === block) {
        other.arriving = null
        readerOf(other.wire).dropBlock()
      } else if (!other.wire.destroyed) {
        other.wire._push(cancelMessage({ piece, block }))
      }
    }
  }

  #fillAll(): void {
    for (const peer of this.#peers.values()) this.#fill(peer)
  }

  /** Once for all that a read brings: looking for a piece costs far more than one `unchoke` after another. */
  #fillSoon(peer: LanePeer): void {
    if (peer.isFillDue) return
    peer.isFillDue = true
    queueMicrotask(() => {
      peer.isFillDue = false
      if (this.#peers.has(peer.wire)) this.#fill(peer)
    })
  }

  /** Asks the peer for as much as it should be asked for. */
  #fill(peer: LanePeer): void {
    const room = peer.mayBeAsked && !this.#stopped ? peer.room : 0
    if (room === 0 || peer.emptyAt === this.#pieces.changes) return
    const wanted: WantedBlock[] = []
    while (wanted.length < room) {
      const piece = this.#pieces.next(peer)
      if (piece === null) break
      if (piece.owner !== peer) piece.isShared = true
      while (piece.free > 0 && wanted.length < room) {
        const block = this.#pieces.ask(piece)
        peer.asked.set(blockKey(piece.index, block), piece)
        wanted.push({ piece, block })
      }
    }
    if (wanted.length === 0 && this.#pieces.isAllBegun) {
      wanted.push(...takeOver(peer, { from: this.#peers.values(), room }))
    }
    if (wanted.length === 0) {
      peer.emptyAt = this.#pieces.changes
      return
    }
    if (peer.asked.size === wanted.length) peer.askedIdle(performance.now())
    peer.wire._push(requestMessages(wanted))
  }

  /** Measures, gives what silent peers were asked for to others, leaves those that stay silent. */
  #look(): void {
    const now = performance.now()
    const slept = this.#sleep.slept(now)
    this.#pieces.haves.tellAll()
    for (const peer of [...this.#peers.values()]) {
      peer.look(now)
      peer.emptyAt = null
      if (slept) peer.heardAt = now // what it sent meanwhile is yet to be read
      if (peer.asked.size === 0) continue
      const silentMs = now - peer.heardAt
      if (silentMs > SILENT_MS && peer.wire.peerChoking) {
        this.#release(peer)
      } else if (silentMs > LEAVE_MS) {
        peer.wire.destroy()
      } else if (silentMs > SILENT_MS && !peer.isSilent) {
        peer.isSilent = true
        this.#giveAway(peer)
      }
    }
    this.#fillAll()
  }

  /** Others may be asked for what this peer was asked for; what it sends yet counts all the same. */
  #giveAway(peer: LanePeer): void {
    for (const [key, piece] of [...peer.asked]) {
      piece.isShared = true
      this.#disown(piece, peer)
      this.#pieces.release(piece, blockOfKey(key))
    }
    if (peer.own !== null) this.#disown(peer.own, peer)
  }
}
