/**
 * What the engine is told of a torrent of which we have every piece. Given the bytes of a `.torrent`, it writes
 * each of its hashes out as a string and makes three objects a piece, only to drop them all: a second and half a
 * gigabyte for a thousand shards of 2,048 pieces. A parsed torrent, which it takes too, spares the strings; the
 * list of pieces below spares the objects.
 */
import type { ParsedTorrent } from 'webtorrent'
import { infoDictionaryOf } from '../../metainfo/metainfo.ts'
import type { ServedFile } from './in-place-store.ts'

/**
 * The pieces of a torrent that has them all: so many, and nothing to fetch at any. The engine maps it twice, to
 * pieces under way and to who is asked for them (lib/torrent.js, `_onMetadata`), and finds neither here. It
 * would compare hashes with what is here if it were to check a file by itself, and find it wrong.
 */
class WholePieces extends Uint8Array {
  override map(): this {
    return this
  }
}

/** @param torrentFile our own bytes, or checked ones, of a torrent of one file */
export function seededTorrent(
  torrentFile: Uint8Array,
  { infoHash, length, pieceLength, pieces }: ServedFile,
): ParsedTorrent {
  const { info, name } = infoDictionaryOf(torrentFile)
  return {
    infoHash,
    name,
    // The same bytes are kept once.
    info: Buffer.compare(info.pieces, pieces) === 0 ? { ...info, pieces } : info,
    announce: [],
    urlList: [],
    files: [{ path: name, name, length, offset: 0 }],
    length,
    pieceLength,
    lastPieceLength: length % pieceLength || pieceLength,
    pieces: new WholePieces(Math.ceil(length / pieceLength)),
  }
}
