/**
 * Transmission 3, driven by its RPC. Its DHT does nothing before it knows about ten nodes: give it one or two
 * minutes.
 */
import { readFile, writeFile } from 'node:fs/promises'
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
import { httpInside } from './http.ts'

const RPC_PORT = 9091
/** TR_STATUS_SEED of libtransmission/transmission.h. */
const STATUS_SEED = 6
const SESSION_HEADER = 'x-transmission-session-id'

interface TorrentStatus {
  readonly name: string
  readonly status: number
  readonly downloadDir: string
  readonly errorString: string
  readonly metadataPercentComplete: number
  readonly leftUntilDone: number
}

const STATUS_FIELDS = [
  'name',
  'status',
  'downloadDir',
  'errorString',
  'metadataPercentComplete',
  'leftUntilDone',
  'peersConnected',
]

export const transmission: ClientKind = {
  name: 'Transmission',
  recipe: 'transmission',
  requirements: [program('transmission-daemon')],

  async start(t, host, { setUp, folder }) {
    await writeFile(join(folder, setUp.file!.name), setUp.file!.text)
    const args = ['--foreground', '--log-info', '--config-dir', folder, '--download-dir', folder]
    startProcess(t, 'transmission-daemon', args, { netns: host.netns, env: { HOME: folder } })
    const http = await httpInside(t, host, RPC_PORT, folder)

    let session = ''
    async function call<T>(method: string, parameters: object): Promise<T> {
      const body = JSON.stringify({ method, arguments: parameters })
      const post = () => http('/transmission/rpc', { body, headers: { [SESSION_HEADER]: session } })
      let answer = await post()
      if (answer.status === 409) {
        // Its guard against forged requests: the first answer names the session to speak in.
        session = String(answer.headers[SESSION_HEADER])
        answer = await post()
      }
      const { result, arguments: values } = JSON.parse(answer.text)
      if (result !== 'success') throw new Error(`Transmission ${method}: ${result}`)
      return values
    }

    async function add(source: TorrentSource, downloadFolder: string): Promise<number> {
      const what =
        'magnet' in source
          ? { filename: source.magnet }
          : { metainfo: (await readFile(source.torrentFile)).toString('base64') }
      const parameters = { ...what, 'download-dir': downloadFolder }
      const answer = await call<{ 'torrent-added': { id: number } }>('torrent-add', parameters)
      return answer['torrent-added'].id
    }

    async function statusOf(id: number): Promise<TorrentStatus> {
      const answer = await call<{ torrents: TorrentStatus[] }>('torrent-get', {
        ids: [id],
        fields: STATUS_FIELDS,
      })
      return answer.torrents[0]!
    }

    /** Resolves with the path of the file when Transmission has the whole of it. */
    async function whole(id: number, timeoutMs: number): Promise<string> {
      const last = await untilOver(
        () => statusOf(id),
        ({ errorString, status, metadataPercentComplete, leftUntilDone }) =>
          errorString !== '' ||
          (status === STATUS_SEED && metadataPercentComplete === 1 && leftUntilDone === 0),
        timeoutMs,
      )
      if (last.errorString) throw new Error(`Transmission: ${last.errorString}`)
      return join(last.downloadDir, last.name)
    }

    await until(() => call('session-get', {}), {
      timeoutMs: CLIENT_START_TIMEOUT_MS,
      what: 'Transmission to answer',
    })
    return {
      download: async (source, { timeoutMs }) => whole(await add(source, folder), timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole(await add({ torrentFile }, seedFolder), CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}
