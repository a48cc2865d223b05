/** libtorrent (Rasterbar), the engine of qBittorrent and Deluge, through its Python binding. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchFile } from '../model.ts'
import { MeasuredProcess } from '../processes.ts'
import type { PeerAt } from '../tracker.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'
import { versionOf } from './tool.ts'

/** Debian's python3-libtorrent belongs to the system's Python, which need not be the first in PATH. */
const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('libtorrent-bench.py', import.meta.url))

function start(
  mode: 'get' | 'seed',
  address: string,
  torrents: readonly { file: BenchFile; save: string; peer?: PeerAt }[],
): MeasuredProcess {
  const job = {
    mode,
    listen: `${address}:0`,
    torrents: torrents.map(({ file, save, peer }) => ({
      torrentFile: file.torrentFile,
      save,
      peer: peer ? [peer.host, peer.port] : null,
    })),
  }
  return new MeasuredProcess(PYTHON, [SCRIPT, JSON.stringify(job)])
}

export const libtorrent: Client = {
  name: 'libtorrent',
  version: () => versionOf(PYTHON, ['-c', 'import libtorrent; print(libtorrent.__version__)'], /(\d[\d.]+)/),

  async get({ wanted, folder, address }) {
    const torrents = wanted.map(({ file, peer }) => ({ file, peer, save: folder }))
    const peer = start('get', address, torrents)
    const { at } = await peer.event('whole', TRANSFER_TIMEOUT_MS)
    await peer.success(START_TIMEOUT_MS)
    return {
      tookMs: at - peer.startedAt,
      paths: wanted.map(({ file }) => join(folder, file.name)),
      cost: peer.cost(),
    }
  },

  async seed({ files, address }) {
    const peer = start(
      'seed',
      address,
      files.map((file) => ({ file, save: file.folder })),
    )
    const { port } = (await peer.event('listening', START_TIMEOUT_MS)) as unknown as { port: number }
    await peer.event('ready', START_TIMEOUT_MS)
    return { peer: { host: address, port }, cost: () => peer.cost(), stop: () => peer.stop() }
  },
}
