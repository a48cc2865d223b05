/** Transmission, driven by its RPC. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { program } from '../../helpers/requirements.ts'
import { freeTcpPort } from '../../helpers/swarm.ts'
import { until } from '../../helpers/until.ts'
import { withTracker } from '../files.ts'
import { costSince, MeasuredProcess } from '../processes.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'

/** Often enough to lose a hundredth of a transfer, rarely enough to cost nothing. */
const POLL_MS = 20
const SESSION_HEADER = 'x-transmission-session-id'

interface TorrentStatus {
  readonly leftUntilDone: number
  readonly status: number
  readonly errorString: string
}

type Call = <T>(method: string, parameters: object) => Promise<T>

async function startDaemon(
  folder: string,
  address: string,
): Promise<{ daemon: MeasuredProcess; call: Call }> {
  const rpcPort = await freeTcpPort('127.0.0.1')
  const settings = {
    'bind-address-ipv4': address,
    'cache-size-mb': 64,
    'dht-enabled': false,
    'lpd-enabled': false,
    'pex-enabled': false,
    'utp-enabled': false,
    'port-forwarding-enabled': false,
    encryption: 0,
    preallocation: 0,
    'peer-port': await freeTcpPort(address),
    'rpc-port': rpcPort,
    'rpc-bind-address': '127.0.0.1',
    'rpc-host-whitelist-enabled': false,
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'settings.json'), JSON.stringify(settings))
  const args = ['--foreground', '--config-dir', folder, '--download-dir', folder]
  const daemon = new MeasuredProcess('transmission-daemon', args, { env: { HOME: folder } })
  let session = ''
  const call: Call = async (method, parameters) => {
    const body = JSON.stringify({ method, arguments: parameters })
    const post = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${rpcPort}/transmission/rpc`, {
        method: 'POST',
        body,
        headers: { [SESSION_HEADER]: session },
      })
    let answer = await post()
    if (answer.status === 409) {
      session = answer.headers.get(SESSION_HEADER) ?? ''
      await answer.arrayBuffer()
      answer = await post()
    }
    const { result, arguments: values } = (await answer.json()) as { result: string; arguments: never }
    if (result !== 'success') throw new Error(`Transmission ${method}: ${result}`)
    return values
  }
  await until(() => call('session-get', {}), { timeoutMs: START_TIMEOUT_MS, what: 'Transmission to answer' })
  return { daemon, call }
}

export const transmission: Client = {
  name: 'Transmission',
  slow: true,
  requirements: [program('transmission-daemon')],

  async get({ wanted, folder, address, tracker }) {
    const { daemon, call } = await startDaemon(folder, address)
    const before = daemon.cost()
    const startedAt = performance.now()
    try {
      for (const { file } of wanted) {
        const torrentFile = await withTracker(file, tracker.url, join(folder, `tracked-${file.name}.torrent`))
        await call('torrent-add', { filename: torrentFile, 'download-dir': folder })
      }
      for (;;) {
        const { torrents } = await call<{ torrents: TorrentStatus[] }>('torrent-get', {
          fields: ['leftUntilDone', 'status', 'errorString'],
        })
        const failed = torrents.find(({ errorString }) => errorString !== '')
        if (failed) throw new Error(`Transmission: ${failed.errorString}`)
        // 6: it seeds, so all of it is checked and written.
        if (torrents.every(({ leftUntilDone, status }) => leftUntilDone === 0 && status === 6)) break
        if (performance.now() - startedAt > TRANSFER_TIMEOUT_MS)
          throw new Error('Transmission takes too long')
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
