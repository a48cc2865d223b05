/** `memory-seed` and `memory-get`: what very large shards take, at first and later on. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { residentBytes } from '../../helpers/resident-bytes.ts'
import { SmallDisk } from '../../helpers/small-disk.ts'
import { START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from '../clients/client.ts'
import { startOurs } from '../clients/ours.ts'
import { type Bench, nothing, type ReadyRow, type Row, type Sample } from '../model.ts'
import { costSince, type MeasuredProcess } from '../processes.ts'
import { Scope } from '../scope.ts'
import { makeShelf, type Shelf } from '../shelf.ts'
import { startPull } from './pull.ts'
import { startOnShelf } from './restart.ts'

const SHARD_BYTES = 50_000_000_000
const SHARDS = 100
const PEERS = 16
/** Each peer draws so much from a shard of its own, twice: enough for all buffers to be in use. */
const PULLED_BYTES = 256_000_000

/** Looked at when so much was fetched, and then again at the end. */
const EARLY_BYTES = 1_000_000_000
const LATE_BYTES = 4_000_000_000

const SHOWN = ['MB before', 'MB at first', 'MB at the end', 'MB/s']

export const memorySeed: Row = {
  name: 'memory-seed',
  title: `memory: seeding ${SHARDS} shards of 50 GB (sparse) to ${PEERS} peers, at its peak`,
  unit: 'MB',
  better: 'less',
  target: null,
  limit: 150,
  shown: [...SHOWN, 'slowest to fastest'],
  slow: true,

  async prepare(bench: Bench): Promise<ReadyRow> {
    const options = { shards: SHARDS, bytes: SHARD_BYTES, isServed: true }
    const shelf = await makeShelf(await bench.folder('shelf'), options)
    const run = async (): Promise<Sample> => {
      const host = await startOnShelf({ shelf, bench })
      try {
        const { port } = (await host.event('listening', START_TIMEOUT_MS)) as unknown as { port: number }
        const before = host.cost()
        const idle = residentBytes(host.pid)
        const startedAt = performance.now()
        const first = await pullFromEach(shelf, { host: bench.address, port })
        const atFirst = residentBytes(host.pid)
        const second = await pullFromEach(shelf, { host: bench.address, port })
        const seconds = (performance.now() - startedAt) / 1000
        const bytes = 2 * PEERS * PULLED_BYTES
        const cost = costSince(before, host.cost())
        return {
          value: cost.peakRssBytes / 1e6,
          sides: { seed: cost },
          bytes,
          marks: {
            'MB before': idle / 1e6,
            'MB at first': atFirst / 1e6,
            'MB at the end': residentBytes(host.pid) / 1e6,
            'MB/s': bytes / 1e6 / seconds,
            'slowest to fastest': Math.min(fairness(first), fairness(second)),
          },
        }
      } finally {
        await host.stop()
      }
    }
    return { contenders: [{ name: 'gguf-swarm', run }], missing: [], async [Symbol.asyncDispose]() {} }
  },
}

/** Milliseconds that each peer took. */
async function pullFromEach(
  { infoHashes, pieceLength }: Shelf,
  peer: { readonly host: string; readonly port: number },
): Promise<readonly number[]> {
  const pulls = infoHashes.slice(0, PEERS).map((infoHash) => {
    const file = { infoHash, length: SHARD_BYTES, pieceLength, torrentFile: '' }
    return startPull(peer, file, { check: false, mostBytes: PULLED_BYTES }).done
  })
  return (await Promise.all(pulls)).map((event) => Number(event['tookMs']))
}

const fairness = (tookMs: readonly number[]): number => Math.min(...tookMs) / Math.max(...tookMs)

export const memoryGet: Row = {
  name: 'memory-get',
  title: `memory: get of a shard of 50 GB (sparse), at its peak within the first ${LATE_BYTES / 1e9} GB`,
  unit: 'MB',
  better: 'less',
  target: null,
  limit: 200,
  shown: SHOWN,
  slow: true,

  async prepare(bench: Bench): Promise<ReadyRow> {
    if (process.getuid?.() !== 0) return nothing('a file system that promises 50 GB needs root')
    const shelf = await makeShelf(await bench.folder('shelf'), {
      shards: 1,
      bytes: SHARD_BYTES,
      isServed: true,
    })
    const host = await startOnShelf({ shelf, bench })
    const { port } = (await host.event('listening', START_TIMEOUT_MS)) as unknown as { port: number }
    const { torrentFile } = (await host.event('seeding', START_TIMEOUT_MS)) as unknown as {
      torrentFile: string
    }
    const scope = new Scope()
    const { path: out } = await SmallDisk.mount(scope.context, await bench.folder('promised'), '60G')
    let round = 0
    const run = async (): Promise<Sample> => {
      const folder = join(out, String(++round))
      const peer = `${bench.address}:${port}`
      const get = startOurs(['get', torrentFile, '--out', folder, '--peer', peer], bench.address)
      try {
        await get.event('metadata', START_TIMEOUT_MS)
        const idle = residentBytes(get.pid)
        const early = await fetched(get, EARLY_BYTES)
        const atFirst = residentBytes(get.pid)
        const late = await fetched(get, LATE_BYTES)
        return {
          value: get.cost().peakRssBytes / 1e6,
          sides: { get: get.cost() },
          bytes: LATE_BYTES,
          marks: {
            'MB before': idle / 1e6,
            'MB at first': atFirst / 1e6,
            'MB at the end': residentBytes(get.pid) / 1e6,
            'MB/s': (LATE_BYTES - EARLY_BYTES) / 1e3 / (late - early),
          },
        }
      } finally {
        await get.stop()
        await rm(folder, { recursive: true, force: true })
      }
    }
    return {
      contenders: [{ name: 'gguf-swarm', run }],
      missing: [],
      async [Symbol.asyncDispose]() {
        await host.stop()
        await scope[Symbol.asyncDispose]()
      },
    }
  },
}

/** Resolves, with when that was, when so much of the file is verified. */
async function fetched(get: MeasuredProcess, bytes: number): Promise<number> {
  const { at } = await get.event(
    (event) => event.event === 'progress' && Number(event['verifiedBytes']) >= bytes,
    TRANSFER_TIMEOUT_MS,
  )
  return at
}
