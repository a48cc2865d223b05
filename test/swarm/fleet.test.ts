/** Hosts find each other by DHT alone, tell what they have, and come and go: as a coordinator sees it. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { startCoordinator, startFleet, untilPictured } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { endedBy, startHost } from '../helpers/swarm.ts'

/** What the program promises of a host that starts, and of one that is killed. */
const SEEN_WITHIN_MS = 5_000
const GONE_WITHIN_MS = 60_000

test('a coordinator sees every host and shard; a new host within 5 s, a killed one is gone within 60 s', async (t) => {
  const fleet = await startFleet(t)
  const coordinator = await startCoordinator(t, fleet, { watchesSwarms: true })
  const whole = await untilPictured(
    coordinator,
    ({ totals }) => totals.hostsOnline === 4 && totals.copies === 4,
  )
  assert.deepEqual(
    whole.hosts.map(({ name, state, seeding }) => ({ name, state, seeding })),
    [0, 1, 2, 3].map((index) => ({ name: `shard-${index}`, state: 'online', seeding: 1 })),
  )
  const [model] = whole.models
  assert.ok(model !== undefined && whole.models.length === 1)
  assert.deepEqual([model.name, model.count, model.missing, model.weakestSeeds], ['tiny', 4, [], 1])
  assert.deepEqual(
    whole.shards.map(({ name, number }) => ({ name, number })),
    fleet.originals.map((path, index) => ({ name: basename(path), number: index + 1 })),
  )

  const startedAt = Date.now()
  const late = await fleet.startHost('late')
  await untilPictured(coordinator, ({ hosts }) => hosts.some(({ name }) => name === 'late'), {
    what: 'the new host',
  })
  const seenAfterMs = Date.now() - startedAt
  assert.ok(seenAfterMs <= SEEN_WITHIN_MS, `a new host was seen after ${seenAfterMs} ms`)

  await untilPictured(coordinator, ({ shards }) => shards.every(({ seen }) => seen?.wholePeers === 1), {
    what: 'bitfields seen on the wire',
  })

  const stoppedAt = Date.now()
  await endedBy(late.cli, 'SIGTERM')
  const left = await untilPictured(coordinator, ({ hosts }) => hosts.every(({ name }) => name !== 'late'), {
    what: 'the host that left',
  })
  assert.ok(Date.now() - stoppedAt < SEEN_WITHIN_MS, 'a host that says goodbye is gone at once')
  assert.ok(!left.alarms.some(({ kind }) => kind === 'host-lost'), 'and nobody is alarmed')

  const killedAt = Date.now()
  fleet.hosts[3]!.cli.kill('SIGKILL')
  const lost = await untilPictured(coordinator, ({ totals }) => totals.hostsLost === 1, {
    what: 'the lost host',
  })
  const kinds = new Set(lost.alarms.map(({ kind }) => kind))
  assert.ok(kinds.has('host-lost') && kinds.has('no-seeds'), [...kinds].join(' '))
  assert.equal(lost.models[0]?.weakestSeeds, 0)
  await untilPictured(coordinator, ({ hosts }) => hosts.length === 3, { what: 'the end of the lost host' })
  const goneAfterMs = Date.now() - killedAt
  assert.ok(goneAfterMs <= GONE_WITHIN_MS, `gone after ${goneAfterMs} ms`)

  await fleet.startHost('shard-3')
  const back = await untilPictured(coordinator, ({ totals }) => totals.copies === 4, {
    what: 'the host that is back',
  })
  assert.ok(!back.alarms.some(({ kind }) => kind === 'host-lost'), 'the alarm is over')
})

test('files that come and go show in the picture; the same shard on two hosts is two copies', async (t) => {
  const fleet = await startFleet(t, { hosts: 2 })
  const coordinator = await startCoordinator(t, fleet)
  await untilPictured(coordinator, ({ totals }) => totals.copies === 2)
  for (const host of fleet.hosts)
    await writeModel(join(host.folder, 'solo.gguf'), { bytes: 700_000, seed: 9 })
  const two = await untilPictured(coordinator, ({ models }) =>
    models.some(({ weakestSeeds, architecture }) => weakestSeeds === 2 && architecture !== null),
  )
  const solo = two.models.find(({ name }) => name === 'solo')
  assert.deepEqual([solo?.count, solo?.missing, solo?.architecture], [1, [], 'test'])

  await writeModel(join(fleet.hosts[0]!.folder, 'solo.gguf'), { bytes: 700_000, seed: 10 })
  const conflict = await untilPictured(coordinator, ({ alarms }) =>
    alarms.some(({ kind }) => kind === 'name-conflict'),
  )
  assert.equal(conflict.shards.filter(({ name }) => name === 'solo.gguf').length, 2)

  for (const host of fleet.hosts) await rm(join(host.folder, 'solo.gguf'))
  await untilPictured(coordinator, ({ shards }) => shards.every(({ name }) => name !== 'solo.gguf'))
})

test('a host with another key, or with none, is not met and learns nothing', async (t) => {
  const fleet = await startFleet(t, { hosts: 1 })
  const coordinator = await startCoordinator(t, fleet)
  await untilPictured(coordinator, ({ totals }) => totals.copies === 1)
  const otherKey = join(fleet.folder, 'other.key')
  await createKeyFile(otherKey)
  const home = { bootstrap: fleet.bootstrap.address }
  const shards = fleet.hosts[0]!.folder
  const stranger = await startHost(t, shards, {
    ...home,
    args: ['--fleet-key', otherKey, '--name', 'stranger'],
  })
  const open = await startHost(t, shards, { ...home, args: ['--fleet', 'open', '--name', 'open'] })
  await stranger.announced(basename(fleet.originals[0]!))
  await open.announced(basename(fleet.originals[0]!))
  await fleet.startHost('friend')
  const met = await untilPictured(coordinator, ({ hosts }) => hosts.some(({ name }) => name === 'friend'))
  assert.deepEqual(met.hosts.map(({ name }) => name).sort(), ['friend', 'shard-0'])
  assert.doesNotMatch(stranger.cli.stderr + open.cli.stderr, /Met host/)
})
