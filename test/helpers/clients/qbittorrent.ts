/**
 * qBittorrent, driven by its Web API.
 *
 * Before 5.0 no setting names the bootstrap of its DHT: the five public ones are built in, and none is reachable
 * in a private network. It does join every node a .torrent names (BEP 5, `nodes`), and from then on finds
 * magnets there too. So that is what its user does in a private fleet: open one .torrent of the fleet first.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
import { type Http, httpInside } from './http.ts'

const WEB_PORT = 8080

/** The two questions of a first start, answered: the legal notice, and no password from this machine. */
const SETTINGS = `[LegalNotice]
Accepted=true

[Preferences]
WebUI\\LocalHostAuth=false
`

interface TorrentStatus {
  readonly hash: string
  readonly name: string
  readonly state: string
  readonly progress: number
  readonly content_path: string
}

/** The states of a torrent that has the whole file and has checked it. */
const SEEDING = new Set(['uploading', 'stalledUP', 'forcedUP'])
const FAILED = new Set(['error', 'missingFiles'])

export const qbittorrent: ClientKind = {
  name: 'qBittorrent',
  recipe: 'qbittorrent',
  requirements: [program('qbittorrent-nox')],

  async start(t, host, { setUp, fleetTorrent, folder }) {
    await mkdir(join(folder, 'qBittorrent', 'config'), { recursive: true })
    await writeFile(join(folder, 'qBittorrent', 'config', 'qBittorrent.conf'), SETTINGS)
    const args = [`--profile=${folder}`, `--webui-port=${WEB_PORT}`]
    startProcess(t, 'qbittorrent-nox', args, { netns: host.netns, env: { HOME: folder } })
    const call = webApi(await httpInside(t, host, WEB_PORT, folder))

    let added = 0
    /** Gives the category it was added in: the API does not tell the infohash of what it adds. */
    async function add(source: TorrentSource, options: Readonly<Record<string, string>>): Promise<string> {
      const category = `test-${++added}`
      const form = new FormData()
      if ('magnet' in source) form.set('urls', source.magnet)
      else form.set('torrents', new Blob([await readFile(source.torrentFile)]), 'a.torrent')
      for (const [name, value] of Object.entries({ category, ...options })) form.set(name, value)
      await call('torrents/add', form)
      return category
    }

    /** Resolves when qBittorrent has the whole file. */
    async function whole(category: string, timeoutMs: number): Promise<TorrentStatus> {
      const last = await untilOver(
        async () => {
          const torrents: TorrentStatus[] = JSON.parse(await call(`torrents/info?category=${category}`))
          return torrents[0]
        },
        ({ state }) => SEEDING.has(state) || FAILED.has(state),
        timeoutMs,
      )
      if (FAILED.has(last.state)) throw new Error(`qBittorrent: ${last.name} is in state ${last.state}`)
      return last
    }

    await until(() => call('app/version'), {
      timeoutMs: CLIENT_START_TIMEOUT_MS,
      what: 'qBittorrent to answer',
    })
    if (setUp.opensTorrentFirst) {
      await add({ torrentFile: fleetTorrent }, { savepath: folder })
      // A search that goes out before a node is known comes again after minutes.
      const knowsNodes = async (): Promise<boolean> => JSON.parse(await call('transfer/info')).dht_nodes > 0
      await until(knowsNodes, { timeoutMs: CLIENT_START_TIMEOUT_MS, what: 'qBittorrent to know DHT nodes' })
    }
    return {
      async download(source, { timeoutMs }) {
        return (await whole(await add(source, { savepath: folder }), timeoutMs)).content_path
      },
      async seed(torrentFile, seedFolder) {
        const category = await add({ torrentFile }, { savepath: seedFolder })
        const { hash } = await whole(category, CLIENT_CHECK_TIMEOUT_MS)
        // As shipped it seeds three torrents at a time and queues the others; a forced one is never queued.
        const form = new FormData()
        form.set('hashes', hash)
        form.set('value', 'true')
        await call('torrents/setForceStart', form)
      },
    }
  },
}

/** Calls of the Web API, which give the text of its answer; a form makes it a POST. */
function webApi(http: Http): (path: string, form?: FormData) => Promise<string> {
  return async (path, form) => {
    const encoded = form === undefined ? undefined : new Response(form)
    const answer = await http(
      `/api/v2/${path}`,
      encoded && {
        headers: { 'content-type': encoded.headers.get('content-type')! },
        body: new Uint8Array(await encoded.arrayBuffer()),
      },
    )
    if (answer.status !== 200 || answer.text === 'Fails.') {
      throw new Error(`qBittorrent ${path}: ${answer.status} ${answer.text}`)
    }
    return answer.text
  }
}
