/** The web seeds of a download: joined to its lane when it starts, left with it, counted while it runs. */
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'
import { webSeedUrl } from '../../metainfo/web-seed.ts'
import type { Lane } from '../lane/lane.ts'
import { WebSeed } from './web-seed.ts'

/** A mirror that may be asked. */
export interface WebSeedSource {
  readonly url: string
  /** A person named it, so it may be on this machine; otherwise a link did. */
  readonly isTrusted: boolean
}

/** What is told of a mirror: it is asked, or it is left and why. */
export type WebSeedNews =
  | { readonly kind: 'joined'; readonly url: string }
  | { readonly kind: 'left'; readonly url: string; readonly reason: string }

/** The web seeds that a download is given. */
export interface WebSeedRequest {
  readonly sources: readonly WebSeedSource[]
  readonly onNews: (news: WebSeedNews) => void
}

const seeds = new WeakMap<Torrent, Set<WebSeed>>()

/** Lets the lane fetch from the mirrors, too; `onBytes` counts. */
export function joinWebSeeds(
  lane: Lane,
  torrent: Torrent,
  { sources, onNews }: WebSeedRequest,
  onBytes: (bytes: number) => void,
): void {
  const mine = new Set<WebSeed>()
  seeds.set(torrent, mine)
  for (const { url: given, isTrusted } of sources) {
    const url = webSeedUrl(given, torrent.name)
    const seed = new WebSeed({
      url,
      length: torrent.length,
      pieceLength: torrent.pieceLength,
      reach: isTrusted ? 'any' : 'not-here',
      onLeft: (reason) => {
        if (mine.delete(seed)) onNews({ kind: 'left', url, reason })
      },
    })
    mine.add(seed)
    seed.on('download', onBytes)
    onNews({ kind: 'joined', url })
    lane.join(seed.wire)
  }
  const end = (): void => {
    const open = [...mine]
    mine.clear() // so that nothing is told of an end that was to come
    for (const seed of open) seed.leave('the download is over')
  }
  torrent.once('done', end)
  torrent.once('close', end)
}

/** Leaves a web seed that sent wrong data; false for a wire that is none. */
export function leaveWebSeed(wire: Wire): boolean {
  if (!(wire instanceof WebSeed)) return false
  wire.leave('it sent wrong data')
  return true
}

/** Of one torrent at one moment. */
export function webSeedStats(torrent: Torrent): { readonly count: number; readonly bytesPerSecond: number } {
  const mine = [...(seeds.get(torrent) ?? [])]
  return {
    count: mine.length,
    bytesPerSecond: mine.reduce((sum, seed) => sum + seed.downloadSpeed(), 0),
  }
}
