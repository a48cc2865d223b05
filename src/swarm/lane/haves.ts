/**
 * Who is told of a piece (`have`, BEP 3), and when. Those that lack it hear of it soon. Those that have it, as every seed
 * does, only see from it how far we are: they hear of many pieces together. A message for each piece and peer wakes the
 * peer each time: that cost a seeder a twentieth of all CPU time, and a swarm of nine another one.
 */
import type Wire from 'bittorrent-protocol'

/** Those that lack a piece hear of it so much later at most, with what came meanwhile: it takes longer to send one. */
const SOON_MS = 20

export class Haves {
  readonly #soon = new Map<Wire, number[]>()
  readonly #later = new Map<Wire, number[]>()
  #timer: NodeJS.Timeout | undefined

  tell(wires: readonly Wire[], index: number): void {
    for (const wire of wires) keep(wire.peerPieces.get(index) ? this.#later : this.#soon, wire, index)
    if (this.#soon.size > 0) this.#timer ??= setTimeout(() => this.#tellThoseThatLack(), SOON_MS)
  }

  /** Now all of them; called a few times a second, and at the end. */
  tellAll(): void {
    this.#tellThoseThatLack()
    send(this.#later)
  }

  #tellThoseThatLack(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    send(this.#soon)
  }
}

function keep(told: Map<Wire, number[]>, wire: Wire, index: number): void {
  const known = told.get(wire)
  if (known === undefined) told.set(wire, [index])
  else known.push(index)
}

function send(told: Map<Wire, number[]>): void {
  for (const [wire, indexes] of told) {
    if (!wire.destroyed) for (const index of indexes) wire.have(index)
  }
  told.clear()
}
