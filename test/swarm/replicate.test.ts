/** Hosts that fetch from their fleet what they lack: all of it, or as many copies as are wanted. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { heldBytes } from '../../src/fleet/partial.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { type Fleet, type FleetHost, startCoordinator, startFleet, untilPictured } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import type { CliEvent, EventNamed } from '../helpers/process.ts'
import { ended, PATIENCE_MS, startQuietCli, theError, untilSaid, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024
/** Longer than hosts take to decide again, and to see what the others decided. */
const QUIET_MS = 8_000

type Named<Name extends CliEvent['event']> = EventNamed<CliEvent, Name>

function eventsOf<Name extends CliEvent['event']>({ cli }: FleetHost, name: Name): readonly Named<Name>[] {
  return cli.events().filter((event): event is Named<Name> => event.event === name)
}

async function assertCopies(host: FleetHost, originals: readonly string[]): Promise<void> {
  assert.deepEqual(await visibleFiles(host.folder), originals.map((path) => basename(path)).sort())
  for (const original of originals) {
    const [wanted, got] = [await readFile(original), await readFile(join(host.folder, basename(original)))]
    assert.ok(wanted.equals(got), `${host.name} has other bytes in ${basename(original)}`)
  }
  assert.deepEqual(await readdir(host.folder), await visibleFiles(host.folder), 'nothing hidden is left')
}

/** How many hosts seed each of the originals. */
async function copiesOf(
  hosts: readonly FleetHost[],
  originals: readonly string[],
): Promise<readonly number[]> {
  const folders = await Promise.all(hosts.map(({ folder }) => visibleFiles(folder)))
  return originals.map((path) => folders.filter((names) => names.includes(basename(path))).length)
}

async function untilAll(hosts: readonly FleetHost[], { originals }: Pick<Fleet, 'originals'>): Promise<void> {
  await Promise.all(hosts.flatMap((host) => originals.map((path) => host.announced(basename(path)))))
}

test('four hosts with a shard each become four hosts with four, and none is hashed twice', async (t) => {
  const fleet = await startFleet(t, { args: ['--replicate'], bytes: 4 * MIB })
  const coordinator = await startCoordinator(t, fleet)
  const startedAt = Date.now()
  await untilAll(fleet.hosts, fleet)
  t.diagnostic(`16 copies ${Date.now() - startedAt} ms after the last host started`)
  for (const host of fleet.hosts) {
    await assertCopies(host, fleet.originals)
    assert.equal(eventsOf(host, 'hashing').length, 1, 'only its own')
    assert.deepEqual(eventsOf(host, 'withdrawn'), [])
    assert.deepEqual(eventsOf(host, 'not-replicated'), [])
    const begun = eventsOf(host, 'replicating').map(({ infoHash }) => infoHash)
    const done = eventsOf(host, 'replicated')
    assert.deepEqual(done.map(({ infoHash }) => infoHash).sort(), begun.sort())
    assert.equal(done.length, 3)
    for (const { file, infoHash, sha256, length } of done) {
      const seeding = await host.seeding(file)
      assert.deepEqual([seeding.infoHash, seeding.sha256, seeding.length], [infoHash, sha256, length])
    }
  }
  const { totals } = await untilPictured(coordinator, (status) => status.totals.copies === 16)
  assert.equal(totals.hostsOnline, 4)

  await t.test('a restart hashes and fetches nothing', async () => {
    const [host] = fleet.hosts
    await host!.cli.stop()
    const again = await fleet.startHost(host!.name)
    for (const path of fleet.originals) await again.seeding(basename(path))
    await pause(QUIET_MS)
    assert.deepEqual(eventsOf(again, 'hashing'), [])
    assert.deepEqual(eventsOf(again, 'replicating'), [])
  })
})

