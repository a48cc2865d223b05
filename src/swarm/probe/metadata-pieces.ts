/**
 * The asking half of the metadata extension (BEP 9), for a wire that is no torrent's: collects what a peer
 * sends of its metadata, piece by piece. Nothing of it is trusted before its hash is checked.
 */
import type Wire from 'bittorrent-protocol'
import { dictionaryEnd, scanDictionary } from '../../metainfo/bencode-scan.ts'
import { MAX_TORRENT_BYTES } from '../../metainfo/metainfo.ts'

const EXTENSION = 'ut_metadata'
/** BEP 9: metadata comes in pieces of 16 KiB, the last one shorter. */
const PIECE_BYTES = 16 * 1024
const MAX_PIECES: number = Math.ceil(MAX_TORRENT_BYTES / PIECE_BYTES)
/** `msg_type` of a question and of an answer with data. */
const REQUEST = 0
const DATA = 1

/** Makes `wire` collect metadata; call it before the handshake. */
export function collectMetadata(wire: Wire): MetadataPieces {
  const metadata = new MetadataPieces(wire)
  wire.use(
    class {
      /** The library asks the prototype for it. */
      get name(): string {
        return EXTENSION
      }
      onMessage(payload: Uint8Array): void {
        metadata.take(payload)
      }
    },
  )
  return metadata
}

/** What was received so far. */
export class MetadataPieces {
  readonly #wire: Wire
  readonly #pieces = new Map<number, Uint8Array>()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  ask(piece: number): void {
    this.#wire.extended(EXTENSION, { msg_type: REQUEST, piece })
  }

  has(piece: number): boolean {
    return this.#pieces.has(piece)
  }

  /** Are all pieces of metadata of `size` bytes here? */
  holds(size: number): boolean {
    return this.#pieces.size >= Math.ceil(size / PIECE_BYTES)
  }

  joined(size: number): Uint8Array {
    const pieces = [...this.#pieces].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)
    return new Uint8Array(Buffer.concat(pieces).subarray(0, size))
  }

  /** Takes one message: a dictionary, which the guard of the wire has checked, and the data after it. */
  take(payload: Uint8Array): void {
    const end = dictionaryEnd(payload)
    const [header, data] = [payload.subarray(0, end), payload.subarray(end)]
    const piece = integerIn(header, 'piece')
    const isData = integerIn(header, 'msg_type') === DATA && data.length <= PIECE_BYTES
    if (isData && piece >= 0 && piece < MAX_PIECES && !this.has(piece))
      this.#pieces.set(piece, new Uint8Array(data))
  }
}

/** A small whole number in a bencoded dictionary; NaN when it is missing or something else. */
function integerIn(dictionary: Uint8Array, key: string): number {
  const { start, end } = scanDictionary(dictionary).get(key) ?? { start: 0, end: 0 }
  return Number(/^i(\d{1,9})e$/.exec(Buffer.from(dictionary.subarray(start, end)).toString('latin1'))?.[1])
}
