/** libtorrent (Rasterbar), the engine of qBittorrent and Deluge, through its Python binding. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PYTHON, pythonModule } from '../../helpers/requirements.ts'
import type { BenchFile } from '../model.ts'
import { MeasuredProcess } from '../processes.ts'
import type { PeerAt } from '../tracker.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'

const SCRIPT = fileURLToPath(new URL('libtorrent-bench.py', import.meta.url))

interface Torrent {
  readonly file: BenchFile
  readonly save: string
  readonly peers?: readonly PeerAt[]
}

function start(
  mode: 'get' | 'join' | 'seed',
  { host, port }: PeerAt,
  torrents: readonly Torrent[],
  netns?: string,
): MeasuredProcess {
  const job = {
    mode,
    listen: `${host}:${port}`,
    torrents: torrents.map(({ file, save, peers = [] }) => ({
      torrentFile: file.torrentFile,
      save,
      peers: peers.map((peer) => [peer.host, peer.port]),
    })),
  }
  return new MeasuredProcess(PYTHON, [SCRIPT, JSON.stringify(job)], { netns })
}

export const libtorrent: Client = {
  name: 'libtorrent',
  requirements: [pythonModule('python3-libtorrent', 'libtorrent')],

  async get({ wanted, folder, address }) {
    const torrents = wanted.map(({ file, peer }) => ({ file, peers: [peer], save: folder }))
    const peer = start('get', { host: address, port: 0 }, torrents)
    const { at } = await peer.event('whole', TRANSFER_TIMEOUT_MS)
    await peer.success(START_TIMEOUT_MS)
    return {
      tookMs: at - peer.startedAt,
      paths: wanted.map(({ file }) => join(folder, file.name)),
      cost: peer.cost(),
    }
  },

  join({ file, folder, at, netns, peers }) {
    const peer = start('join', at, [{ file, save: folder, peers }], netns)
    return {
      up: peer.event('listening', START_TIMEOUT_MS),
      whole: peer
        .event('whole', TRANSFER_TIMEOUT_MS)
        .then((event) => ({ at: event.at, path: join(folder, file.name) })),
      cost: () => peer.cost(),
      stop: () => peer.stop(),
    }
  },

  async seed({ file, address, netns }) {
    const peer = start('seed', { host: address, port: 0 }, [{ file, save: file.folder }], netns)
    const { port } = (await peer.event('listening', START_TIMEOUT_MS)) as unknown as { port: number }
    await peer.event('ready', START_TIMEOUT_MS)
    return {
      pid: peer.pid,
      peer: { host: address, port },
      cost: () => peer.cost(),
      stop: () => peer.stop(),
    }
  },
}
