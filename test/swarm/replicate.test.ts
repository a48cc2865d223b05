/** Hosts that fetch from their fleet what they lack: all of it, what they want of it, and nothing that is in doubt. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { startCoordinator, startFleet, untilPictured } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  ended,
  PATIENCE_MS,
  scratchFolder,
  startQuietCli,
  theError,
  untilSaid,
  visibleFiles,
} from '../helpers/swarm.ts'
import { assertCopies, eventsOf, MIB, QUIET_MS, untilAll } from './replicate-kit.ts'

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

test('one name, different files: nothing is guessed, nothing is replaced, each is told once', async (t) => {
  const fleet = await startFleet(t, { hosts: 2, shards: 1 })
  const name = basename(fleet.originals[0]!)
  const [, other] = fleet.hosts
  const rival = join(other!.folder, name)
  await writeModel(rival, { bytes: MIB, seed: 77 })
  await other!.announced(name)
  await mkdir(join(fleet.folder, 'owner', 'shards'), { recursive: true })
  const mine = join(fleet.folder, 'owner', 'shards', name)
  await writeModel(mine, { bytes: MIB / 2, seed: 78 })
  const before = await readFile(mine)
  const owner = await fleet.startHost('owner', ['--replicate'])
  await owner.announced(name)
  const bystander = await fleet.startHost('bystander', ['--replicate'])
  for (const host of [bystander, owner]) {
    const told = await host.cli.waitForEvent('not-replicated', { timeoutMs: PATIENCE_MS })
    assert.equal(told.code, 'name-conflict')
    assert.match(told.reason, /rename all but one/)
  }
  // Else the file of `shard-0` would soon be the only one that it knows of. Who is met tells what it has at once.
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
  const got = await ended(startQuietCli(t, ['seed', await scratchFolder(t), ...fleet, ...args]))
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