test('--replicas 2: two copies of each, no more; a host that is lost is made up for', async (t) => {
  const fleet = await startFleet(t, { hosts: 5, args: ['--replicate', '--replicas', '2'], bytes: 2 * MIB })
  const { originals } = fleet
  const areTwo = async (hosts: readonly FleetHost[]): Promise<boolean> =>
    (await copiesOf(hosts, originals)).every((count) => count >= 2)
  await until(() => areTwo(fleet.hosts), { timeoutMs: 2 * PATIENCE_MS, what: 'two copies of each' })
  await pause(QUIET_MS)
  assert.deepEqual(await copiesOf(fleet.hosts, originals), [2, 2, 2, 2, 2])
  const fetched = fleet.hosts.map((host) => eventsOf(host, 'replicated').length)
  assert.equal(
    fetched.reduce((sum, count) => sum + count),
    5,
  )
  t.diagnostic(`fetched by each: ${fetched}`)

  const [dead, ...alive] = fleet.hosts
  const lost = await visibleFiles(dead!.folder)
  assert.ok(lost.length > 0)
  dead!.cli.kill('SIGKILL')
  const startedAt = Date.now()
  await until(() => areTwo(alive), { timeoutMs: 3 * PATIENCE_MS, what: 'the lost copies' })
  t.diagnostic(
    `${lost.length} copies made anew ${Math.round((Date.now() - startedAt) / 1_000)} s after the host died`,
  )
  await pause(QUIET_MS)
  assert.deepEqual(await copiesOf(alive, originals), [2, 2, 2, 2, 2])
  for (const host of alive)
    assert.deepEqual(
      (await readdir(host.folder)).filter((name) => name.startsWith('.')),
      [],
    )
})

test('a host that is restarted is not made up for', async (t) => {
  const fleet = await startFleet(t, { hosts: 3, args: ['--replicate', '--replicas', '2'], shards: 1 })
  const { originals } = fleet
  const hasTwo = async (): Promise<boolean> => (await copiesOf(fleet.hosts, originals))[0] === 2
  await until(hasTwo, { timeoutMs: PATIENCE_MS, what: 'two copies' })
  const [first, ...others] = fleet.hosts
  first!.cli.kill('SIGKILL')
  await first!.cli.exited
  await pause(10_000) // longer than it takes to be called lost
  const again = await fleet.startHost(first!.name)
  await again.announced(basename(originals[0]!))
  await pause(30_000) // longer than a host that is really lost is waited for
  assert.deepEqual(await copiesOf([again, ...others], originals), [2])
})

test('--want and --max-bytes: only what matches, and no more than fits', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 4, bytes: MIB })
  const shard = (number: number): string => `tiny-0000${number}-of-00004.gguf`
  const picky = await fleet.startHost('picky', [
    '--replicate',
    '--want',
    '*-0000[13]-of-*',
    '--want',
    shard(4),
  ])
  const byModel = await fleet.startHost('model', ['--replicate', '--want', 'TINY', '--max-bytes', '2.5M'])
  const none = await fleet.startHost('none', ['--replicate', '--want', 'huge*'])
  for (const number of [1, 3, 4]) await picky.seeding(shard(number))
  const refusal = await byModel.cli.waitForEvent('not-replicated', { timeoutMs: PATIENCE_MS })
  assert.equal(refusal.code, 'max-bytes')
  await pause(QUIET_MS)
  assert.deepEqual(await visibleFiles(picky.folder), [1, 3, 4].map(shard))
  assert.deepEqual(await visibleFiles(none.folder), [])
  assert.equal((await visibleFiles(byModel.folder)).length, 2)
  assert.equal(eventsOf(byModel, 'not-replicated').length, 1, 'told once')

  await byModel.cli.stop()
  const again = await fleet.startHost('model', ['--replicate', '--max-bytes', '3.5M'])
  await again.cli.waitForEvent('replicated', { timeoutMs: PATIENCE_MS })
  await pause(QUIET_MS)
  assert.equal((await visibleFiles(again.folder)).length, 3, 'what was fetched before the restart is counted')
})

