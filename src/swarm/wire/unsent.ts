/** How much of what a wire has to say is still in this process's memory, wherever it waits. */
import type Wire from 'bittorrent-protocol'

const counters = new WeakMap<Wire, () => number>()

/** Tells how many bytes of this wire are not with the kernel yet, for wires that the stream does not know of. */
export function keepUnsent(wire: Wire, bytes: () => number): void {
  counters.set(wire, bytes)
}

export function unsentBytes(wire: Wire): number {
  return counters.get(wire)?.() ?? wire._readableState.buffered
}

/** Does this wire send from the memory it is given, and not from a copy of the stream's? */
export function sendsInPlace(wire: Wire): boolean {
  return counters.has(wire)
}
