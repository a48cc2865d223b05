/**
 * Who makes torrents, and how. Each is timed as a user would: a program from start to end, a host from order to done,
 * a library (libtorrent) from its first call to the file.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PYTHON, program } from '../../helpers/requirements.ts'
import { costSince, MeasuredProcess, sumCosts } from '../processes.ts'
import { type Client, type CreateJob, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'
import { libtorrent } from './libtorrent.ts'

const MAKER = fileURLToPath(new URL('maker.ts', import.meta.url))
const SCRIPT = fileURLToPath(new URL('libtorrent-create.py', import.meta.url))

/** A host in its own process, warm: the second file it is told of counts. */
function inHost(name: string, how: 'pool' | 'create-torrent'): Client {
  return {
    name,
    requirements: [],
    async create({ file, folder }: CreateJob) {
      const host = new MeasuredProcess(process.execPath, [MAKER, how])
      const make = async (to: string): Promise<number> => {
        host.send({ path: file.path, pieceLength: file.pieceLength, to })
        const made = await host.event(
          (event) => event.event === 'made' && event['to'] === to,
          TRANSFER_TIMEOUT_MS,
        )
        return Number(made['tookMs'])
      }
      try {
        await make(join(folder, 'first.torrent'))
        const before = host.cost()
        const torrentFile = join(folder, 'made.torrent')
        const tookMs = await make(torrentFile)
        return { tookMs, torrentFile, cost: costSince(before, host.cost()) }
      } finally {
        await host.stop()
      }
    },
  }
}

export const oursCreating: Client = inHost('gguf-swarm', 'pool')
export const createTorrentPackage: Client = inHost('create-torrent', 'create-torrent')

export const mktorrent: Client = {
  name: 'mktorrent',
  requirements: [program('mktorrent')],
  async create({ file, folder }) {
    const torrentFile = join(folder, 'made.torrent')
    const args = ['-t', '2', '-l', String(Math.log2(file.pieceLength)), '-o', torrentFile, file.path]
    const process_ = new MeasuredProcess('mktorrent', args)
    await process_.success(TRANSFER_TIMEOUT_MS)
    return { tookMs: process_.endedAt! - process_.startedAt, torrentFile, cost: process_.cost() }
  },
}

/** mktorrent and OpenSSL at the same time: what one would type for the same two results. */
export const mktorrentAndSha256: Client = {
  name: 'mktorrent & openssl sha256',
  requirements: [...mktorrent.requirements, program('openssl')],
  async create(job) {
    const startedAt = performance.now()
    const sha256 = new MeasuredProcess('openssl', ['dgst', '-sha256', job.file.path])
    const [made] = await Promise.all([mktorrent.create!(job), sha256.success(TRANSFER_TIMEOUT_MS)])
    const tookMs = performance.now() - startedAt
    return { tookMs, torrentFile: made.torrentFile, cost: sumCosts([made.cost, sha256.cost()]) }
  },
}

export const libtorrentCreating: Client = {
  name: 'libtorrent',
  requirements: libtorrent.requirements,
  async create({ file, folder }) {
    const torrentFile = join(folder, 'made.torrent')
    const process_ = new MeasuredProcess(PYTHON, [SCRIPT, file.path, String(file.pieceLength), torrentFile])
    const { tookMs } = (await process_.event('made', TRANSFER_TIMEOUT_MS)) as unknown as { tookMs: number }
    await process_.success(START_TIMEOUT_MS)
    return { tookMs, torrentFile, cost: process_.cost() }
  },
}
