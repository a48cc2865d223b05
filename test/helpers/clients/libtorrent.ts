/** libtorrent (Rasterbar), the engine of qBittorrent and Deluge, through its Python binding. */
import { fileURLToPath } from 'node:url'
import { startProcess } from '../process.ts'
import { PYTHON, pythonModule } from '../requirements.ts'
import { CLIENT_CHECK_TIMEOUT_MS, CLIENT_START_TIMEOUT_MS, type ClientKind } from './client.ts'
import { type OrderedEvent, ordersFor } from './ordered-peer.ts'

const PEER = fileURLToPath(new URL('libtorrent-peer.py', import.meta.url))

export const libtorrent: ClientKind = {
  name: 'libtorrent',
  recipe: 'libtorrent',
  requirements: [pythonModule('python3-libtorrent', 'libtorrent')],

  async start(t, host, { setUp, folder }) {
    const args = [PEER, host.address, JSON.stringify(setUp.settings)]
    const peer = startProcess<OrderedEvent>(t, PYTHON, args, { netns: host.netns, input: true })
    await peer.waitForEvent('listening', { timeoutMs: CLIENT_START_TIMEOUT_MS })
    const whole = ordersFor(libtorrent.name, peer)

    return {
      download: (source, { timeoutMs }) => whole({ save: folder, ...source }, timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole({ save: seedFolder, torrentFile }, CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}
