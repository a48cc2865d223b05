/** libtorrent (Rasterbar), the engine of qBittorrent and Deluge, through its Python binding. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startProcess } from '../process.ts'
import { CLIENT_CHECK_TIMEOUT_MS, CLIENT_START_TIMEOUT_MS, type ClientKind } from './client.ts'

/** Debian's python3-libtorrent belongs to the system's Python, which need not be the first in PATH. */
const PYTHON = '/usr/bin/python3'
const PEER = fileURLToPath(new URL('libtorrent-peer.py', import.meta.url))

type PeerEvent =
  | { readonly event: 'listening'; readonly port: number }
  | { readonly event: 'whole'; readonly id: number; readonly path: string }
  | { readonly event: 'failed'; readonly id: number; readonly message: string }

export const libtorrent: ClientKind = {
  name: 'libtorrent',
  recipe: 'libtorrent',
  requirements: [
    {
      name: 'python3-libtorrent',
      isThere: () => spawnSync(PYTHON, ['-c', 'import libtorrent']).status === 0,
    },
  ],

  async start(t, host, { setUp, folder }) {
    const args = [PEER, host.address, JSON.stringify(setUp.settings)]
    const peer = startProcess<PeerEvent>(t, PYTHON, args, { netns: host.netns, input: true })
    await peer.waitForEvent('listening', { timeoutMs: CLIENT_START_TIMEOUT_MS })

    let lastId = 0
    async function whole(order: Readonly<Record<string, string>>, timeoutMs: number): Promise<string> {
      const id = ++lastId
      peer.send(JSON.stringify({ id, ...order }))
      const event = await peer.waitForEvent((event) => 'id' in event && event.id === id, { timeoutMs })
      if (event.event === 'whole') return event.path
      throw new Error(`libtorrent: ${event.event === 'failed' ? event.message : 'said nothing useful'}`)
    }

    return {
      download: (source, { timeoutMs }) => whole({ save: folder, ...source }, timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole({ save: seedFolder, torrentFile }, CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}
