/** rTorrent as a daemon, driven by XML-RPC over SCGI on a unix socket. */
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseTorrentId } from '../../../src/metainfo/parse.ts'
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

/** A control interface that takes longer than this has hung. */
const REQUEST_TIMEOUT_MS = 10_000

export const rtorrent: ClientKind = {
  name: 'rTorrent',
  recipe: 'rtorrent',
  requirements: [program('rtorrent')],

  async start(t, host, { setUp, folder }) {
    const socket = join(folder, 'rpc.socket')
    const settings = [
      'system.daemon.set = true',
      `network.scgi.open_local = ${socket}`,
      `directory.default.set = ${folder}`,
      setUp.file!.text,
    ]
    await writeFile(join(folder, setUp.file!.name), `${settings.join('\n')}\n`)
    const args = ['-n', '-o', `import=${join(folder, setUp.file!.name)}`]
    startProcess(t, 'rtorrent', args, { netns: host.netns, env: { HOME: folder, TERM: 'dumb' } })

    async function call(method: string, ...params: readonly string[]): Promise<string> {
      const values = params.map((param) => `<param><value><string>${escaped(param)}</string></value></param>`)
      const call = `<methodName>${method}</methodName><params>${values.join('')}</params>`
      const body = `<?xml version="1.0"?><methodCall>${call}</methodCall>`
      const answer = await scgi(socket, body)
      if (answer.includes('<fault>')) throw new Error(`rTorrent ${method}: ${answer}`)
      return /<(?:string|i4|i8)>(.*?)<\//s.exec(answer)?.[1] ?? ''
    }

    async function add(source: TorrentSource, downloadFolder: string): Promise<string> {
      const what = 'magnet' in source ? source.magnet : source.torrentFile
      const id = await parseTorrentId('magnet' in source ? what : await readFile(what))
      await call('load.start', '', what, `d.directory.set="${downloadFolder}"`)
      return id.infoHash.toUpperCase()
    }

    /** Resolves with the path of the file when rTorrent has the whole of it. */
    async function whole(hash: string, timeoutMs: number): Promise<string> {
      // A magnet is one download until its metadata is there, and another of the same hash then.
      const ask = async () => ({
        complete: await call('d.complete', hash),
        isMeta: await call('d.is_meta', hash),
        path: await call('d.base_path', hash),
        message: await call('d.message', hash),
      })
      const last = await untilOver(
        () => ask().catch(() => undefined),
        ({ complete, isMeta }) => complete === '1' && isMeta === '0',
        timeoutMs,
      )
      return last.path
    }

    await until(() => call('system.client_version'), {
      timeoutMs: CLIENT_START_TIMEOUT_MS,
      what: 'rTorrent to answer',
    })
    return {
      download: async (source, { timeoutMs }) => whole(await add(source, folder), timeoutMs),
      async seed(torrentFile, seedFolder) {
        await whole(await add({ torrentFile }, seedFolder), CLIENT_CHECK_TIMEOUT_MS)
      },
    }
  },
}

/** One request of SCGI: headers as a netstring, the body after it. */
function scgi(path: string, body: string): Promise<string> {
  const headers = `CONTENT_LENGTH\0${Buffer.byteLength(body)}\0SCGI\x001\0`
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let answer = ''
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy(new Error('rTorrent does not answer')))
    socket.on('error', reject)
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    socket.on('end', () => resolve(answer))
    socket.write(`${Buffer.byteLength(headers)}:${headers},${body}`)
  })
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
