/**
 * Which piece a seed proposes to whom (BEP 6, `suggest`): to each downloader others, in sequence. Left to chance, they
 * ask for every third piece twice, and no swarm is whole before its seed has sent everything once.
 */
import { randomInt } from 'node:crypto'
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'

/** Proposed to a peer and not asked for yet, one piece at least. The fewer, the more pieces are sent in sequence; … */
const AHEAD_BYTES = 1024 * 1024
/** … but what a peer gets in a long round trip, so that it never waits for a proposal. */
const AHEAD_SECONDS = 0.25
/** One downloader alone does best in sequence. */
const MIN_PEERS = 2

/** A peer that downloads. */
interface Downloader {
  /** Proposed, and not asked for yet. */
  readonly open: Set<number>
  /** What it was proposed or has asked for. */
  readonly given: number[]
}

/** The proposals of one torrent, from when it is whole. */
export class Suggestions {
  readonly #torrent: Torrent
  /** Is there no other seed? Two that began at the same piece would send everything twice. */
  readonly #isAlone: () => boolean
  readonly #downloaders = new Map<Wire, Downloader>()
  /** Marks what somebody was given; null while there are not several to share it. */
  #given: Uint8Array | null = null
  #next = 0

  constructor(torrent: Torrent, isAlone: () => boolean) {
    this.#torrent = torrent
    this.#isAlone = isAlone
  }

  add(wire: Wire): void {
    wire.on('interested', () => this.#join(wire))
    wire.on('uninterested', () => this.#leave(wire))
    wire.once('close', () => this.#leave(wire))
  }

  /** The peer asks for a block of the piece. */
  asked(wire: Wire, piece: number): void {
    this.#join(wire) // its interest may have come before anybody listened
    const downloader = this.#downloaders.get(wire)
    if (downloader === undefined || this.#given === null) return
    if (downloader.open.delete(piece)) this.#propose(wire, downloader)
    else this.#give(piece, downloader)
  }

  #join(wire: Wire): void {
    if (this.#downloaders.has(wire) || !this.#torrent.done || !wire.hasFast) return
    this.#downloaders.set(wire, { open: new Set(), given: [] })
    if (this.#downloaders.size < MIN_PEERS) return
    this.#given ??= this.#begin()
    for (const [each, downloader] of this.#downloaders) this.#propose(each, downloader)
  }

  #begin(): Uint8Array {
    const count = this.#torrent.pieces.length
    this.#next = this.#isAlone() ? 0 : randomInt(count)
    return new Uint8Array(count)
  }

  /** What it was given and did not get is for others. */
  #leave(wire: Wire): void {
    const left = this.#downloaders.get(wire)
    if (left === undefined) return
    this.#downloaders.delete(wire)
    if (this.#downloaders.size < MIN_PEERS) this.#given = null
    else for (const piece of left.given) this.#given![piece] = 0
  }

  #propose(wire: Wire, downloader: Downloader): void {
    const bytes = Math.max(AHEAD_BYTES, wire.uploadSpeed() * AHEAD_SECONDS)
    const ahead = Math.max(1, Math.floor(bytes / this.#torrent.pieceLength))
    while (downloader.open.size < ahead && !wire.destroyed) {
      const piece = this.#free()
      if (piece < 0) return
      this.#give(piece, downloader)
      downloader.open.add(piece)
      wire.suggest(piece)
    }
  }

  #give(piece: number, { given }: Downloader): void {
    if (this.#given?.[piece] !== 0) return
    this.#given[piece] = 1
    given.push(piece)
  }

  /** The next piece that nobody has or was given; -1 when there is none. */
  #free(): number {
    const given = this.#given!
    for (let left = given.length; left > 0; left--) {
      const piece = this.#next
      this.#next = (piece + 1) % given.length
      if (given[piece] === 0 && !this.#isHeld(piece)) return piece
    }
    return -1
  }

  #isHeld(piece: number): boolean {
    for (const wire of this.#downloaders.keys()) if (wire.peerPieces.get(piece)) return true
    return false
  }
}
