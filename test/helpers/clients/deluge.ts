/**
 * Deluge's daemon, driven by its own console. No setting names the bootstrap of its DHT; like qBittorrent 4 it
 * joins the nodes that a .torrent names.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseTorrentId } from '../../../src/metainfo/parse.ts'
import { program } from '../netns.ts'
import { startProcess } from '../process.ts'
import { until } from '../until.ts'
import {
  CLIENT_CHECK_TIMEOUT_MS,
  CLIENT_START_TIMEOUT_MS,
  type ClientKind,
  type TorrentSource,
  untilOver,
} from './client.ts'

const run = promisify(execFile)
/** Each call of the console is a start of Python. */
const CALL_TIMEOUT_MS = 15_000

export const deluge: ClientKind = {
  name: 'Deluge',
  recipe: 'deluge',
  requirements: [program('deluged'), program('deluge-console')],

  async start(t, host, { setUp, fleetTorrent, folder }) {
    const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder, LC_ALL: 'C.UTF-8' }
    const config = join(folder, 'deluge')
    startProcess(t, 'deluged', ['--do-not-daemonize', '--config', config], { netns: host.netns, env })

    async function call(...words: readonly string[]): Promise<string> {
      const args = ['netns', 'exec', host.netns, 'deluge-console', '--config', config, ...words]
      const options = { env: { ...process.env, ...env }, timeout: CALL_TIMEOUT_MS }
      const { stdout } = await run('ip', args, options)
      if (/Failed to connect|Unable to connect/i.test(stdout)) throw new Error(`Deluge: ${stdout}`)
      return stdout
    }

    async function add(source: TorrentSource, downloadFolder: string): Promise<string> {
      const what = 'magnet' in source ? source.magnet : source.torrentFile
      const id = await parseTorrentId('magnet' in source ? what : await readFile(what))
      await call('add', '--path', downloadFolder, what)
      return id.infoHash
    }

    /** Resolves with the path of the file when Deluge has the whole of it. */
    async function whole(hash: string, downloadFolder: string, timeoutMs: number): Promise<string> {
      const last = await untilOver(
        () => call('info', '--verbose', hash).then(statusOf),
        ({ state }) => state === 'Seeding' || state === 'Error',
        timeoutMs,
      )
      if (last.state === 'Error') throw new Error(`Deluge: ${JSON.stringify(last)}`)
      return join(downloadFolder, last.name)
    }

    await until(() => call('status').catch(() => undefined), {
      timeoutMs: CLIENT_START_TIMEOUT_MS,
      what: 'Deluge to answer',
    })
    if (setUp.opensTorrentFirst) await add({ torrentFile: fleetTorrent }, folder)
    return {
      download: async (source, { timeoutMs }) => whole(await add(source, folder), folder, timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole(await add({ torrentFile }, seedFolder), seedFolder, CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}

/** The lines `Name: …` and `State: …` of the console. */
function statusOf(text: string): { readonly name: string; readonly state: string; readonly text: string } {
  const field = (name: string): string => new RegExp(`^${name}: *(\\S+)`, 'm').exec(text)?.[1] ?? ''
  return { name: field('Name'), state: field('State'), text: text.slice(0, 400) }
}
