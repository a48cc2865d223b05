/** `seed`: how fast a seeder pushes to a bare block puller that drops the data. */
import { aria2 } from '../clients/aria2.ts'
import type { Client, Seeding } from '../clients/client.ts'
import { libtorrent } from '../clients/libtorrent.ts'
import { ours } from '../clients/ours.ts'
import { webtorrent } from '../clients/webtorrent.ts'
import type { Bench, BenchFile, Contender, ReadyRow, Row, Sample } from '../model.ts'
import { costSince } from '../processes.ts'
import { present } from './present.ts'
import { startPull } from './pull.ts'

/** Draws `file` once from `seeding`, with `pullers` at once; gives the milliseconds each of them took. */
async function pull(
  { peer }: Seeding,
  file: BenchFile,
  { check, pullers = 1 }: { readonly check: boolean; readonly pullers?: number },
): Promise<{
  readonly tookMs: readonly number[]
  readonly firstBlockMs: number
  readonly cpuSeconds: number
}> {
  const pulls = Array.from({ length: pullers }, () => startPull(peer, file, { check }))
  const events = await Promise.all(pulls.map(({ done }) => done))
  return {
    tookMs: events.map((event) => Number(event['tookMs'])),
    firstBlockMs: Number(events[0]!['firstBlockMs']),
    cpuSeconds: pulls.reduce((sum, { puller }) => sum + puller.cost().cpuSeconds, 0),
  }
}

/** Downloaders of one shard at once. */
const CROWD = 8

function row(about: Omit<Row, 'prepare'>, pullers: number): Row {
  return { ...about, prepare: (bench) => prepare(bench, pullers) }
}

export const seed: Row = row(
  {
    name: 'seed',
    title: 'seed, pushing to a bare block puller',
    unit: 'MB/s',
    better: 'more',
    target: 1.1,
    shown: ['after the first block', 'first block ms'],
  },
  1,
)

export const crowd: Row = row(
  {
    name: 'crowd',
    title: `seed, ${CROWD} bare block pullers of one shard at once (sum of their rates)`,
    unit: 'MB/s',
    better: 'more',
    target: 1,
    shown: ['slowest to fastest'],
    slow: true,
  },
  CROWD,
)

async function prepare(bench: Bench, pullers: number): Promise<ReadyRow> {
  const file = await bench.file()
  const { there, missing } = present(bench, [ours, libtorrent, aria2, webtorrent])

  const contender = (client: Client): Contender => ({
    name: client.name,
    async run({ check }): Promise<Sample> {
      const folder = await bench.folder(`seed-${client.name}`)
      const seeding = await client.seed!({ file, folder, address: bench.address })
      try {
        // Once before it counts: the first reading of a file is checked, compiled and cached.
        await pull(seeding, file, { check })
        const before = seeding.cost()
        const { tookMs, firstBlockMs, cpuSeconds } = await pull(seeding, file, { check: false, pullers })
        const cost = costSince(before, seeding.cost())
        return {
          value: (file.length * pullers) / 1e3 / Math.max(...tookMs),
          sides: { seed: cost },
          bytes: file.length * pullers,
          // When a seeder unchokes is its policy (aria2 looks once a second), not its speed: both are told.
          marks: {
            'after the first block': file.length / 1e3 / (tookMs[0]! - firstBlockMs),
            'first block ms': firstBlockMs,
            'slowest to fastest': Math.min(...tookMs) / Math.max(...tookMs),
            pullerCpuSeconds: cpuSeconds,
          },
        }
      } finally {
        await seeding.stop()
      }
    },
  })
  return { contenders: there.map(contender), missing, async [Symbol.asyncDispose]() {} }
}
