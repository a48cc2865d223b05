/**
 * Deluge's daemon, driven by its own RPC (deluge-peer.py). No setting names the bootstrap of its DHT; like
 * qBittorrent 4 it joins the nodes that a .torrent names.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProcess } from '../process.ts'
import { PYTHON, program, pythonModule } from '../requirements.ts'
import { CLIENT_CHECK_TIMEOUT_MS, CLIENT_START_TIMEOUT_MS, type ClientKind } from './client.ts'
import { type OrderedEvent, ordersFor } from './ordered-peer.ts'

const PEER = fileURLToPath(new URL('deluge-peer.py', import.meta.url))

export const deluge: ClientKind = {
  name: 'Deluge',
  recipe: 'deluge',
  requirements: [program('deluged'), pythonModule('deluge-common', 'deluge.ui.client')],

  async start(t, host, { setUp, fleetTorrent, folder }) {
    const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder, LC_ALL: 'C.UTF-8' }
    const config = join(folder, 'deluge')
    const at = { netns: host.netns, env }
    startProcess(t, 'deluged', ['--do-not-daemonize', '--config', config], at)
    const peer = startProcess<OrderedEvent>(t, PYTHON, [PEER, config], { ...at, input: true })
    await peer.waitForEvent('connected', { timeoutMs: CLIENT_START_TIMEOUT_MS })
    const whole = ordersFor(deluge.name, peer)

    // It is not waited for: its own search goes out before the DHT knows a node.
    if (setUp.opensTorrentFirst) {
      peer.send(JSON.stringify({ id: 0, save: folder, torrentFile: fleetTorrent }))
    }
    return {
      download: (source, { timeoutMs }) => whole({ save: folder, ...source }, timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole({ save: seedFolder, torrentFile }, CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}
