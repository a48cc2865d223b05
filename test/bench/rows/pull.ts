/** The bare block puller as rows use it. */
import { fileURLToPath } from 'node:url'
import { type Seeding, TRANSFER_TIMEOUT_MS } from '../clients/client.ts'
import type { BenchFile, Contender } from '../model.ts'
import { type BenchEvent, costSince, MeasuredProcess, sumCosts } from '../processes.ts'
import { anyMoment } from './any-moment.ts'

const PULLER = fileURLToPath(new URL('../puller.ts', import.meta.url))
/** So many blocks in flight drew the most from every seeder; libtorrent's own limit is the same. */
const IN_FLIGHT = 2_000

type Pulled = Pick<BenchFile, 'infoHash' | 'length' | 'pieceLength' | 'torrentFile'>

interface PullOptions {
  /** Every piece is hashed, and nothing is measured. */
  readonly check: boolean
  /** Draws no more than so much, from the front. */
  readonly mostBytes?: number
}

/** Starts one puller. */
export function startPull(
  peer: Seeding['peer'],
  { infoHash, length, pieceLength, torrentFile }: Pulled,
  options: PullOptions,
): { readonly puller: MeasuredProcess; readonly done: Promise<BenchEvent> } {
  const job = { ...peer, infoHash, length, pieceLength, torrentFile, ...options, inFlight: IN_FLIGHT }
  const puller = new MeasuredProcess(process.execPath, [PULLER, JSON.stringify(job)])
  const done = (async () => {
    const over = await puller.event(
      ({ event }) => event === 'done' || event === 'failed',
      TRANSFER_TIMEOUT_MS,
    )
    if (over.event === 'failed') throw new Error(`puller: ${over['message']}`)
    await puller.exited
    return over
  })()
  return { puller, done }
}

/**
 * What seeders give to somebody who drops it all, checks nothing and writes nothing: the row's bound, as long as they share
 * the machine with who fetches. One puller a shard, all at once; like every other contender, new to its seeder.
 */
export function pullOnce(
  shards: readonly { readonly file: BenchFile; readonly seeding: Seeding }[],
): Contender {
  return {
    name: 'bare puller',
    apart: true,
    async run({ check }) {
      await anyMoment()
      const before = shards.map(({ seeding }) => seeding.cost())
      const startedAt = performance.now()
      const pulls = shards.map(({ file, seeding }) => startPull(seeding.peer, file, { check }))
      await Promise.all(pulls.map(({ done }) => done))
      const tookMs = performance.now() - startedAt
      const bytes = shards.reduce((sum, { file }) => sum + file.length, 0)
      const seed = sumCosts(shards.map(({ seeding }, index) => costSince(before[index]!, seeding.cost())))
      const get = sumCosts(pulls.map(({ puller }) => puller.cost()))
      return { value: bytes / 1e3 / tookMs, sides: { get, seed }, bytes, marks: { tookMs } }
    },
  }
}
