/**
 * Reads what a person gives to say which torrent: infohash, magnet link or the bytes of a .torrent. The only
 * file that meets parse-torrent, and only its default export, which touches neither network nor disk (its
 * `remote` does).
 */
import parseTorrent from 'parse-torrent'
import { messageOf, UsageError } from '../errors.ts'
import { type InfoHash, parseInfoHash } from './info-hash.ts'
import { type Metainfo, parseMetainfo } from './metainfo.ts'
import { type PeerAddress, parsePeerAddress } from './peer-address.ts'
import { readWebSeeds } from './web-seed.ts'

/**
 * A torrent as somebody named it; `peers` are addresses to try at once, `name` and `length` are hints until
 * checked.
 */
export type TorrentId =
  | { readonly kind: 'infoHash'; readonly infoHash: InfoHash; readonly peers: readonly PeerAddress[] }
  | {
      readonly kind: 'magnet'
      readonly infoHash: InfoHash
      readonly name?: string
      readonly length?: number
      readonly peers: readonly PeerAddress[]
      /** HTTP servers that have the file (BEP 19). */
      readonly webSeeds?: readonly string[]
    }
  | {
      readonly kind: 'metainfo'
      readonly infoHash: InfoHash
      readonly name: string
      readonly length: number
      readonly peers: readonly PeerAddress[]
      readonly metainfo: Metainfo
    }

/** Longer than any magnet link with trackers that a person ever pasted. */
const MAX_TEXT_LENGTH = 64 * 1024

/** More would only be a way to make this machine connect to strangers. */
const MAX_PEERS = 64

const MAGNET = /^(stream-)?magnet:\?/i
const INFO_HASH = /^([0-9a-f]{40}|[a-z2-7]{32})$/i

/**
 * Reads an infohash (40 hex or 32 base32), a magnet link, or the bytes of a .torrent file.
 * @throws UsageError `bad-id`, `v2-only`, or what {@link parseMetainfo} throws
 */
export async function parseTorrentId(torrentId: string | Uint8Array): Promise<TorrentId> {
  if (typeof torrentId !== 'string') return parseBytes(torrentId)
  const text = torrentId.trim()
  if (text.length > MAX_TEXT_LENGTH) refuse(text, `it has ${text.length} characters`)
  if (MAGNET.test(text)) return await parseMagnet(text)
  if (!INFO_HASH.test(text)) refuse(text, 'it is neither an infohash nor a magnet link')
  const { infoHash } = await parseTorrent(text)
  return { kind: 'infoHash', infoHash: parseInfoHash(infoHash ?? text), peers: [] }
}

async function parseBytes(bytes: Uint8Array): Promise<TorrentId> {
  // The strict reading comes first: parse-torrent must never see bytes that were not scanned.
  const metainfo = parseMetainfo(bytes)
  const { name, length } = metainfo
  const { infoHash } = await parseTorrent(bytes).catch((cause: unknown) => {
    // It trusts the types outside of `info`: trackers, comment, web seeds.
    throw new UsageError(
      'bad-torrent',
      `${name}: this .torrent is damaged outside of its info dictionary (${messageOf(cause)}); get it again, or use its ` +
        `infohash ${metainfo.infoHash}`,
      { cause },
    )
  })
  if (infoHash !== metainfo.infoHash) {
    throw new UsageError(
      'bad-torrent',
      `${name}: clients disagree on the infohash of this .torrent; get it again`,
    )
  }
  return { kind: 'metainfo', infoHash: metainfo.infoHash, name, length, peers: [], metainfo }
}

async function parseMagnet(text: string): Promise<TorrentId> {
  // Scheme and urn are case-insensitive, and some sites escape the colons; parse-torrent knows neither.
  const plain = text
    .replace(MAGNET, 'magnet:?')
    .replace(/urn(?::|%3A)bt([im])h(?::|%3A)/gi, (_, version: string) => {
      return `urn:bt${version.toLowerCase()}h:`
    })
  let parsed: Awaited<ReturnType<typeof parseTorrent>> | undefined
  try {
    parsed = await parseTorrent(plain)
  } catch {
    // It throws on a link without a v1 hash as on one that is malformed; what is missing is told apart below.
  }
  const infoHash = parsed === undefined ? undefined : readInfoHash(parsed.xt)
  if (infoHash === undefined) return refuseMagnet(text)
  const query = new URLSearchParams(plain.slice('magnet:?'.length))
  const name = query.get('dn')
  const length = query.get('xl')
  return {
    kind: 'magnet',
    infoHash,
    ...(name ? { name } : {}),
    ...(length !== null && /^\d{1,15}$/.test(length) ? { length: Number(length) } : {}),
    peers: readPeers(parsed?.peerAddresses ?? []),
    webSeeds: readWebSeeds(query.getAll('ws')),
  }
}

/**
 * parse-torrent takes any 40 characters for a hash and ignores what follows them; here the topic must be
 * exact.
 */
function readInfoHash(topics: string | readonly string[] | undefined): InfoHash | undefined {
  for (const topic of typeof topics === 'string' ? [topics] : (topics ?? [])) {
    const hash = topic.startsWith('urn:btih:') ? topic.slice('urn:btih:'.length) : ''
    if (INFO_HASH.test(hash)) return parseInfoHash(hash)
  }
  return undefined
}

/** Peers are hints: what is malformed among them is left out. */
function readPeers(texts: readonly string[]): readonly PeerAddress[] {
  return texts.slice(0, MAX_PEERS).flatMap((text) => {
    const address = parsePeerAddress(text.replace(/%3A/gi, ':').replace(/%5B/gi, '[').replace(/%5D/gi, ']'))
    return address === undefined ? [] : [address]
  })
}

function refuseMagnet(text: string): never {
  if (/urn:btih:/i.test(text) || !/urn(:|%3A)btmh/i.test(text)) {
    return refuse(text, 'it holds no whole infohash (xt=urn:btih: and 40 hex digits or 32 base32 characters)')
  }
  throw new UsageError(
    'v2-only',
    `${shown(text)} has only a v2 hash (btmh), and gguf-swarm speaks BitTorrent v1; ` +
      'ask for a magnet link with a v1 hash (btih) too',
  )
}

function refuse(text: string, why: string): never {
  throw new UsageError(
    'bad-id',
    `${shown(text)} does not name a torrent: ${why}; give 40 hex digits, a magnet link or a .torrent file`,
  )
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text)
}
