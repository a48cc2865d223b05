/** `fan-out`: one seeder, eight downloaders, each on a link of its own of 200 Mbit/s. */
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Host, testNetwork } from '../../helpers/netns.ts'
import type { Client } from '../clients/client.ts'
import { libtorrent } from '../clients/libtorrent.ts'
import { ours } from '../clients/ours.ts'
import { assertSameBytes, makeFile } from '../files.ts'
import {
  type Bench,
  type BenchFile,
  type Contender,
  type Cost,
  nothing,
  type ReadyRow,
  type Row,
  type Sample,
} from '../model.ts'
import { costSince } from '../processes.ts'
import { Scope } from '../scope.ts'
import { present } from './present.ts'

const GETTERS = 8
const MEGABITS = 200
const BYTES = 200_000_000
/** Nobody can be whole sooner: each link carries the file once. Heads of packets and messages, some 5 %, come on top. */
const BOUND_S = (BYTES * 8) / (MEGABITS * 1e6)
const WITHIN = 1.25
const PORT = 6881
/** The downloaders have met each other by then. */
const MEET_MS = 2_000

export const fanOut: Row = {
  name: 'fan-out',
  title: `fan-out: 1 seeder, ${GETTERS} downloaders, links of ${MEGABITS} Mbit/s; until all have ${BYTES / 1e6} MB`,
  unit: 's',
  better: 'less',
  target: 1,
  limit: BOUND_S * WITHIN,
  shown: ['to the bound', 'fastest s'],
  slow: true,

  async prepare(bench: Bench): Promise<ReadyRow> {
    if (process.getuid?.() !== 0) return nothing('network namespaces need root')
    const file = await makeFile(await bench.folder('fan-out'), 0, BYTES)
    await using undo = new AsyncDisposableStack()
    const scope = undo.use(new Scope())
    const network = testNetwork(scope.context)
    const [seederAt, ...gettersAt] = Array.from({ length: GETTERS + 1 }, (_, index) =>
      network.host(`p${index}`),
    )
    for (const host of [seederAt!, ...gettersAt]) network.limit(host, MEGABITS)
    const { there, missing } = present(bench, [ours, libtorrent])

    const contender = (client: Client): Contender => ({
      name: client.name,
      async run(): Promise<Sample> {
        const folder = await bench.folder(`fan-out-${client.name}`)
        const sample = await fanOutOnce(client, { file, folder, seederAt: seederAt!, gettersAt })
        await rm(folder, { recursive: true, force: true })
        return sample
      },
    })
    const kept = undo.move()
    return {
      contenders: there.map(contender),
      missing,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    }
  },
}

interface FanOut {
  readonly file: BenchFile
  readonly folder: string
  readonly seederAt: Host
  readonly gettersAt: readonly Host[]
}

/** The seeder says nothing until all downloaders are up: what is timed is the swarm, not the start of processes. */
async function fanOutOnce(client: Client, { file, folder, seederAt, gettersAt }: FanOut): Promise<Sample> {
  const { address, netns } = seederAt
  const seeder = await client.seed!({ file, folder, address, netns })
  const at = gettersAt.map(({ address }) => ({ host: address, port: PORT }))
  process.kill(seeder.pid, 'SIGSTOP')
  const getters = gettersAt.map(({ netns }, index) =>
    client.join!({
      file,
      folder: `${folder}/${index}`,
      at: at[index]!,
      netns,
      peers: [seeder.peer, ...at.filter((_, other) => other !== index)],
    }),
  )
  // A downloader that fails before it is awaited must not end the bench.
  for (const { whole, up } of getters) for (const promise of [whole, up]) promise.catch(() => undefined)
  try {
    await Promise.all(getters.map(({ up }) => up))
    await delay(MEET_MS)
    const before = [seeder, ...getters].map((one) => one.cost())
    const startedAt = performance.now()
    process.kill(seeder.pid, 'SIGCONT')
    const whole = await Promise.all(getters.map(({ whole }) => whole))
    const [seed, ...gets] = [seeder, ...getters].map((one, index) => costSince(before[index]!, one.cost()))
    for (const { path } of whole) assertSameBytes(file.path, path)
    const seconds = whole.map(({ at }) => (at - startedAt) / 1000)
    const value = Math.max(...seconds)
    return {
      value,
      sides: { get: mean(gets), seed: seed! },
      bytes: file.length,
      marks: { 'to the bound': value / BOUND_S, 'fastest s': Math.min(...seconds) },
    }
  } finally {
    process.kill(seeder.pid, 'SIGCONT')
    await Promise.all([seeder, ...getters].map((one) => one.stop()))
  }
}

/** Of one downloader; its peak is that of the largest. */
function mean(costs: readonly Cost[]): Cost {
  return {
    cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / costs.length,
    peakRssBytes: Math.max(...costs.map(({ peakRssBytes }) => peakRssBytes)),
  }
}
