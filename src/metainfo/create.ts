/**
 * Makes our torrents: v1, one file, reproducible. The only file that meets create-torrent, and it is given
 * all that it would otherwise make up: the name, the piece length, and an empty tracker list (its own default
 * is to write eight public trackers into every torrent). `private` is never passed: even `false` changes the
 * infohash.
 */
import { Readable } from 'node:stream'
import bencode from 'bencode'
import createTorrent from 'create-torrent'
import { UsageError } from '../errors.ts'
import { nameProblem } from './file-name.ts'
import { HASH_LENGTH, type InfoHash, infoHashOfInfo } from './info-hash.ts'
import type { PeerAddress } from './peer-address.ts'
import { pieceCountOf } from './piece-length.ts'

/** An info dictionary and what it says; `pieces` are the SHA-1 hashes, 20 bytes a piece. */
export interface TorrentInfo {
  readonly infoHash: InfoHash
  /** The bencoded info dictionary, whose SHA-1 is the infohash. */
  readonly info: Uint8Array
  readonly name: string
  readonly length: number
  readonly pieceLength: number
  readonly pieces: Uint8Array
}

/** What an info dictionary is a function of: nothing else goes into it. */
export interface InfoSource {
  readonly name: string
  readonly length: number
  readonly pieceLength: number
  readonly pieces: Uint8Array
}

/** Who wrote the file; outside `info`, with no version in it, so that the same shard gives the same bytes. */
const CREATED_BY = 'gguf-swarm'

/**
 * Hashes bytes that come one after the other, from a file or anywhere, into an info dictionary, by
 * create-torrent. A library's files are hashed by several threads (library/hash-share), which takes a fifth of
 * the time; tests hold that both make the same torrent.
 * @param chunks the file in order, best in chunks of exactly one piece; a chunk must not be changed
 *   afterwards.
 * @throws whatever `chunks` throws; UsageError `bad-name`; UsageError `empty`
 */
export async function createInfo(
  chunks: AsyncIterable<Uint8Array>,
  { name, pieceLength }: { readonly name: string; readonly pieceLength: number },
): Promise<TorrentInfo> {
  refuseBadName(name)
  // One chunk waits while one is hashed: reading and hashing overlap, and two pieces are all that is held.
  const stream = Readable.from(chunks, { objectMode: true, highWaterMark: 1 })
  const torrentFile = await new Promise<Uint8Array>((resolve, reject) => {
    createTorrent(stream, { name, pieceLength, announceList: [], filterJunkFiles: false }, (error, bytes) => {
      if (bytes === undefined) reject(error)
      else resolve(bytes)
    })
  })
  const { info } = bencode.decode(torrentFile) as { info: { length: number; pieces: Uint8Array } }
  return buildInfo({ name, pieceLength, length: info.length, pieces: info.pieces })
}

/**
 * The info dictionary of known hashes: the way back from a stored record, and the proof that it still fits
 * its infohash.
 * @throws UsageError `bad-name`, `empty` or `bad-pieces`
 */
export function buildInfo({ name, length, pieceLength, pieces }: InfoSource): TorrentInfo {
  refuseBadName(name)
  if (!(length > 0)) throw new UsageError('empty', `${name} is empty; there is nothing to share`)
  if (pieces.byteLength !== pieceCountOf(length, pieceLength) * HASH_LENGTH) {
    throw new UsageError(
      'bad-pieces',
      `${name}: ${pieces.byteLength} bytes of piece hashes do not fit its length`,
    )
  }
  const info = bencode.encode({ length, name, 'piece length': pieceLength, pieces })
  // `pieces` is the last of its keys, before the final `e`: a thousand shards need not keep it twice.
  const end = info.byteLength - 1
  const kept = info.subarray(end - pieces.byteLength, end)
  return { infoHash: infoHashOfInfo(info), info, name, length, pieceLength, pieces: kept }
}

/**
 * The .torrent file around an info dictionary, byte for byte the same each time: no date, no tracker. `nodes`
 * (BEP 5) tells any client which DHT nodes to ask first, so that a private fleet's torrent works by itself;
 * `webSeeds` (BEP 19), which web servers have the file.
 */
export function composeTorrentFile({
  info,
  nodes = [],
  webSeeds = [],
}: {
  readonly info: Uint8Array
  readonly nodes?: readonly PeerAddress[]
  readonly webSeeds?: readonly string[]
}): Uint8Array {
  // Composed by hand in the order of the keys, so that the bytes of `info` go in untouched.
  const parts = [text(`d10:created by${CREATED_BY.length}:${CREATED_BY}8:encoding5:UTF-84:info`), info]
  if (nodes.length > 0)
    parts.push(text('5:nodes'), bencode.encode(nodes.map(({ host, port }) => [host, port])))
  if (webSeeds.length > 0) parts.push(text('8:url-list'), bencode.encode(webSeeds))
  parts.push(text('e'))
  return new Uint8Array(Buffer.concat(parts))
}

function text(ascii: string): Uint8Array {
  return Buffer.from(ascii, 'ascii')
}

function refuseBadName(name: string): void {
  const problem = nameProblem(name)
  if (problem === undefined) return
  throw new UsageError(
    'bad-name',
    `a torrent cannot carry the file name ${JSON.stringify(name)}: ${problem}; rename the file`,
  )
}
