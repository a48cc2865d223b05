/**
 * Magnet links (BEP 9) as we hand them out: infohash, name, length and, where given, addresses to try first.
 */
import type { InfoHash } from './info-hash.ts'
import { formatPeerAddress, type PeerAddress } from './peer-address.ts'

/**
 * What a magnet link says; `peers` are written as `x.pe`, which any client may connect to before it asks the
 * DHT.
 */
export interface MagnetSource {
  readonly infoHash: InfoHash
  readonly name: string
  readonly length: number
  readonly peers?: readonly PeerAddress[]
  /** Written as `ws` (BEP 19). */
  readonly webSeeds?: readonly string[]
}

/**
 * One line to paste into any client. `x.pe` stays unescaped: libtorrent and magnet-uri do not unescape it.
 */
export function magnetFor({ infoHash, name, length, peers = [], webSeeds = [] }: MagnetSource): string {
  const links = peers.map((peer) => `&x.pe=${formatPeerAddress(peer)}`).join('')
  const seeds = webSeeds.map((url) => `&ws=${escapeName(url)}`).join('')
  return `magnet:?xt=urn:btih:${infoHash}&dn=${escapeName(name)}&xl=${length}${links}${seeds}`
}

/** Also escapes what encodeURIComponent leaves but a shell or a chat would take for its own. */
function escapeName(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
