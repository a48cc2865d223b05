/** The figures of one torrent at one moment, taken from the engine's own. */
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'
import { webSeedStats } from './web-seed/web-seeds.ts'

/** One moment of a torrent. */
export interface TorrentStats {
  readonly verifiedBytes: number
  /** Verified bytes from the start of the file without a gap. */
  readonly prefixBytes: number
  readonly downloadBytesPerSecond: number
  readonly uploadBytesPerSecond: number
  readonly uploadedBytes: number
  readonly receivedBytes: number
  /** Addresses heard of and not given up, connected or not. */
  readonly knownPeers: number
  /** Connected peers; two connections to one count once. */
  readonly peers: number
  /** Web servers that are asked, too. */
  readonly webSeeds: number
  /** Connected peers that let us download. */
  readonly unchoked: number
  /** Connected peers that have at least one piece we lack. */
  readonly useful: number
  /** Connections left so far because the peer sent wrong data. */
  readonly banned: number
}

/** Takes the figures. */
export function statsOf(torrent: Torrent, banned: number): TorrentStats {
  const { wires, bitfield, pieces, length, pieceLength } = torrent
  let verifiedBytes = 0
  let prefixBytes = 0
  for (let index = 0; index < pieces.length; index++) {
    if (!bitfield?.get(index)) continue
    const start = index * pieceLength
    const bytes = Math.min(pieceLength, length - start)
    if (prefixBytes === start) prefixBytes += bytes
    verifiedBytes += bytes
  }
  const useful = torrent.done
    ? []
    : wires.filter((wire) => pieces.some((piece, index) => piece !== null && wire.peerPieces.get(index)))
  const fromWeb = webSeedStats(torrent)
  return {
    verifiedBytes,
    prefixBytes,
    downloadBytesPerSecond: torrent.downloadSpeed + fromWeb.bytesPerSecond,
    uploadBytesPerSecond: torrent.uploadSpeed,
    uploadedBytes: torrent.uploaded,
    receivedBytes: torrent.received,
    knownPeers: torrent._peers?.size ?? 0,
    peers: countPeers(wires),
    webSeeds: fromWeb.count,
    unchoked: countPeers(wires.filter((wire) => !wire.peerChoking)),
    useful: countPeers(useful),
    banned,
  }
}

const countPeers = (wires: readonly Wire[]): number => new Set(wires.map((wire) => wire.peerId)).size
