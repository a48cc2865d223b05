/** Types of the three untyped packages met in this folder: exactly the surface used, nothing more. */

declare module 'create-torrent' {
  import type { Readable } from 'node:stream'

  interface CreateTorrentOptions {
    readonly name: string
    readonly pieceLength: number
    readonly announceList: readonly (readonly string[])[]
    readonly filterJunkFiles: boolean
  }
  /** `torrentFile` is the bencoded metainfo; it is missing when `error` is set. */
  export default function createTorrent(
    input: Readable,
    options: CreateTorrentOptions,
    done: (error: unknown, torrentFile?: Uint8Array) => void,
  ): void
}

declare module 'parse-torrent' {
  interface ParsedTorrent {
    readonly infoHash?: string
    readonly xt?: string | readonly string[]
    readonly peerAddresses?: readonly string[]
  }
  /** Reads a magnet link, an infohash or the bytes of a .torrent; throws on anything else. */
  export default function parseTorrent(torrentId: string | Uint8Array): Promise<ParsedTorrent>
}

declare module 'bencode' {
  /** What `decode` gives: byte strings stay bytes, numbers are not checked. */
  export type Bencoded = Uint8Array | number | readonly Bencoded[] | { readonly [key: string]: Bencoded }

  const bencode: {
    decode(data: Uint8Array): Bencoded | null
    encode(data: object | string | number): Uint8Array
  }
  export default bencode
}
