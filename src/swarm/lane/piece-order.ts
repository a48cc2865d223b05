/**
 * Which piece is begun next. While all peers are seeds, in sequence from the first: the file is hashed behind the
 * download, and a file that is no GGUF is refused before the rest is fetched. When others download too: the header,
 * then what fewest peers have, among equals in sequence from a random piece on, so that they have different pieces
 * to give each other.
 */
import { randomInt } from 'node:crypto'

/** Pieces looked at for one choice: all of any shard of ours, and a bound for torrents of half a million. */
const MAX_LOOKED_AT = 4_096

const MISSING = 0
const BEGUN = 1
const HERE = 2

/** What is asked of a peer to choose for it. */
export interface PieceHolder {
  has(index: number): boolean
}

export class PieceOrder {
  readonly #states: Uint8Array
  /** How many peers have each piece, those that have all of them left out. */
  readonly #holders: Uint16Array
  readonly #randomStart: number
  /** Where the sequence begins. */
  #start = 0
  /** Pieces before this place in the sequence are begun or here. */
  #head = 0
  #left = 0
  #missing = 0
  /** Peers counted in `holders`. */
  #counted = 0

  constructor(count: number, isHere: (index: number) => boolean) {
    this.#states = new Uint8Array(count)
    this.#holders = new Uint16Array(count)
    this.#randomStart = randomInt(0, count)
    for (let index = 0; index < count; index++) {
      if (isHere(index)) this.#states[index] = HERE
      else this.#left++
    }
    this.#missing = this.#left
  }

  /** Pieces that are not here. */
  get left(): number {
    return this.#left
  }

  /** Pieces that are not begun. */
  get missing(): number {
    return this.#missing
  }

  isHere(index: number): boolean {
    return this.#states[index] === HERE
  }

  /** Begins the best piece that the peer has and `mayAsk`; -1 when there is none. */
  begin(peer: PieceHolder, mayAsk: (index: number) => boolean): number {
    const best = this.#missing === 0 ? -1 : this.#choose(peer, mayAsk)
    if (best >= 0) {
      this.#states[best] = BEGUN
      this.#missing--
    }
    return best
  }

  /** A piece that was begun is to be begun again. */
  putBack(index: number): void {
    if (this.#states[index] !== BEGUN) return
    this.#states[index] = MISSING
    this.#missing++
    const place = (index - this.#start + this.#states.length) % this.#states.length
    this.#head = Math.min(this.#head, place)
  }

  arrived(index: number): void {
    if (this.#states[index] === HERE) return
    if (this.#states[index] === MISSING) this.#missing--
    this.#states[index] = HERE
    this.#left--
  }

  /** A peer came (1) or went (-1) that has the pieces marked with 1, and not all. */
  count(pieces: Uint8Array, by: 1 | -1): void {
    this.#counted += by
    this.#start = this.#counted > 0 ? this.#randomStart : 0
    this.#head = 0
    for (let index = 0; index < pieces.length; index++) {
      if (pieces[index] === 1) this.#holders[index]! += by
    }
  }

  /** A peer that is counted got a piece. */
  countPiece(index: number): void {
    this.#holders[index]!++
  }

  #choose(peer: PieceHolder, mayAsk: (index: number) => boolean): number {
    const count = this.#states.length
    if (this.#states[0] === MISSING && peer.has(0) && mayAsk(0)) return 0
    let best = -1
    let fewest = Number.POSITIVE_INFINITY
    let looked = 0
    let isHead = true
    for (let place = this.#head; place < count && looked < MAX_LOOKED_AT; place++) {
      const index = (this.#start + place) % count
      if (this.#states[index] !== MISSING) {
        if (isHead) this.#head = place + 1
        continue
      }
      isHead = false
      looked++
      const holders = this.#holders[index] ?? 0
      if (holders >= fewest || !peer.has(index) || !mayAsk(index)) continue
      best = index
      fewest = holders
      if (this.#counted === 0 || fewest === 0) break
    }
    return best
  }
}
