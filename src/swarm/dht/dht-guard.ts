/** What this program relies on and changes in the DHT library (bittorrent-dht 11.0.12) from outside. */
import type DHT from 'bittorrent-dht'
import { FailedError } from '../../errors.ts'

/**
 * Nodes in one reply: 20 × 26 bytes stay far below libtorrent's 1,500-byte buffer. More than k, because in a
 * small network Transmission, which needs to know more than 8, would hear of the same 8 for ever.
 */
const MAX_NODES_PER_REPLY = 20

/**
 * Does the installed library still have what is relied on?
 * @throws {FailedError} `library-changed`
 */
export function assertLibrary(dht: DHT): void {
  const parts = [
    dht._rpc?.query,
    dht._rpc?.queryAll,
    dht._rpc?.closest,
    dht._tables?.get,
    dht._peers?.get,
    dht._addPeer,
  ]
  if (parts.every((part) => typeof part === 'function') && typeof dht.nodes?.closest === 'function') return
  throw new FailedError(
    'library-changed',
    'bittorrent-dht is not the version (11.0.12) this program was made for',
  )
}

/** Keeps replies small: the library would answer with its whole routing table. */
export function tame(dht: DHT): void {
  const closest = dht.nodes.closest.bind(dht.nodes)
  dht.nodes.closest = (id, n = MAX_NODES_PER_REPLY) => closest(id, n)
}
