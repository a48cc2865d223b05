/**
 * Who is to blame for a piece that fails its hash. The engine throws such a piece away and asks the same
 * peer for it again, for ever; here a peer that sent all of it is guilty at once, and one that sent a part
 * of it loses trust, which good pieces give back.
 */
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'

/** Lost for a part in a piece that failed, gained for one in a piece that was right; libtorrent's weights. */
const FAILED_PART = -2
const GOOD_PART = 1
/** No peer saves up for more than four failures. */
const MAX_TRUST = 8
/** Four shared failures more than good pieces can excuse: the other peers of those pieces differed. */
const MIN_TRUST = -7
/** Requests refused one after the other (BEP 6). A choking peer refuses all that it has, some 500 at most. */
const MAX_REFUSALS = 1_000

/** Watches the pieces of one torrent; `onGuilty` is called with a peer that must go. */
export class Blame {
  readonly #onGuilty: (wire: Wire) => void
  /** Who sent blocks of a piece that is not complete yet. */
  readonly #senders = new Map<number, Set<Wire>>()
  readonly #trust = new WeakMap<Wire, number>()

  constructor(torrent: Torrent, onGuilty: (wire: Wire) => void) {
    this.#onGuilty = onGuilty
    torrent.on('verified', (index: number) => this.#judge(index, GOOD_PART))
    torrent.on('warning', (warning: Error) => {
      const [, index] = /^Piece (\d+) failed verification$/.exec(warning.message) ?? []
      if (index !== undefined) this.#judge(Number(index), FAILED_PART)
    })
    torrent.on('wire', (wire: Wire) => this.#watch(wire, torrent))
  }

  #watch(wire: Wire, torrent: Torrent): void {
    let refusals = 0
    wire.on('piece', (index: number) => {
      refusals = 0
      if (torrent.bitfield?.get(index) !== false || index < 0 || index >= torrent.pieces.length) return
      const senders = this.#senders.get(index) ?? new Set()
      this.#senders.set(index, senders.add(wire))
    })
    wire.on('reject', () => {
      if (++refusals > MAX_REFUSALS) this.#onGuilty(wire)
    })
  }

  #judge(index: number, part: number): void {
    const senders = this.#senders.get(index) ?? []
    this.#senders.delete(index)
    for (const wire of senders) {
      const trust = Math.min(MAX_TRUST, (this.#trust.get(wire) ?? 0) + part)
      this.#trust.set(wire, trust)
      const isAlone = [...senders].length === 1
      if (part === FAILED_PART && (isAlone || trust <= MIN_TRUST)) this.#onGuilty(wire)
    }
  }
}
