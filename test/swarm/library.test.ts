/** The library's functions in this process: what a signal ends, what a failure leaves, what a fleet of them does. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import {
  createBootstrap,
  createCoordinator,
  createSeeder,
  get,
  NotFoundError,
  type RunningSeeder,
  SwarmError,
} from '../../src/index.ts'
import { afterTest } from '../helpers/after-test.ts'
import { assertPortsFree, holdTcpPort, PATIENCE_MS, scratchFolder } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const MODEL = join(import.meta.dirname, '../../fixtures/model')
const NOBODYS = '0123456789abcdef0123456789abcdef01234567'

async function startDht(t: TestContext): Promise<{ readonly bind: string; readonly bootstrap: string }> {
  const stateDir = join(await scratchFolder(t), 'bootstrap')
  const node = await createBootstrap({ bind: '127.0.0.1', port: 0, stateDir })
  afterTest(t, () => node.stop())
  return { bind: '127.0.0.1', bootstrap: node.address }
}

const foldersIn = (home: string) => ({ stateDir: join(home, 'state'), torrentsDir: join(home, 'torrents') })

test('a signal ends what runs, and what has not begun', async (t) => {
  const here = await startDht(t)
  const home = await scratchFolder(t)
  const controller = new AbortController()
  const { signal } = controller
  const seeder = await createSeeder(MODEL, { ...here, ...foldersIn(home), signal })
  await seeder.scanned
  assert.equal(seeder.shards.length, 4)
  const fleet = await createCoordinator({ ...here, fleet: 'x', signal })
  const reason = new Error('enough')
  const search = assert.rejects(get(NOBODYS, { ...here, out: home, timeoutMs: null, signal }), reason)
  const name = assert.rejects(
    get('nothing', { ...here, out: home, fleet: 'x', timeoutMs: null, signal }),
    reason,
  )
  controller.abort(reason)
  assert.equal(await seeder.ended, null)
  assert.equal(await fleet.ended, null)
  await Promise.all([search, name])
  await assertPortsFree({ tcp: seeder.port, udp: seeder.dhtPort })
  await assert.rejects(createSeeder(MODEL, { ...here, ...foldersIn(home), signal }), reason)
  await seeder.stop() // again, and nothing happens
})

test('what cannot start says why, and leaves nothing behind', async (t) => {
  const here = await startDht(t)
  const folders = foldersIn(await scratchFolder(t))
  const port = await holdTcpPort(t)
  const failed = (code: string) => (error: unknown) => error instanceof SwarmError && error.code === code
  await assert.rejects(createSeeder(MODEL, { ...here, ...folders, port }), failed('port-in-use'))
  await assert.rejects(
    createSeeder(MODEL, { ...here, ...folders, fleet: 'x', replicate: true }),
    failed('open-fleet'),
  )
  await assert.rejects(createCoordinator({ ...here, public: true }), failed('both-dhts'))
  await assert.rejects(get(NOBODYS, { ...here, peers: ['nowhere'] }), failed('bad-address'))
  await assert.rejects(get(NOBODYS, { ...here, timeoutMs: Number.NaN }), failed('bad-timeout'))
  await assert.rejects(createCoordinator({ ...here, replicas: 0 }), failed('bad-replicas'))
  for (const [options, code] of [
    [{ name: 'x'.repeat(300) }, 'bad-name'], // no member would take it
    [{ maxConns: 0 }, 'bad-max-conns'],
    [{ uploadBytesPerSecond: -1 }, 'bad-rate'],
    [{ webSeeds: ['https://models.example/gguf'] }, 'bad-url'],
  ] as const) {
    await assert.rejects(createSeeder(MODEL, { ...here, ...folders, ...options }), failed(code))
  }
  await using seeder = await createSeeder(MODEL, { ...here, ...folders })
  await assert.rejects(createSeeder(MODEL, { ...here, ...folders }), failed('locked'))
  assert.ok(seeder.port > 0)
})

test('hosts of a keyed fleet fetch what they lack, a coordinator sees it, and a model is fetched by name', async (t) => {
  const here = await startDht(t)
  const home = await scratchFolder(t)
  const fleetKey = join(home, 'fleet.key')
  await createKeyFile(fleetKey)
  const lacking = join(home, 'models')
  await mkdir(lacking)
  const all = { ...here, fleetKey }
  const events: string[] = []
  await using first = await createSeeder(MODEL, { ...all, ...foldersIn(join(home, 'a')), name: 'a' })
  await using second: RunningSeeder = await createSeeder(lacking, {
    ...all,
    ...foldersIn(join(home, 'b')),
    name: 'b',
    replicate: { isWanted: (name) => /-0000[123]-of-/.test(name) }, // by the shard's name or the model's
    onEvent: ({ event }) => events.push(event),
  })
  await until(() => second.shards.length === 3, { timeoutMs: PATIENCE_MS, what: 'three of four shards' })
  assert.equal(events.filter((event) => event === 'replicated').length, 3)
  await using fleet = await createCoordinator(all)
  let told = 0
  const unsubscribe = fleet.subscribe(() => told++)
  const isSeen = (): boolean => fleet.status.totals.hostsOnline === 2 && fleet.status.totals.copies === 7
  await until(isSeen, { timeoutMs: PATIENCE_MS, what: 'seven copies on two hosts' })
  await until(() => told > 0, { timeoutMs: PATIENCE_MS, what: 'a subscriber that is told' })
  unsubscribe()

  const out = join(home, 'got')
  const { name, path, shards } = await get('tiny-llama', { ...all, out })
  assert.deepEqual([name, path], ['tiny-llama', join(out, 'tiny-llama-00001-of-00004.gguf')])
  assert.deepEqual(
    shards.map(({ infoHash, sha256 }) => `${infoHash} ${sha256}`).sort(),
    first.shards.map(({ infoHash, sha256 }) => `${infoHash} ${sha256}`).sort(),
  )
  await assert.rejects(get('tiny-llama-2', { ...all, out }), NotFoundError)
})
