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

/** Nobody was given the piece yet; somebody was; or was and has left, so that it waits in a list for another. */
const FREE = 0
const GIVEN = 1
const RETURNED = 2

/** A peer that downloads. */
interface Downloader {
  /** Proposed, and not asked for yet. */
  readonly open: Set<number>
  /** What it was proposed or has asked for. */
  readonly given: number[]
}

/** The proposals of one torrent, from when it is whole. What a message of a peer costs does not grow with the torrent. */
export class Suggestions {
  readonly #torrent: Torrent
  /** Is there no other seed? Two that began at the same piece would send everything twice. */
  readonly #isAlone: () => boolean
  readonly #downloaders = new Map<Wire, Downloader>()
  /** State of each piece; null until there are several to share them. */
  #states: Uint8Array | null = null
  /** The next piece in sequence, and how many were not reached yet. */
  #next = 0
  #left = 0
  /** What was given to who has left; the last one comes first. */
  #returned: number[] = []

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
    if (downloader === undefined || this.#states === null) return
    if (downloader.open.delete(piece)) this.#propose(wire, downloader)
    else this.#give(piece, downloader)
  }

  #join(wire: Wire): void {
    if (this.#downloaders.has(wire) || !this.#torrent.done || !wire.hasFast || wire.destroyed) return
    const joined = { open: new Set<number>(), given: [] }
    this.#downloaders.set(wire, joined)
    if (this.#states !== null) this.#propose(wire, joined)
    else if (this.#downloaders.size >= MIN_PEERS) this.#begin()
  }

  #begin(): void {
    this.#left = this.#torrent.pieces.length
    this.#next = this.#isAlone() ? 0 : randomInt(this.#left)
    this.#states = new Uint8Array(this.#left)
    for (const [wire, downloader] of this.#downloaders) this.#propose(wire, downloader)
  }

  /** What it was given is for others. */
  #leave(wire: Wire): void {
    const left = this.#downloaders.get(wire)
    if (left === undefined) return
    this.#downloaders.delete(wire)
    if (this.#downloaders.size === 0) {
      this.#states = null
      this.#returned = []
    }
    if (this.#states === null) return
    for (const piece of left.given.reverse()) {
      this.#states[piece] = RETURNED
      this.#returned.push(piece)
    }
  }

  #propose(wire: Wire, downloader: Downloader): void {
    if (this.#downloaders.size < MIN_PEERS) return
    const bytes = Math.max(AHEAD_BYTES, wire.uploadSpeed() * AHEAD_SECONDS)
    const ahead = Math.max(1, Math.floor(bytes / this.#torrent.pieceLength))
    while (downloader.open.size < ahead && !wire.destroyed) {
      const piece = this.#free()
      if (piece === undefined) return
      this.#give(piece, downloader)
      downloader.open.add(piece)
      wire.suggest(piece)
    }
  }

  #give(piece: number, { given }: Downloader): void {
    if (this.#states?.[piece] !== FREE) return
    this.#states[piece] = GIVEN
    given.push(piece)
  }

  /** A piece that nobody has or was given. */
  #free(): number | undefined {
    for (let piece = this.#take(); piece !== undefined; piece = this.#take()) {
      if (this.#states?.[piece] === FREE && !this.#isHeld(piece)) return piece
    }
    return undefined
  }

  /** Each piece once, and once more each time that it is returned. */
  #take(): number | undefined {
    const returned = this.#returned.pop()
    if (returned !== undefined) this.#states![returned] = FREE
    if (returned !== undefined || this.#left === 0) return returned
    const piece = this.#next
    this.#next = (piece + 1) % this.#torrent.pieces.length
    this.#left--
    return piece
  }

  #isHeld(piece: number): boolean {
    for (const wire of this.#downloaders.keys()) if (wire.peerPieces.get(piece)) return true
    return false
  }
}
