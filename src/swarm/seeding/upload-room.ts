/** How much may wait in memory for the sockets of peers, and each one's share of it. */
import type Wire from 'bittorrent-protocol'
import { unsentBytes } from '../wire/unsent.ts'

/**
 * Answered and being answered, but not yet sent, of one peer: 2 MiB are several reads from disk under way at
 * once, without which each waits for the one before it (45 instead of 100 MB/s to libtorrent).
 */
const MAX_UNSENT_BYTES: number = 2 * 1024 * 1024
/** The same of all peers together, shared out evenly: a peer of 16 has half a window under way; … */
const MAX_TOTAL_UNSENT_BYTES: number = 8 * 1024 * 1024
/** … but each has room for 16 blocks, however many they are. */
export const MIN_UNSENT_BYTES: number = 16 * 16 * 1024

/** Bytes that wait in memory for the sockets of peers. */
export class UploadRoom {
  /** Peers for which something waits. */
  readonly #waiting = new Set<Wire>()

  /** How many bytes more may be on their way to this peer. */
  room(wire: Wire): number {
    let bytes = unsentBytes(wire)
    for (const { length } of wire.peerRequests) bytes += length
    if (bytes > 0) this.#waiting.add(wire)
    else this.#waiting.delete(wire)
    const share = MAX_TOTAL_UNSENT_BYTES / (this.#waiting.size + 1)
    return Math.max(MIN_UNSENT_BYTES, Math.min(MAX_UNSENT_BYTES, share)) - bytes
  }

  forget(wire: Wire): void {
    this.#waiting.delete(wire)
  }
}
