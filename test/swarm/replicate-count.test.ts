/** `--replicas N`: as many copies as are wanted, and no more, whoever comes and goes. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type FleetHost, startFleet } from '../helpers/fleet.ts'
import { PATIENCE_MS, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { copiesOf, eventsOf, MIB, QUIET_MS } from './replicate-kit.ts'

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
