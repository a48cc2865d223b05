/** One peer as a download sees it: what it was asked for, how fast it answers, and how much to ask at once. */
import type Wire from 'bittorrent-protocol'
import { BLOCK_BYTES } from '../seeding/frames.ts'
import type { BlockTarget } from '../wire/wire-reader.ts'
import type { ActivePiece } from './active-piece.ts'
import type { PieceOrder } from './piece-order.ts'

/** Asked of a peer whose speed is not known: 1 MiB, which every client queues. */
const FIRST_WINDOW = 64
/** 16 MiB under way keep 1 Gbit/s busy over 130 ms; more gained nothing on loopback. */
const MAX_WINDOW = 1_024
/** Enough that a slow peer is not asked for a block at a time. */
const MIN_WINDOW = 4
/** A peer that does not say how many requests it queues (`reqq`, BEP 10) keeps 250 at least, as libtorrent assumes. */
const USUAL_QUEUE = 250
/**
 * So much of a peer's rate is under way beyond a round trip: enough that it is never idle between two of our batches.
 * All of it is what a download waits for at its end, when there is nothing left to ask others for.
 */
const WINDOW_SECONDS = 0.3
/** Rates are measured from here on; until then the window grows with every block. */
const MEASURED_AFTER_MS = 500
/** Requests are sent in batches: one write for at least so much of the window. */
const BATCH_SHARE = 4
/** Pieces that a peer proposed (BEP 6) and that were not begun yet; more are not kept. */
const MAX_SUGGESTED = 64
/** A peer that proposed nothing for so long has nothing left to propose. */
const GUIDING_MS = 1_000
/** A peer with less of the window than this to answer is about to be idle, before its next proposal comes. */
const IDLE_SHARE = 4
/** A piece that was refused (BEP 6) is not asked of the same peer again for a while. */
const AVOID_MS = 1_000

export class LanePeer {
  readonly wire: Wire
  /** By block key, in the order they were asked for. */
  readonly asked = new Map<number, ActivePiece>()
  /** The piece it is being asked for in sequence. */
  own: ActivePiece | null = null
  /** Where the block that is arriving goes, and which one it is. */
  arriving: { readonly piece: ActivePiece; readonly block: number; readonly target: BlockTarget } | null =
    null
  /** It was asked, and nothing came for too long: what it was asked for is anybody's. */
  isSilent = false
  /** It had nothing to ask for when so much had changed ({@link Pieces.changes}); looking again costs more than a block. */
  emptyAt: number | null = null
  /** It is to be asked for more at the end of this turn of the event loop. */
  isFillDue = false
  #window = FIRST_WINDOW
  #rate = 0
  #receivedSinceLook = 0
  #lookedAt = performance.now()
  #firstBlockAt = 0
  /** When it was asked for something while it had nothing else to answer; 0 once that came. */
  #askedIdleAt = 0
  #roundTripMs = Number.POSITIVE_INFINITY
  /** The pieces it is counted for, unless it has all of them. */
  #counted: Uint8Array | null = null
  #avoided = new Map<number, number>()
  #suggested: number[] = []
  #suggestedAt = Number.NEGATIVE_INFINITY
  /** When something was last heard from it, or it was first asked. */
  heardAt = performance.now()

  constructor(wire: Wire) {
    this.wire = wire
  }

  has(index: number): boolean {
    return this.wire.peerPieces.get(index)
  }

  get mayBeAsked(): boolean {
    return !this.wire.peerChoking && !this.wire.destroyed && !this.isSilent
  }

  /** Bytes a second; the last look counts as much as all before it. */
  get rate(): number {
    return this.#rate
  }

  /** Blocks to ask for now; 0 until a batch is worth a write. */
  get room(): number {
    const room = this.#window - this.asked.size
    return this.asked.size > 0 && room * BATCH_SHARE < this.#window ? 0 : Math.max(0, room)
  }

  /** How long what it was asked for will take. */
  get secondsLeft(): number {
    return (this.asked.size * BLOCK_BYTES) / Math.max(this.#rate, 1)
  }

  /** It was asked for something, and had nothing to answer until now. */
  askedIdle(now: number): void {
    this.heardAt = now
    this.#askedIdleAt = now
  }

  /** A block came. */
  received(bytes: number, now: number): void {
    if (this.#firstBlockAt === 0) this.#firstBlockAt = now
    if (this.#askedIdleAt > 0) this.#roundTripMs = Math.min(this.#roundTripMs, now - this.#askedIdleAt)
    this.#askedIdleAt = 0
    this.heardAt = now
    this.isSilent = false
    this.#receivedSinceLook += bytes
    this.wire.downloaded += bytes
    this.wire.downloadSpeed(bytes)
    this.wire.emit('download', bytes)
    if (this.#window < this.#mostAsked(now)) this.#window++
  }

  /** Measures; called a few times a second. */
  look(now: number): void {
    const seconds = (now - this.#lookedAt) / 1000
    if (seconds <= 0) return
    const rate = this.#receivedSinceLook / seconds
    // A peer that was not asked for anything has not become slow.
    if (rate > 0 || this.asked.size > 0) this.#rate = this.#rate === 0 ? rate : (this.#rate + rate) / 2
    this.#lookedAt = now
    this.#receivedSinceLook = 0
    this.#window = Math.max(MIN_WINDOW, Math.min(this.#window, this.#mostAsked(now)))
    for (const [index, until] of this.#avoided) if (until <= now) this.#avoided.delete(index)
  }

  avoid(index: number, now: number): void {
    this.#avoided.set(index, now + AVOID_MS)
    this.#window = Math.max(MIN_WINDOW, this.#window >> 1)
  }

  /** Counts it as a holder of what it has; one that has everything makes no piece rarer than another. */
  count(pieces: number, order: PieceOrder): void {
    const counted = Uint8Array.from({ length: pieces }, (_, index) => (this.has(index) ? 1 : 0))
    if (!counted.includes(0)) return
    this.#counted = counted
    order.count(counted, 1)
  }

  uncount(order: PieceOrder): void {
    if (this.#counted !== null) order.count(this.#counted, -1)
    this.#counted = null
  }

  countPiece(index: number, order: PieceOrder): void {
    if (this.#counted?.[index] !== 0) return
    this.#counted[index] = 1
    order.countPiece(index)
  }

  /** The peer proposes a piece (BEP 6). */
  suggest(index: number, now: number): void {
    this.#suggestedAt = now
    if (this.#suggested.length < MAX_SUGGESTED) this.#suggested.push(index)
  }

  /** The piece that was proposed first, which is forgotten. */
  nextSuggested(): number | undefined {
    return this.#suggested.shift()
  }

  /** It proposes pieces, and has enough to answer until the next proposal comes. */
  get isGuiding(): boolean {
    return this.asked.size * IDLE_SHARE > this.#window && performance.now() - this.#suggestedAt < GUIDING_MS
  }

  readonly mayAsk = (index: number): boolean => this.#avoided.size === 0 || !this.#avoided.has(index)

  #mostAsked(now: number): number {
    const told = this.wire.peerExtendedHandshake['reqq']
    const queue = typeof told === 'number' && told > 0 ? told : USUAL_QUEUE
    const most = Math.min(MAX_WINDOW, queue)
    const isMeasured = this.#firstBlockAt > 0 && now - this.#firstBlockAt > MEASURED_AFTER_MS
    if (!isMeasured) return most
    const seconds = WINDOW_SECONDS + this.#roundTripMs / 1000
    return Math.max(MIN_WINDOW, Math.min(most, Math.ceil((this.#rate * seconds) / BLOCK_BYTES) + MIN_WINDOW))
  }
}
