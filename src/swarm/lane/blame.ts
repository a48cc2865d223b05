/**
 * Who is to blame for a piece that fails its hash. A peer that sent all of it is guilty at once. Of several, it is
 * not known who lied: the piece is fetched again from one of them alone, and when it is right then, the blocks
 * that differ name the liar.
 */
import { hash } from 'node:crypto'
import type Wire from 'bittorrent-protocol'

/** Wrong pieces whose blocks are remembered; liars beyond are found by the next of their pieces. */
const MAX_REMEMBERED = 64
/** Requests refused one after the other (BEP 6). A choking peer refuses all that it has, some 500 at most. */
const MAX_REFUSALS = 1_000

/** A piece as it came: its bytes, and who sent each of its blocks. */
export interface JudgedPiece {
  readonly index: number
  readonly bytes: Uint8Array
  readonly blockBytes: number
  readonly senders: readonly (Wire | undefined)[]
}

interface Evidence {
  readonly digest: string
  readonly sender: Wire
}

/** Judges the peers of one torrent; `onGuilty` is called with one that must go. */
export class Blame {
  readonly #onGuilty: (wire: Wire) => void
  readonly #evidence = new Map<number, readonly (Evidence | null)[]>()
  readonly #refusals = new WeakMap<Wire, number>()

  constructor(onGuilty: (wire: Wire) => void) {
    this.#onGuilty = onGuilty
  }

  /** The peer refused a request. */
  refused(wire: Wire): void {
    const refusals = (this.#refusals.get(wire) ?? 0) + 1
    this.#refusals.set(wire, refusals)
    if (refusals > MAX_REFUSALS) this.#onGuilty(wire)
  }

  /** The peer sent a block that it was asked for. */
  answered(wire: Wire): void {
    if (this.#refusals.has(wire)) this.#refusals.delete(wire)
  }

  /** The piece is wrong. */
  failed(piece: JudgedPiece): void {
    const senders = new Set(piece.senders)
    const [only] = senders
    if (senders.size === 1 && only !== undefined) {
      this.#onGuilty(only)
      return
    }
    const evidence = piece.senders.map((sender, block) =>
      sender === undefined ? null : { sender, digest: digestOf(piece, block) },
    )
    this.#evidence.set(piece.index, evidence)
    const [oldest] = this.#evidence.keys()
    if (this.#evidence.size > MAX_REMEMBERED && oldest !== undefined) this.#evidence.delete(oldest)
  }

  /** The piece is right; it may have been wrong before. */
  passed(piece: JudgedPiece): void {
    const evidence = this.#evidence.get(piece.index)
    if (evidence === undefined) return
    this.#evidence.delete(piece.index)
    const guilty = evidence.flatMap((block, at) =>
      block !== null && block.digest !== digestOf(piece, at) ? [block.sender] : [],
    )
    for (const wire of new Set(guilty)) this.#onGuilty(wire)
  }

  /** Is there a wrong piece of this number to compare with? */
  suspects(index: number): boolean {
    return this.#evidence.has(index)
  }
}

function digestOf({ bytes, blockBytes }: JudgedPiece, block: number): string {
  return hash('sha1', bytes.subarray(block * blockBytes, (block + 1) * blockBytes), 'hex')
}
