/**
 * Reads a .torrent, or the info dictionary got from a peer, and accepts only what this program can fetch
 * safely: v1, one file, a name that cannot leave the folder, hashes that fit the length. The bytes come from
 * strangers.
 */
import bencode, { type Bencoded } from 'bencode'
import { messageOf, UsageError } from '../errors.ts'
import { scanDictionary } from './bencode-scan.ts'
import { composeTorrentFile, type TorrentInfo } from './create.ts'
import { nameProblem } from './file-name.ts'
import { HASH_LENGTH, infoHashOfInfo } from './info-hash.ts'
import { type PeerAddress, peerAddress } from './peer-address.ts'
import { pieceCountOf } from './piece-length.ts'
import { readWebSeeds } from './web-seed.ts'

/** A checked torrent of one file. */
export interface Metainfo extends TorrentInfo {
  /** The whole .torrent file: the exact bytes that were read, or composed when only `info` was known. */
  readonly torrentFile: Uint8Array
  /** DHT nodes to ask first (BEP 5). */
  readonly nodes: readonly PeerAddress[]
  /** HTTP servers that have the file (BEP 19). */
  readonly webSeeds: readonly string[]
}

/** 10 MB holds 500,000 hashes: 8 TB at 16 MiB a piece. Our own are under 200 KB. */
export const MAX_TORRENT_BYTES = 10_000_000

/** The block of the wire protocol; a smaller piece cannot be asked for in whole blocks. */
const MIN_FOREIGN_PIECE_LENGTH: number = 16 * 1024

/** A piece is held in memory while it is checked, so a stranger must not choose how much that is. */
const MAX_FOREIGN_PIECE_LENGTH: number = 64 * 1024 * 1024

/** More would only be a way to make this machine send packets to strangers. */
const MAX_NODES = 64

/** The keys of an info dictionary that are looked at; none of them has been checked yet. */
interface InfoDictionary {
  readonly name?: Bencoded
  readonly 'name.utf-8'?: Bencoded
  readonly length?: Bencoded
  readonly files?: Bencoded
  readonly 'file tree'?: Bencoded
  readonly 'piece length'?: Bencoded
  readonly pieces?: Bencoded
}

/**
 * Reads the bytes of a .torrent file.
 * @throws UsageError `bad-torrent`, `v2-only` or `many-files`, naming the value
 */
export function parseMetainfo(bytes: Uint8Array): Metainfo {
  if (bytes.byteLength > MAX_TORRENT_BYTES) {
    refuse(`it has ${bytes.byteLength} bytes, more than the ${MAX_TORRENT_BYTES} of any real one`)
  }
  // A copy that is surely no Buffer, whose slices would share the caller's memory.
  const torrentFile = new Uint8Array(bytes)
  const spans = scan(torrentFile)
  const span = spans.get('info')
  if (span === undefined) refuse('it has no info dictionary')
  const read = (key: string): Bencoded | null => {
    const at = spans.get(key)
    return at === undefined ? null : bencode.decode(torrentFile.slice(at.start, at.end))
  }
  return {
    ...readInfo(torrentFile.slice(span.start, span.end)),
    torrentFile,
    nodes: readNodes(read('nodes')),
    webSeeds: readUrlList(read('url-list')),
  }
}

/**
 * Reads a bencoded info dictionary, as peers send it for a magnet link; the caller has checked its SHA-1.
 * @throws UsageError as {@link parseMetainfo}
 */
export function metainfoFromInfo(info: Uint8Array): Metainfo {
  if (info.byteLength > MAX_TORRENT_BYTES) {
    refuse(`its info dictionary has ${info.byteLength} bytes, more than ${MAX_TORRENT_BYTES}`)
  }
  const read = readInfo(new Uint8Array(info))
  return { ...read, torrentFile: composeTorrentFile({ info: read.info }), nodes: [], webSeeds: [] }
}

interface CheckedInfo extends InfoDictionary {
  readonly pieces: Uint8Array
}

/** The info dictionary of a torrent that was checked, or made, before; `name` is its file's. */
export function infoDictionaryOf(torrentFile: Uint8Array): {
  readonly info: CheckedInfo
  readonly name: string
} {
  const { info } = bencode.decode(torrentFile) as unknown as { info: CheckedInfo }
  return { info, name: readName(info) }
}

