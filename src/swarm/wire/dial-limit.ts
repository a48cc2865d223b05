/**
 * How many peers one torrent dials. The engine has one limit for every torrent, and counts those that dialled us
 * against it: a hundred strangers that connect and do nothing would keep a download from dialling anybody, and a
 * rendezvous of 200 members would stop half way.
 */
import type WebTorrent from 'webtorrent'
import type { Torrent } from 'webtorrent'

/**
 * Gives `torrent` a limit of its own, on those it dials alone. `_drain` of webtorrent 3.0.21 is the only place that
 * looks at the limit, and compares it with all connections of the torrent.
 */
export function dialUpTo(torrent: Torrent, client: WebTorrent, maxDialled: number): void {
  const drain = torrent._drain.bind(torrent)
  torrent._drain = () => {
    const usual = client.maxConns
    client.maxConns = maxDialled + incomingOf(torrent)
    try {
      drain()
    } finally {
      client.maxConns = usual
    }
  }
}

function incomingOf({ _peers: peers }: Torrent): number {
  let count = 0
  for (const { type, connected } of peers?.values() ?? []) if (connected && type === 'tcpIncoming') count++
  return count
}
