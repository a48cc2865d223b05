/** Replication that is interrupted: by a crash, by the only source, by people. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { heldBytes } from '../../src/fleet/download/partial.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { startCoordinator, startFleet, untilPictured } from '../helpers/fleet.ts'
import { PATIENCE_MS, untilSaid, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { assertCopies, eventsOf, MIB, QUIET_MS, untilAll } from './replicate-kit.ts'

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
