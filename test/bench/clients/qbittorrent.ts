/** qBittorrent, driven by its Web API. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { program } from '../../helpers/requirements.ts'
import { freeTcpPort } from '../../helpers/swarm.ts'
import { until } from '../../helpers/until.ts'
import { costSince, MeasuredProcess } from '../processes.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'

const POLL_MS = 20
const ADD_PEERS_MS = 1_000

const settings = (port: number, webPort: number): string => `[LegalNotice]
Accepted=true

[Preferences]
WebUI\\LocalHostAuth=false
WebUI\\Port=${webPort}
Connection\\UPnP=false

[BitTorrent]
Session\\BTProtocol=TCP
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Port=${port}
Session\\QueueingSystemEnabled=false
`

const WHOLE = new Set(['uploading', 'stalledUP', 'forcedUP', 'pausedUP'])
const FAILED = new Set(['error', 'missingFiles'])

export const qbittorrent: Client = {
  name: 'qBittorrent',
  slow: true,
  requirements: [program('qbittorrent-nox')],

  async get({ wanted, folder, address }) {
    const webPort = await freeTcpPort('127.0.0.1')
    await mkdir(join(folder, 'qBittorrent', 'config'), { recursive: true })
    const config = join(folder, 'qBittorrent', 'config', 'qBittorrent.conf')
    await writeFile(config, settings(await freeTcpPort(address), webPort))
    const args = [`--profile=${folder}`, `--webui-port=${webPort}`]
    const daemon = new MeasuredProcess('qbittorrent-nox', args, { env: { HOME: folder } })
    const call = async (path: string, form?: FormData | URLSearchParams): Promise<string> => {
      const answer = await fetch(
        `http://127.0.0.1:${webPort}/api/v2/${path}`,
        form && { method: 'POST', body: form },
      )
      const text = await answer.text()
      if (answer.status !== 200 || text === 'Fails.') throw new Error(`qBittorrent ${path}: ${text}`)
      return text
    }
    try {
      await until(() => call('app/version'), { timeoutMs: START_TIMEOUT_MS, what: 'qBittorrent to answer' })
      const before = daemon.cost()
      const startedAt = performance.now()
      for (const { file } of wanted) {
        const form = new FormData()
        form.set('torrents', new Blob([await readFile(file.torrentFile)]), 'a.torrent')
        form.set('savepath', folder)
        await call('torrents/add', form)
      }
      let askedAt = 0
      for (;;) {
        const torrents = JSON.parse(await call('torrents/info')) as { state: string; progress: number }[]
        // It forgets a peer that it is told of too early.
        if (torrents.some(({ progress }) => progress === 0) && performance.now() - askedAt > ADD_PEERS_MS) {
          askedAt = performance.now()
          for (const { file, peer } of wanted) {
            const form = new URLSearchParams({ hashes: file.infoHash, peers: `${peer.host}:${peer.port}` })
            await call('torrents/addPeers', form).catch(() => {})
          }
        }
        if (torrents.some(({ state }) => FAILED.has(state)))
          throw new Error('qBittorrent: the torrent failed')
        if (torrents.length === wanted.length && torrents.every(({ state }) => WHOLE.has(state))) break
        if (performance.now() - startedAt > TRANSFER_TIMEOUT_MS) throw new Error('qBittorrent takes too long')
        await delay(POLL_MS)
      }
      const tookMs = performance.now() - startedAt
      const paths = wanted.map(({ file }) => join(folder, file.name))
      return { tookMs, paths, cost: costSince(before, daemon.cost()) }
    } finally {
      await daemon.stop()
    }
  },
}
