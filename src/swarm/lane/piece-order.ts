/**
 * Which piece is begun next. While all peers are seeds, in sequence from the first: the file is hashed behind the
 * download, and a file that is no GGUF is refused before the rest is fetched. When others download too: the header,
 * then what fewest peers have. Among equals, each peer is asked in sequence as long as that lasts, and then somewhere else
 * by chance: whoever went on at the next piece that nobody has would fetch what another is about to have, and stay at its
 * heels. A seed that proposes pieces (BEP 6) knows better: it is asked for those, and for what others have already.
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
  /** Takes the next of the pieces that it proposes to be asked for (BEP 6). */
  nextSuggested(): number | undefined
  /** What it did not propose, and nobody else has, was proposed to others. */
  readonly isGuiding: boolean
}

export class PieceOrder {
  readonly #states: Uint8Array
  /** How many peers have each piece, those that have all of them left out. */
  readonly #holders: Uint16Array
  /** Pieces before this one are begun or here. */
  #head = 0
  /** The piece after the one that was begun last with each peer. */
  readonly #next = new WeakMap<PieceHolder, number>()
  #left = 0
  #missing = 0
  /** Peers counted in `holders`. */
  #counted = 0

  constructor(count: number, isHere: (index: number) => boolean) {
    this.#states = new Uint8Array(count)
    this.#holders = new Uint16Array(count)
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

  /** Is it yet to be begun? */
  isMissing(index: number): boolean {
    return this.#states[index] === MISSING
  }

  /** Begins the best piece that the peer has and `mayAsk`; -1 when there is none. */
  begin(peer: PieceHolder, mayAsk: (index: number) => boolean): number {
    const best = this.#missing === 0 ? -1 : this.#choose(peer, mayAsk)
    if (best >= 0) {
      this.#states[best] = BEGUN
      this.#missing--
      // Everybody begins with the header: what comes after it is not to be everybody's second.
      if (best > 0) this.#next.set(peer, (best + 1) % this.#states.length)
    }
    return best
  }

  /** A piece that was begun is to be begun again. */
  putBack(index: number): void {
    if (this.#states[index] !== BEGUN) return
    this.#states[index] = MISSING
    this.#missing++
    this.#head = Math.min(this.#head, index)
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
    for (let index = 0; index < pieces.length; index++) {
      if (pieces[index] === 1) this.#holders[index]! += by
    }
  }

  /** A peer that is counted got a piece. */
  countPiece(index: number): void {
    this.#holders[index]!++
  }

  #choose(peer: PieceHolder, mayAsk: (index: number) => boolean): number {
    const mayBegin = (index: number): boolean =>
      this.#states[index] === MISSING && peer.has(index) && mayAsk(index)
    if (mayBegin(0)) return 0
    for (let index = peer.nextSuggested(); index !== undefined; index = peer.nextSuggested()) {
      // What others have by now comes from them.
      if (mayBegin(index) && this.#holders[index] === 0) return index
    }
    if (peer.isGuiding) return this.#rarest(peer, (index) => this.#holders[index]! > 0 && mayBegin(index))
    return this.#counted === 0 ? this.#first(mayBegin) : this.#rarest(peer, mayBegin)
  }

  #first(mayBegin: (index: number) => boolean): number {
    const count = this.#states.length
    while (this.#head < count && this.#states[this.#head] !== MISSING) this.#head++
    const end = Math.min(count, this.#head + MAX_LOOKED_AT)
    for (let index = this.#head; index < end; index++) if (mayBegin(index)) return index
    return -1
  }

  #rarest(peer: PieceHolder, mayBegin: (index: number) => boolean): number {
    const count = this.#states.length
    const looked = Math.min(count, MAX_LOOKED_AT)
    const start = looked < count ? randomInt(0, count) : 0
    const rare: number[] = []
    let fewest = Number.POSITIVE_INFINITY
    for (let place = start; place < start + looked; place++) {
      const index = place % count
      const holders = this.#holders[index] ?? 0
      if (holders > fewest || !mayBegin(index)) continue
      if (holders < fewest) rare.length = 0
      fewest = holders
      rare.push(index)
    }
    if (rare.length === 0) return -1
    const next = this.#next.get(peer) ?? -1
    const goesOn = next >= 0 && mayBegin(next) && (this.#holders[next] ?? 0) <= fewest
    return goesOn ? next : rare[randomInt(0, rare.length)]!
  }
}
