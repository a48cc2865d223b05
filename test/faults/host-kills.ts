/** Hosts and bootstraps that are killed again and again, on the same folders, ports and ids. */
import assert from 'node:assert/strict'
import { mkdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import type { RunningProcess } from '../helpers/process.ts'
import type { Random } from '../helpers/random.ts'
import {
  assertGot,
  freeUdpPort,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { chooseDeath, describeDeath, type FolderWatch, runUntilDeath, startWatcher } from './kills.ts'

const SHARDS = ['a.gguf', 'b.gguf', 'c.gguf']
const SHARD_BYTES = 4_000_000
/** Start, hashing and the first announces are over by then. */
const LONGEST_MS = 3_000

/** Figures of a run. */
export interface ServiceKills {
  readonly kills: number
  /** Kills that came after it had said that it listens. */
  readonly listening: number
  readonly states: number
}

interface Scene {
  readonly folder: string
  readonly shards: string
  readonly state: string
  readonly watch: FolderWatch
}

async function setUp(t: TestContext, random: Random): Promise<Scene> {
  const folder = await scratchFolder(t)
  const [shards, state] = [join(folder, 'shards'), join(folder, 'home')]
  await mkdir(shards)
  for (const name of SHARDS) {
    await writeModel(join(shards, name), { bytes: SHARD_BYTES, seed: random.below(1_000_000), name })
  }
  return { folder, shards, state, watch: await startWatcher(t, [state], []) }
}

/** Kills a host while it starts, hashes, announces and writes state. */
export async function killHosts(t: TestContext, random: Random, enough: (kills: number) => boolean) {
  const { folder, shards, state, watch } = await setUp(t, random)
  const { address: bootstrap } = await startBootstrap(t)
  const args = ['seed', shards, '--bind', '127.0.0.1', '--bootstrap', bootstrap, '--json']
  const command = [...args, '--state-dir', join(state, 'state'), '--torrents-dir', join(state, 'torrents')]
  const told = new Map<string, string>()
  const result = await killAgain(t, { random, enough, watch, command }, async (running) => {
    for (const event of running.events()) {
      if (event.event === 'listening') same(told, 'hostId', event.hostId)
      if (event.event === 'seeding') same(told, event.file, event.infoHash)
    }
    // Hashed again at the next start: its times are not those of the record.
    await utimes(join(shards, random.pick(SHARDS)), new Date(), new Date())
  })
  await t.test('and what it seeds can be fetched', async (t) => {
    const host = await startHost(t, shards, { bootstrap, home: state })
    const seeding = await Promise.all(SHARDS.map((name) => host.announced(name)))
    for (const { file, infoHash } of seeding) same(told, file, infoHash)
    const ids = seeding.map(({ infoHash }) => infoHash)
    const originals = SHARDS.map((name) => join(shards, name))
    await assertGot(await runGet(t, ids, { bootstrap, out: join(folder, 'out') }), originals)
  })
  const { states } = await watch.end()
  return { ...result, states }
}

/** Kills a bootstrap under a host that lives; in the end it knows the host's shard again. */
export async function killBootstraps(t: TestContext, random: Random, enough: (kills: number) => boolean) {
  const { folder, shards, state, watch } = await setUp(t, random)
  const port = await freeUdpPort()
  const bootstrap = `127.0.0.1:${port}`
  const host = await startHost(t, shards, { bootstrap })
  await host.seeding('a.gguf')
  const at = ['--bind', '127.0.0.1', '--port', String(port), '--state-dir', join(state, 'state')]
  const told = new Map<string, string>()
  const result = await killAgain(
    t,
    { random, enough, watch, command: ['bootstrap', ...at, '--json'] },
    async (running) => {
      for (const event of running.events()) {
        // A bootstrap tells its node id instead of a host id.
        if (event.event === 'listening') same(told, 'nodeId', (event as unknown as { nodeId: string }).nodeId)
      }
    },
  )
  await t.test('and it is told everything again', async (t) => {
    const { nodeId } = await startBootstrap(t, { stateDir: join(state, 'state'), port })
    same(told, 'nodeId', nodeId)
    const { infoHash } = await host.announced('a.gguf')
    await until(
      async () => {
        const args = ['--timeout', '10']
        const got = await runGet(t, [infoHash], { bootstrap, out: join(folder, 'out'), args })
        return got.code === 0
      },
      { timeoutMs: PATIENCE_MS, what: 'the shard is found by DHT' },
    )
  })
  const { states } = await watch.end()
  return { ...result, states }
}

interface Killing {
  readonly random: Random
  readonly enough: (kills: number) => boolean
  readonly watch: FolderWatch
  readonly command: readonly string[]
}

async function killAgain(
  t: TestContext,
  { random, enough, watch, command }: Killing,
  afterwards: (running: RunningProcess) => Promise<void>,
): Promise<Omit<ServiceKills, 'states'>> {
  let [kills, listening] = [0, 0]
  let isWell = true // after a failure nothing is to be learned, and kills may not count up any more
  while (isWell && !enough(kills)) {
    const death = chooseDeath(random, { longestMs: LONGEST_MS })
    isWell = false
    await t.test(`kill ${kills + 1}: ${describeDeath(death)}`, async (t) => {
      const { signal, running } = await runUntilDeath(t, command, death, LONGEST_MS)
      watch.check()
      assert.equal(signal, 'SIGKILL', running.stderr)
      assert.doesNotMatch(running.stderr, /damaged|\(node:\d+\)|\n\s+at /)
      kills++
      if (running.events().some(({ event }) => event === 'listening')) listening++
      await afterwards(running)
      isWell = true
    })
  }
  return { kills, listening }
}

/** What was said once stays so. */
function same(told: Map<string, string>, what: string, value: string): void {
  assert.equal(value, told.get(what) ?? value, what)
  told.set(what, value)
}
