/** aria2, driven by its JSON-RPC. */
import { readFile } from 'node:fs/promises'
import { startProcess } from '../process.ts'
import { program } from '../requirements.ts'
import { until } from '../until.ts'
import {
  CLIENT_CHECK_TIMEOUT_MS,
  CLIENT_START_TIMEOUT_MS,
  type ClientKind,
  type TorrentSource,
  untilOver,
} from './client.ts'
import { httpInside } from './http.ts'

const RPC_PORT = 6800

/** The part of `aria2.tellStatus` that is asked for. */
interface DownloadStatus {
  readonly status: 'active' | 'waiting' | 'paused' | 'error' | 'complete' | 'removed'
  /** 'true' when it has the whole file and seeds it. */
  readonly seeder?: 'true' | 'false'
  readonly errorMessage?: string
  /** A magnet is two downloads to aria2: the metadata, and this one, the file. */
  readonly followedBy?: readonly string[]
  readonly files: readonly { readonly path: string }[]
}

const STATUS_KEYS = [
  'status',
  'seeder',
  'errorMessage',
  'followedBy',
  'files',
  'completedLength',
  'connections',
]

export const aria2: ClientKind = {
  name: 'aria2',
  recipe: 'aria2',
  requirements: [program('aria2c')],

  async start(t, host, { setUp, folder }) {
    const args = [
      '--enable-rpc',
      `--rpc-listen-port=${RPC_PORT}`,
      `--dir=${folder}`,
      ...setUp.args,
      '--summary-interval=0',
    ]
    // With a home of its own it finds neither a configuration nor an old dht.dat.
    const env = { HOME: folder, XDG_CACHE_HOME: folder, XDG_CONFIG_HOME: folder }
    startProcess(t, 'aria2c', args, { netns: host.netns, env })
    const http = await httpInside(t, host, RPC_PORT, folder)

    async function call<T>(method: string, ...params: unknown[]): Promise<T> {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: `aria2.${method}`, params })
      const answer = JSON.parse((await http('/jsonrpc', { body })).text)
      if (answer.error) throw new Error(`aria2.${method}: ${answer.error.message}`)
      return answer.result
    }

    const statusOf = (gid: string) => call<DownloadStatus>('tellStatus', gid, STATUS_KEYS)

    /** Resolves with the path of the file when aria2 has the whole of it. */
    async function whole(gid: string, timeoutMs: number): Promise<string> {
      let current = gid
      const last = await untilOver(
        async () => {
          const status = await statusOf(current)
          current = status.followedBy?.[0] ?? current
          return status
        },
        ({ status, seeder, followedBy }) =>
          status === 'error' || (followedBy === undefined && (seeder === 'true' || status === 'complete')),
        timeoutMs,
      )
      if (last.status === 'error') throw new Error(`aria2: ${last.errorMessage}`)
      return last.files[0]!.path
    }

    async function add(source: TorrentSource, options: Record<string, string>): Promise<string> {
      if ('magnet' in source) return call<string>('addUri', [source.magnet], options)
      return call<string>('addTorrent', (await readFile(source.torrentFile)).toString('base64'), [], options)
    }

    await until(() => call('getVersion'), { timeoutMs: CLIENT_START_TIMEOUT_MS, what: 'aria2 to answer' })
    return {
      async download(source, { timeoutMs }) {
        return whole(await add(source, {}), timeoutMs)
      },
      async seed(torrentFile, seedFolder) {
        // It must check the file that is there, and must not stop at its share ratio of 1.0.
        const options = { dir: seedFolder, 'check-integrity': 'true', 'seed-ratio': '0.0' }
        await whole(await add({ torrentFile }, options), CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}
