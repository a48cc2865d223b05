/** Stock WebTorrent, the version this program is built on. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeasuredProcess } from '../processes.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'

const SCRIPT = fileURLToPath(new URL('webtorrent-peer.js', import.meta.url))

export const webtorrent: Client = {
  name: 'webtorrent',
  slow: true,
  requirements: [],

  async get({ wanted, folder }) {
    const torrents = wanted.map(({ file, peer }) => ({
      torrentFile: file.torrentFile,
      save: folder,
      peer: [peer.host, peer.port],
    }))
    const job = JSON.stringify({ mode: 'get', torrents })
    const peer = new MeasuredProcess(process.execPath, [SCRIPT, job])
    const { at } = await peer.event('whole', TRANSFER_TIMEOUT_MS)
    await peer.success(START_TIMEOUT_MS)
    return {
      tookMs: at - peer.startedAt,
      paths: wanted.map(({ file }) => join(folder, file.name)),
      cost: peer.cost(),
    }
  },

  async seed({ file, address }) {
    const torrents = [{ torrentFile: file.torrentFile, save: file.folder }]
    const peer = new MeasuredProcess(process.execPath, [SCRIPT, JSON.stringify({ mode: 'seed', torrents })])
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
