/** `restart` and `idle`: a host of a thousand large shards that it has hashed before. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { START_TIMEOUT_MS } from '../clients/client.ts'
import { startOurs } from '../clients/ours.ts'
import type { Bench, ReadyRow, Row, Sample } from '../model.ts'
import { costSince, type MeasuredProcess } from '../processes.ts'
import { makeShelf, type Shelf } from '../shelf.ts'

const SHARDS = 1_000
const SHARD_BYTES = 4_000_000_000
/** Long enough for every timer of the engine to come by, and for the announces to thin out. */
const IDLE_AFTER_MS = 20_000
const IDLE_MS = 40_000

export interface Shelved {
  readonly shelf: Shelf
  readonly bench: Bench
}

/** Starts a host on the shelf; resolves when all its shards are seeding. */
export async function startOnShelf({ shelf, bench }: Shelved, bootstrap?: string): Promise<MeasuredProcess> {
  const { folder, stateDir, torrentsDir } = shelf
  const host = startOurs(
    [
      'seed',
      folder,
      '--state-dir',
      stateDir,
      '--torrents-dir',
      torrentsDir,
      '--port',
      '0',
      '--dht-port',
      '0',
    ],
    bench.address,
    bootstrap,
  )
  await host.times('seeding', shelf.infoHashes.length, START_TIMEOUT_MS)
  return host
}

export const restart: Row = {
  name: 'restart',
  title: `restart with ${SHARDS} unchanged shards of 4 GB (sparse), to all seeding`,
  unit: 'ms',
  better: 'less',
  target: null,
  limit: 2_000,
  shown: ['read MB'],

  async prepare(bench: Bench): Promise<ReadyRow> {
    const shelf = await makeShelf(await bench.folder('shelf'), { shards: SHARDS, bytes: SHARD_BYTES })
    const run = async (): Promise<Sample> => {
      const host = await startOnShelf({ shelf, bench })
      const tookMs = performance.now() - host.startedAt
      const sample = {
        value: tookMs,
        sides: { seed: host.cost() },
        bytes: 0,
        // Programs, records and .torrent files; the shards' own bytes would be thousands.
        marks: { 'read MB': readBytes(host.pid) / 1e6 },
      }
      await host.stop()
      return sample
    }
    return { contenders: [{ name: 'gguf-swarm', run }], missing: [], async [Symbol.asyncDispose]() {} }
  },
}

export const idle: Row = {
  name: 'idle',
  title: `${SHARDS} torrents idle beside a bootstrap node`,
  unit: '% of a core',
  better: 'less',
  target: null,
  limit: 2,
  slow: true,

  async prepare(bench: Bench): Promise<ReadyRow> {
    // With true hashes: a host reads its shards again at its leisure, and hashes anew what it finds to be wrong.
    const shelved = { shards: SHARDS, bytes: SHARD_BYTES, isServed: true }
    const shelf = await makeShelf(await bench.folder('shelf'), shelved)
    const home = await bench.folder('bootstrap')
    const bootstrap = startOurs(['bootstrap', '--port', '0', '--state-dir', home], bench.address, null)
    const { port } = await bootstrap.event('listening', START_TIMEOUT_MS)
    const host = await startOnShelf({ shelf, bench }, `${bench.address}:${port}`)
    await delay(IDLE_AFTER_MS)
    const run = async (): Promise<Sample> => {
      const before = host.cost()
      const startedAt = performance.now()
      await delay(IDLE_MS)
      const cost = costSince(before, host.cost())
      const value = (cost.cpuSeconds / (performance.now() - startedAt)) * 1e5
      return { value, sides: { seed: cost }, bytes: 0 }
    }
    return {
      contenders: [{ name: 'gguf-swarm', run }],
      missing: [],
      async [Symbol.asyncDispose]() {
        await host.stop()
        await bootstrap.stop()
      },
    }
  },
}

function readBytes(pid: number): number {
  return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
}
