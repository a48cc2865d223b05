/** A script that drives a client: it takes one JSON order a line (libtorrent-peer.py, deluge-peer.py). */
import type { RunningProcess } from '../process.ts'

export type OrderedEvent =
  | { readonly event: 'listening' | 'connected' }
  | { readonly event: 'whole'; readonly id: number; readonly path: string }
  | { readonly event: 'failed'; readonly id: number; readonly message: string }

/** Gives what orders a torrent, and resolves with the path of the file when the client has the whole of it. */
export function ordersFor(
  name: string,
  peer: RunningProcess<OrderedEvent>,
): (order: Readonly<Record<string, string>>, timeoutMs: number) => Promise<string> {
  let lastId = 0
  return async (order, timeoutMs) => {
    const id = ++lastId
    peer.send(JSON.stringify({ id, ...order }))
    const event = await peer.waitForEvent((event) => 'id' in event && event.id === id, { timeoutMs })
    if (event.event === 'whole') return event.path
    throw new Error(`${name}: ${event.event === 'failed' ? event.message : 'said nothing useful'}`)
  }
}
