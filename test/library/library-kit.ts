/** A library on a folder of its own, with short times, that writes down what it tells. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { HashPool } from '../../src/library/hash-pool.ts'
import { type ScanSummary, type ShardFile, ShardLibrary } from '../../src/library/shard-library.ts'
import type { SettleTimes } from '../../src/library/wholeness.ts'
import { afterTest } from '../helpers/after-test.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

/** One for all tests of a file, as starting its threads takes longer than what they do. */
const pool = new HashPool()
after(() => pool.stop())

/** A fraction of the real times, but far enough apart to tell one from another on a busy machine. */
export const TIMES: SettleTimes = {
  momentMs: 40,
  settleMs: 120,
  doubtMs: 350,
  giveUpMs: 500,
  changingMs: 450,
  abandonedMs: 1_000,
  askAgainMs: 50,
}

/** One call of a listener: `hashing a.gguf`, `shard a.gguf`, `gone a.gguf: …`, `rejected a.gguf empty`, … */
export type Told = readonly [what: string, file: string, detail: string]

export interface Kit {
  readonly library: ShardLibrary
  readonly told: Told[]
  readonly shards: ShardFile[]
  readonly warnings: string[]
  readonly scanned: ScanSummary[]
  /** How many files were handed to the pool. */
  hashes(): number
  /** What was told of one file, in order. */
  of(file: string): string[]
  /** Waits until `what` was told of `file` so many times, and gives the detail of the last. */
  heard(what: string, file: string, times?: number): Promise<string>
}

export interface World {
  readonly root: string
  readonly stateDir: string
  start(options?: {
    roots?: readonly string[]
    times?: Partial<SettleTimes>
    rescanMs?: number
    failHash?: (path: string) => Error | undefined
  }): Promise<Kit>
}

/** Folders that outlive one library, so that a restart can be played. */
export async function makeWorld(t: TestContext): Promise<World> {
  const folder = await temporaryFolder(t)
  const [root, stateDir] = [join(folder, 'models'), join(folder, 'state')]
  await mkdir(root)
  return { root, stateDir, start: (options = {}) => startKit(t, { roots: [root], stateDir, ...options }) }
}

async function startKit(
  t: TestContext,
  {
    roots,
    stateDir,
    times,
    rescanMs,
    failHash,
  }: { roots: readonly string[]; stateDir: string } & Parameters<World['start']>[0],
): Promise<Kit> {
  const [told, shards, warnings, scanned] = [
    [] as Told[],
    [] as ShardFile[],
    [] as string[],
    [] as ScanSummary[],
  ]
  let hashes = 0
  const library = new ShardLibrary(
    {
      roots,
      stateDir,
      log: { info() {}, warn: (line) => warnings.push(line) },
      hashPool: {
        hash: (job, options) => {
          hashes++
          const failure = failHash?.(job.path)
          return failure === undefined ? pool.hash(job, options) : Promise.reject(failure)
        },
      },
      times: { ...TIMES, ...times },
      ...(rescanMs !== undefined && { rescanMs }),
    },
    {
      onHashing: (file, length) => told.push(['hashing', file, String(length)]),
      onShard: (shard) => {
        shards.push(shard)
        told.push(['shard', shard.relativePath, shard.infoHash])
      },
      onGone: (shard, reason) => told.push(['gone', shard.relativePath, reason]),
      onRejected: (file, code, reason) => told.push(['rejected', file, `${code}: ${reason}`]),
      onAlias: (file, shard) => told.push(['alias', file, shard.relativePath]),
      onWaiting: (file, reason) => told.push(['waiting', file, reason]),
      onScanned: (summary) => scanned.push(summary),
    },
  )
  afterTest(t, () => library.stop())
  await library.start()
  return {
    library,
    told,
    shards,
    warnings,
    scanned,
    hashes: () => hashes,
    of: (file) => told.filter(([, name]) => name === file).map(([what]) => what),
    heard: async (what, file, count = 1) => {
      const found = await until(
        () => {
          const hits = told.filter(([kind, name]) => kind === what && name === file)
          return hits.length >= count ? hits : undefined
        },
        { timeoutMs: 30_000, what: () => `${what} of ${file} (${count}) among ${JSON.stringify(told)}` },
      )
      return found.at(-1)?.[2] ?? ''
    },
  }
}
