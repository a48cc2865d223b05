/** Each alarm: raised by its cause, the same object while that lasts, and over with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../src/fleet/membership/roster.ts'
import { FleetPicture } from '../../../src/fleet/picture/fleet-picture.ts'
import type { AlarmKind, CoordinatorStatus } from '../../../src/fleet/status.ts'
import { printable } from '../../../src/log.ts'
import type { OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { cpuTimeMs } from '../../helpers/cpu-time.ts'
import { hashOf, infoOf, shardOf } from '../../swarm-unit/catalogue-kit.ts'

function setUp(wantedReplicas: number) {
  let now = 0
  const picture = new FleetPicture({
    fleet: { name: 'lab', keyed: false, rendezvous: hashOf(1) },
    wantedReplicas,
    onChange: () => undefined,
  })
  const roster = new Roster(picture, () => now)
  return {
    picture,
    alarms: (kind?: AlarmKind) =>
      picture
        .snapshot({ turnedAway: {} } as CoordinatorStatus)
        .alarms.filter((alarm) => !kind || alarm.kind === kind),
    online: (host: number, put: readonly OfferedShard[], rottenShards?: number) => {
      const integrity = rottenShards === undefined ? undefined : { rottenShards, recheckedAt: null }
      roster.online(infoOf(host, integrity && { integrity }), '10.0.0.1')
      roster.told(hashOf(host), { type: 'shards', put, drop: [], isPartial: false })
    },
    drop: (host: number, ...numbers: number[]) =>
      roster.told(hashOf(host), { type: 'shards', put: [], drop: numbers.map(hashOf), isPartial: false }),
    leave: (host: number) => roster.away(hashOf(host), true),
    lose: (host: number) => {
      roster.away(hashOf(host), false)
      now += 5_000
      roster.sweep()
    },
    forget: () => {
      now += 30_000
      roster.sweep()
    },
  }
}

const part = (number: number, count = 3, change: Partial<OfferedShard> = {}) =>
  shardOf(100 + number, {
    model: 'set',
    name: `set-0000${number}-of-0000${count}.gguf`,
    number,
    count,
    ...change,
  })

test('no-seeds: the host that had it is lost, or nobody ever had all of it', () => {
  const { alarms, online, lose } = setUp(1)
  online(1, [shardOf(1)])
  online(2, [shardOf(2, { state: 'fetching', verifiedBytes: 4 })])
  assert.deepEqual(
    alarms('no-seeds').map(({ infoHash }) => infoHash),
    [hashOf(2)],
  )
  lose(1)
  const both = alarms('no-seeds')
  assert.equal(both.length, 2)
  assert.equal(
    alarms('no-seeds').find(({ infoHash }) => infoHash === hashOf(2)),
    both.find(({ infoHash }) => infoHash === hashOf(2)),
  )
  online(1, [shardOf(1)])
  online(2, [shardOf(2)])
  assert.deepEqual(alarms('no-seeds'), [])
})

test('few-seeds: fewer than wanted, a warning that fills no log', () => {
  const { picture, alarms, online } = setUp(2)
  online(1, [shardOf(1)])
  const [alarm] = alarms('few-seeds')
  assert.equal(alarm?.severity, 'warning')
  assert.match(alarm.message, /1 whole copy of model-1\.gguf .* 2 are wanted/)
  online(2, [shardOf(1)])
  assert.deepEqual(alarms('few-seeds'), [])
  assert.ok(!picture.events.some(({ kind }) => kind === 'alarm' || kind === 'alarm-over'))
})

test('host-lost: until it is back or says goodbye, also after it is shown no more', () => {
  const { picture, alarms, online, lose, leave, forget } = setUp(1)
  online(1, [])
  online(2, [])
  lose(1)
  assert.deepEqual(
    alarms().map(({ kind, hostId }) => [kind, hostId]),
    [['host-lost', hashOf(1)]],
  )
  forget()
  assert.equal(alarms('host-lost').length, 1)
  online(1, [])
  assert.deepEqual(alarms(), [])
  leave(2)
  assert.deepEqual(alarms(), [], 'who says goodbye is not lost')
  assert.deepEqual(
    picture.events.map(({ kind }) => kind).filter((kind) => kind.startsWith('alarm')),
    ['alarm', 'alarm-over'],
  )
})

test('missing-shard: two sets of one name and different sizes have one each', () => {
  const { alarms, online } = setUp(1)
  online(1, [
    part(1, 3),
    shardOf(200, { model: 'set', name: 'set-00001-of-00002.gguf', number: 1, count: 2 }),
  ])
  assert.deepEqual(
    alarms('missing-shard').map(({ model, message }) => [model, / of (\d)/.exec(message)?.[1]]),
    [
      ['set', '2'],
      ['set', '3'],
    ],
  )
  assert.ok(alarms().every((alarm) => !('count' in alarm)))
})

test('missing-shard: a set of which nobody has all', () => {
  const { alarms, online, drop } = setUp(1)
  online(1, [part(1), part(3)])
  const [alarm] = alarms('missing-shard')
  assert.match(alarm!.message, /model set: shard 2 of 3 is on no host/)
  assert.equal(alarm?.model, 'set')
  online(2, [part(2)])
  assert.deepEqual(alarms('missing-shard'), [])
  drop(2, 102)
  assert.equal(alarms('missing-shard').length, 1)
})

test('name-conflict: one name, different files', () => {
  const { alarms, online, drop } = setUp(1)
  online(1, [part(1), part(2), part(3)])
  online(2, [{ ...part(2), infoHash: hashOf(500), sha256: 'e'.repeat(64) }])
  assert.deepEqual(
    alarms('name-conflict').map(({ model }) => model),
    ['set'],
  )
  assert.deepEqual(alarms('sha256-conflict'), [], 'two infohashes are no contradiction')
  drop(2, 500)
  assert.deepEqual(alarms('name-conflict'), [])
})

test('sha256-conflict: one infohash, different SHA-256; over when they agree', () => {
  const { alarms, online } = setUp(1)
  online(1, [shardOf(1)])
  online(2, [shardOf(1, { sha256: 'e'.repeat(64) })])
  const [alarm] = alarms('sha256-conflict')
  assert.equal(alarm?.severity, 'critical')
  assert.equal(alarm, alarms('sha256-conflict')[0])
  online(2, [shardOf(1)])
  assert.deepEqual(alarms('sha256-conflict'), [])
})

test('what hosts call themselves and their files is printable in every alarm', () => {
  const { picture, alarms, online, lose } = setUp(2)
  const evil = '\u202e<script>.gguf'
  online(1, [shardOf(1, { name: evil, model: evil }), part(1)])
  lose(1)
  for (const { message } of [...alarms(), ...picture.events]) {
    assert.equal(printable(message), message)
  }
})

test('ten thousand shards without a seed are 500 alarms, the critical ones first', () => {
  const { alarms, online, lose } = setUp(2)
  online(
    2,
    Array.from({ length: 1_000 }, (_, at) => shardOf(20_000 + at)),
  )
  online(
    1,
    Array.from({ length: 10_000 }, (_, at) => shardOf(at)),
  )
  const begun = cpuTimeMs()
  lose(1)
  const all = alarms()
  assert.ok(cpuTimeMs() - begun < 2_000)
  assert.equal(all.length, 500)
  assert.ok(all.every(({ severity }) => severity === 'critical'))
})

test('rotten: a host found its own bytes changed; over when it finds no more, or leaves', () => {
  const { alarms, online, leave, lose } = setUp(1)
  online(1, [shardOf(1)], 0)
  online(2, [shardOf(1)])
  assert.deepEqual(alarms('rotten'), [])
  online(1, [shardOf(1)], 1)
  const [first] = alarms('rotten')
  assert.equal(first?.severity, 'critical')
  assert.equal(first?.hostId, hashOf(1))
  online(1, [shardOf(1)], 1)
  assert.equal(alarms('rotten')[0], first)
  online(1, [shardOf(1)], 3)
  assert.match(alarms('rotten')[0]?.message ?? '', /3 shards of host/)
  assert.equal(alarms('rotten')[0]?.since, first?.since)
  lose(1)
  assert.equal(alarms('rotten').length, 1, 'a lost host has not healed')
  online(1, [shardOf(1)], 0)
  assert.deepEqual(alarms('rotten'), [])
  online(1, [shardOf(1)], 2)
  leave(1)
  assert.deepEqual(alarms('rotten'), [])
})
