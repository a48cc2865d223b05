/** Starts `target.ts`, asks how it is, and starts it again when something has ended it, so that inputs can be shrunk. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Defences } from '../../src/fleet/defences.ts'
import { type RunningProcess, startProcess } from '../helpers/process.ts'
import { until } from '../helpers/until.ts'
import { makeContent } from '../hostile/swarm-kit.ts'

/** A process that has not answered by then hangs: it is asked while nothing else is under way. */
const ANSWER_MS = 60_000
/** Heap of the process: what needs more than this for a few kilobytes of input ends it, and so the test fails. */
const HEAP_MB = 256

export type Order =
  | { readonly order: 'state' | 'ping' }
  | {
      readonly order: 'dial'
      readonly infoHash: string
      readonly host: string
      readonly port: number
    }
  | { readonly order: 'lookup'; readonly infoHash: string }

export interface Answer {
  readonly event: 'answer'
  readonly number: number
}

export interface State extends Defences {
  readonly keptBytes: number
  readonly highestHeapBytes: number
  readonly turnedAway: Readonly<Record<string, number>>
}

export type Place = 'seeded' | 'known' | 'unknown' | 'rendezvous' | 'nobody'

export interface Target {
  readonly pid: number
  readonly port: number
  readonly dhtPort: number
  readonly infoHashes: Readonly<Record<Place, string>>
  ask<T = object>(order: Order, timeoutMs?: number): Promise<T>
}

interface Listening extends Omit<Target, 'ask' | 'pid'> {
  readonly event: 'listening'
}

/** Gives the running target: the same one, until that has ended. */
export async function targetOf(
  t: TestContext,
  {
    bootstrap = [],
    maxConns = 500,
  }: { readonly bootstrap?: readonly string[]; readonly maxConns?: number } = {},
): Promise<() => Promise<Target>> {
  const folders = await Promise.all(
    [1, 2, 3].map(async (seed) => {
      const { folder, torrentFile } = await makeContent(t, { seed })
      await writeFile(join(folder, 'content.torrent'), torrentFile)
      return folder
    }),
  )
  const [seeded, known, unknown] = folders as [string, string, string]
  const args = ['--max-conns', String(maxConns), '--seeded', seeded, '--known', known, '--unknown', unknown]
  const nodes = bootstrap.flatMap((address) => ['--bootstrap', address])
  const script = join(import.meta.dirname, 'target.ts')
  const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MB}`]
  let running: Target | undefined
  return async () => {
    if (running !== undefined) return running
    const child = startProcess<Listening | Answer>(
      t,
      process.execPath,
      [...flags, script, ...args, ...nodes],
      {
        input: true,
      },
    )
    const { port, dhtPort, infoHashes } = await child.waitForEvent('listening', { timeoutMs: 120_000 })
    void child.exited.then(() => {
      running = undefined
    })
    running = { pid: child.pid, port, dhtPort, infoHashes, ask: asker(child) }
    return running
  }
}

function asker(child: RunningProcess<Listening | Answer>): Target['ask'] {
  let number = 0
  return async <T>(order: Order, timeoutMs = ANSWER_MS) => {
    const asked = ++number
    child.send(JSON.stringify({ ...order, number: asked }))
    const where = (answer: Answer): boolean => answer.number === asked
    return (await child.waitForEvent('answer', { timeoutMs, where })) as T
  }
}

/** What the target may keep of all that was said to it: some peers, some nodes, its own timers. */
const MAX_KEPT_BYTES = 30 * 1024 * 1024
/** Wires that are closed are let go of by timers of up to this long. */
const SETTLE_MS = 120_000

/** It lives, has kept next to nothing, and no datagram got past the checks to be caught behind them. */
export async function assertWell(t: TestContext, target: Target, before: State): Promise<void> {
  const grown = (state: State): number => state.keptBytes - before.keptBytes
  const state = await until(
    async () => {
      const now = await target.ask<State>({ order: 'state' })
      return grown(now) < MAX_KEPT_BYTES ? now : undefined
    },
    { timeoutMs: SETTLE_MS, everyMs: 500, what: 'the memory given back' },
  )
  const { datagrams, wires, incoming, turnedAway, highestHeapBytes } = state
  const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MB`
  const guards = JSON.stringify({ datagrams, wires, incoming, turnedAway })
  t.diagnostic(`${megabytes(grown(state))} kept, heap ${megabytes(highestHeapBytes)} at most, ${guards}`)
  assert.equal(datagrams.crashesCaught, 0, 'the checks come before the DHT library')
}