test('kill -9 while fetching: the next start goes on where it was', async (t) => {
  const rate = 2 * MIB
  const bytes = 24 * MIB
  const fleet = await startFleet(t, { hosts: 1, bytes, args: ['--upload-limit', String(rate)] })
  const first = await fleet.startHost('fetcher', ['--replicate'])
  const coordinator = await startCoordinator(t, fleet)
  const copyOf = ({ shards }: FleetStatus) => shards[0]?.copies.find(({ state }) => state === 'fetching')
  const isFar = (status: FleetStatus): boolean => (copyOf(status)?.verifiedBytes ?? 0) > bytes / 2
  const half = await untilPictured(coordinator, isFar, { what: 'half of it' })
  assert.equal(half.shards[0]?.wholeSeeds, 1)
  assert.deepEqual(await visibleFiles(first.folder), [], 'nothing shows before it is whole')
  first.cli.kill('SIGKILL')
  await first.cli.exited
  const again = await fleet.startHost('fetcher', ['--replicate'])
  const done = await again.cli.waitForEvent('replicated', { timeoutMs: PATIENCE_MS })
  const [begun] = eventsOf(again, 'replicating')
  const tookMs = Date.parse(done.time) - Date.parse(begun!.time)
  t.diagnostic(`the rest took ${tookMs} ms, all of it takes ${(bytes / rate) * 1_000}`)
  assert.ok(tookMs < ((bytes / rate) * 1_000 * 5) / 6, 'what was there is not fetched again')
  await untilPictured(coordinator, ({ shards }) => shards[0]?.wholeSeeds === 2)
  await assertCopies(again, fleet.originals)
  assert.deepEqual(eventsOf(again, 'hashing'), [])
})

test('hosts that fetch the same shard give each other what they have', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, bytes: 24 * MIB, args: ['--upload-limit', '1M'] })
  const coordinator = await startCoordinator(t, fleet)
  await Promise.all(['left', 'right'].map((name) => fleet.startHost(name, ['--replicate'])))
  const givers = ({ hosts }: FleetStatus) =>
    hosts.filter((host) => host.fetching === 1 && host.seeding === 0 && host.uploadBytesPerSecond > 0)
  await untilPictured(coordinator, (status) => givers(status).length > 0, {
    what: 'a fetching host that uploads',
  })
})

test('the only host that has it dies in the middle and comes back', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, bytes: 16 * MIB, args: ['--upload-limit', '2M'] })
  const host = await fleet.startHost('patient', ['--replicate'])
  const { infoHash } = await host.cli.waitForEvent('replicating', { timeoutMs: PATIENCE_MS })
  const isHalf = async (): Promise<boolean> => (await heldBytes(host.folder, infoHash)) > 6 * MIB
  await until(isHalf, { timeoutMs: PATIENCE_MS, what: 'half of it' })
  const [source] = fleet.hosts
  source!.cli.kill('SIGKILL')
  await untilSaid(host.cli, new RegExp(`Host ${source!.name} .* is lost`))
  await fleet.startHost(source!.name)
  const { file } = await host.cli.waitForEvent('replicated', { timeoutMs: PATIENCE_MS })
  assert.equal(file, basename(fleet.originals[0]!))
  await assertCopies(host, fleet.originals)
  assert.equal(eventsOf(host, 'replicating').length, 1, 'it was waited for')
})

test('what a person removes stays removed until the host is started again', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 2 })
  const host = await fleet.startHost('tidy', ['--replicate'])
  await untilAll([host], fleet)
  const name = basename(fleet.originals[0]!)
  await rm(join(host.folder, name))
  const told = await host.cli.waitForEvent('not-replicated', { timeoutMs: PATIENCE_MS })
  assert.deepEqual([told.code, told.name], ['removed', name])
  await pause(QUIET_MS)
  assert.deepEqual(await visibleFiles(host.folder), [basename(fleet.originals[1]!)])
  await host.cli.stop()
  const again = await fleet.startHost('tidy', ['--replicate'])
  await untilAll([again], fleet)
  await assertCopies(again, fleet.originals)
})

