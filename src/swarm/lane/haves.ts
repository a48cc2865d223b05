/**
 * Who is told of a piece (`have`, BEP 3), and when. Those that lack it hear of it at once. Those that have it, as every
 * seed does, only see from it how far we are: they hear of many pieces together. One message a piece woke a seeder for
 * each, which cost a twentieth of all CPU time.
 */
import type Wire from 'bittorrent-protocol'

export class Haves {
  readonly #later = new Map<Wire, number[]>()

  tell(wires: readonly Wire[], index: number): void {
    for (const wire of wires) {
      if (wire.peerPieces.get(index)) this.#keep(wire, index)
      else wire.have(index)
    }
  }

  /** Now those that have them, too; called a few times a second, and at the end. */
  tellAll(): void {
    for (const [wire, indexes] of this.#later) {
      if (!wire.destroyed) for (const index of indexes) wire.have(index)
    }
    this.#later.clear()
  }

  #keep(wire: Wire, index: number): void {
    const known = this.#later.get(wire)
    if (known === undefined) this.#later.set(wire, [index])
    else known.push(index)
  }
}
