/**
 * How many peers one torrent dials. The engine has one limit for every torrent, and counts those that dialled us
 * against it: a rendezvous of 200 members would stop half way, and its last members would hardly be met.
 */
import type WebTorrent from 'webtorrent'
import type { Torrent } from 'webtorrent'

/** Gives `torrent` a limit of its own; `_drain` of webtorrent 3.0.21 is the only place that looks at it. */
export function dialUpTo(torrent: Torrent, client: WebTorrent, maxConns: number): void {
  const drain = torrent._drain.bind(torrent)
  torrent._drain = () => {
    const usual = client.maxConns
    client.maxConns = maxConns
    try {
      drain()
    } finally {
      client.maxConns = usual
    }
  }
}