test('a copy that comes another way while it is fetched is the one that stays', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, bytes: 24 * MIB, args: ['--upload-limit', '1M'] })
  const [original] = fleet.originals
  const host = await fleet.startHost('lucky', ['--replicate'])
  await host.cli.waitForEvent('replicating', { timeoutMs: PATIENCE_MS })
  await mkdir(join(host.folder, 'sub'))
  await copyFile(original!, join(host.folder, 'sub', '.copying'))
  await rename(join(host.folder, 'sub', '.copying'), join(host.folder, 'sub', basename(original!)))
  const told = await host.cli.waitForEvent('not-replicated', { timeoutMs: PATIENCE_MS })
  assert.equal(told.code, 'present')
  await host.announced(join('sub', basename(original!)))
  await until(async () => (await readdir(host.folder)).length === 1, {
    timeoutMs: PATIENCE_MS,
    what: 'no partial',
  })
  const coordinator = await startCoordinator(t, fleet)
  await untilPictured(coordinator, ({ shards }) => shards[0]?.wholeSeeds === 2)
})

test('one name, different files: nothing is guessed, nothing is replaced, each is told once', async (t) => {
  const fleet = await startFleet(t, { hosts: 2, shards: 1 })
  const name = basename(fleet.originals[0]!)
  const [, other] = fleet.hosts
  const rival = join(other!.folder, name)
  await writeModel(rival, { bytes: MIB, seed: 77 })
  await other!.announced(name)
  const bystander = await fleet.startHost('bystander', ['--replicate'])
  await mkdir(join(fleet.folder, 'owner', 'shards'), { recursive: true })
  const mine = join(fleet.folder, 'owner', 'shards', name)
  await writeModel(mine, { bytes: MIB / 2, seed: 78 })
  const before = await readFile(mine)
  const owner = await fleet.startHost('owner', ['--replicate'])
  for (const host of [bystander, owner]) {
    const told = await host.cli.waitForEvent('not-replicated', { timeoutMs: PATIENCE_MS })
    assert.equal(told.code, 'name-conflict')
    assert.match(told.reason, /rename all but one/)
  }
  await untilSaid(bystander.cli, 'Met host owner')
  await other!.cli.stop() // one rival is left, and the name is taken here
  const occupied = await owner.cli.waitForEvent('not-replicated', {
    timeoutMs: PATIENCE_MS,
    where: ({ code }) => code === 'occupied',
  })
  assert.equal(occupied.name, name)
  await pause(QUIET_MS)
  assert.ok(before.equals(await readFile(mine)), 'the file that was there is untouched')
  assert.deepEqual(await visibleFiles(bystander.folder), [], 'the owner offers another file still')
  for (const host of [bystander, owner]) {
    const told = eventsOf(host, 'not-replicated').map(({ code }) => code)
    assert.deepEqual(told, [...new Set(told)])
    assert.deepEqual(eventsOf(host, 'replicating'), [])
  }
})

async function refusalOf(t: TestContext, args: readonly string[]): Promise<string> {
  const fleet = ['--fleet', 'everybody', '--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--json']
  const got = await ended(startQuietCli(t, ['seed', '/tmp', ...fleet, ...args]))
  assert.equal(got.code, 2, got.stderr)
  return theError(got).code
}

test('open fleets are not replicated unless they are trusted, and options are checked', async (t) => {
  assert.equal(await refusalOf(t, ['--replicate']), 'open-fleet')
  assert.equal(await refusalOf(t, ['--want', '*']), 'not-replicating')
  const trusted = ['--replicate', '--trust-open-fleet']
  assert.equal(await refusalOf(t, [...trusted, '--want', 'a/b']), 'bad-glob')
  assert.equal(await refusalOf(t, [...trusted, '--replicas', '0']), 'bad-replicas')
  assert.equal(await refusalOf(t, [...trusted, '--max-bytes', 'much']), 'bad-size')
})
