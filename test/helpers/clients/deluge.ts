/**
 * Deluge's daemon, driven by its own RPC (deluge-peer.py). No setting names the bootstrap of its DHT; like
 * qBittorrent 4 it joins the nodes that a .torrent names.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProcess } from '../process.ts'
import { program } from '../requirements.ts'
import { CLIENT_CHECK_TIMEOUT_MS, CLIENT_START_TIMEOUT_MS, type ClientKind } from './client.ts'

/** Debian's Deluge belongs to the system's Python, which need not be the first in PATH. */
const PYTHON = '/usr/bin/python3'
const PEER = fileURLToPath(new URL('deluge-peer.py', import.meta.url))

type PeerEvent =
  | { readonly event: 'connected' }
  | { readonly event: 'whole'; readonly id: number; readonly path: string }
  | { readonly event: 'failed'; readonly id: number; readonly message: string }

export const deluge: ClientKind = {
  name: 'Deluge',
  recipe: 'deluge',
  requirements: [
    program('deluged'),
    {
      name: 'deluge-common',
      isThere: () => spawnSync(PYTHON, ['-c', 'import deluge.ui.client']).status === 0,
    },
  ],

  async start(t, host, { setUp, fleetTorrent, folder }) {
    const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder, LC_ALL: 'C.UTF-8' }
    const config = join(folder, 'deluge')
    const at = { netns: host.netns, env }
    startProcess(t, 'deluged', ['--do-not-daemonize', '--config', config], at)
    const peer = startProcess<PeerEvent>(t, PYTHON, [PEER, config], { ...at, input: true })
    await peer.waitForEvent('connected', { timeoutMs: CLIENT_START_TIMEOUT_MS })

    let lastId = 0
    async function whole(order: Readonly<Record<string, string>>, timeoutMs: number): Promise<string> {
      const id = ++lastId
      peer.send(JSON.stringify({ id, ...order }))
      const event = await peer.waitForEvent((event) => 'id' in event && event.id === id, { timeoutMs })
      if (event.event === 'whole') return event.path
      throw new Error(`Deluge: ${event.event === 'failed' ? event.message : 'said nothing useful'}`)
    }

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