function readInfo(info: Uint8Array): TorrentInfo {
  scan(info)
  const dictionary = bencode.decode(info) as InfoDictionary
  const pieces = dictionary.pieces
  if (pieces === undefined && dictionary['file tree'] !== undefined) {
    throw new UsageError(
      'v2-only',
      'this torrent is BitTorrent v2 only (BEP 52), which gguf-swarm does not speak; ask for a v1 or hybrid torrent of it',
    )
  }
  if (dictionary.files !== undefined) {
    throw new UsageError(
      'many-files',
      'this torrent holds a folder, and gguf-swarm fetches torrents of one file; fetch it with another client',
    )
  }
  const name = readName(dictionary)
  const length = readLength(dictionary.length, name)
  const pieceLength = readPieceLength(dictionary['piece length'], name)
  const count = pieceCountOf(length, pieceLength)
  if (!(pieces instanceof Uint8Array) || pieces.byteLength !== count * HASH_LENGTH) {
    refuse(
      `${name}: its piece hashes do not fit ${length} bytes in pieces of ${pieceLength} (${count} are needed)`,
    )
  }
  // WebTorrent decodes the dictionary and hashes what it encodes again; where that differs, it would look for
  // another torrent than the one asked for, so such bytes (unsorted keys and the like) are refused here.
  if (Buffer.compare(bencode.encode(dictionary), info) !== 0) {
    refuse(`${name}: its info dictionary is not in canonical bencoding, so clients disagree on its infohash`)
  }
  return { infoHash: infoHashOfInfo(info), info, name, length, pieceLength, pieces }
}

function readName(dictionary: InfoDictionary): string {
  const bytes = dictionary['name.utf-8'] ?? dictionary.name
  if (!(bytes instanceof Uint8Array)) refuse('it names no file')
  let name: string
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    refuse(`its file name (hex ${Buffer.from(bytes).toString('hex').slice(0, 80)}) is not UTF-8`)
  }
  const problem = nameProblem(name)
  if (problem !== undefined)
    refuse(`its file name ${JSON.stringify(name.slice(0, 120))} is not safe: ${problem}`)
  return name
}

function readLength(value: Bencoded | undefined, name: string): number {
  if (typeof value !== 'number') refuse(`${name}: it says no length`)
  if (value <= 0) refuse(`${name}: its length is ${value}; there is nothing to fetch`)
  return value
}

function readPieceLength(value: Bencoded | undefined, name: string): number {
  const sane =
    typeof value === 'number' &&
    value >= MIN_FOREIGN_PIECE_LENGTH &&
    value <= MAX_FOREIGN_PIECE_LENGTH &&
    Number.isInteger(Math.log2(value))
  if (sane) return value
  const shown = typeof value === 'number' ? value : 'missing'
  return refuse(`${name}: its piece length (${shown}) is not a power of two from 16 KiB to 64 MiB`)
}

/** Nodes are hints: what is malformed among them is left out. */
function readNodes(value: Bencoded | null): readonly PeerAddress[] {
  if (!Array.isArray(value)) return []
  return (value as readonly Bencoded[]).slice(0, MAX_NODES).flatMap((entry) => {
    if (!Array.isArray(entry)) return []
    const [host, port] = entry as readonly Bencoded[]
    const address =
      host instanceof Uint8Array ? peerAddress(Buffer.from(host).toString('latin1'), port) : undefined
    return address === undefined ? [] : [address]
  })
}

/** One address or a list of them. */
function readUrlList(value: Bencoded | null): readonly string[] {
  const entries = Array.isArray(value) ? (value as readonly Bencoded[]) : [value]
  return readWebSeeds(
    entries.flatMap((entry) => (entry instanceof Uint8Array ? Buffer.from(entry).toString('utf8') : [])),
  )
}

function scan(bytes: Uint8Array): ReturnType<typeof scanDictionary> {
  try {
    return scanDictionary(bytes)
  } catch (cause) {
    return refuse(messageOf(cause), cause)
  }
}

function refuse(what: string, cause?: unknown): never {
  throw new UsageError(
    'bad-torrent',
    `this is not a torrent that can be fetched: ${what}; get the .torrent file or the magnet link again from whoever offers it`,
    { cause },
  )
}
