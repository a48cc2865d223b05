/** How each client is told of a private bootstrap node, filled in with its address. */
import type { PeerAddress } from '../metainfo/peer-address.ts'

/** One line a client, aligned. */
export function recipes({ host, port }: PeerAddress): readonly string[] {
  const address = `${host}:${port}`
  const lines: readonly (readonly [string, string])[] = [
    ['gguf-swarm', `gguf-swarm seed DIR --bootstrap ${address}    gguf-swarm get ID --bootstrap ${address}`],
    ['aria2', `aria2c --enable-dht --dht-entry-point=${address} MAGNET`],
    ['qBittorrent 5+', `Options > Advanced > libtorrent: "DHT bootstrap nodes" = ${address}`],
    ['qBittorrent 4', 'add the .torrent file: it names this node itself'],
    [
      'Transmission',
      `put the line "${host} ${port}" into the file dht.bootstrap in its config folder, then restart it`,
    ],
    ['libtorrent', `settings: dht_bootstrap_nodes = "${address}"`],
  ]
  const width = Math.max(...lines.map(([client]) => client.length))
  return lines.map(([client, how]) => `${client.padEnd(width)}  ${how}`)
}
