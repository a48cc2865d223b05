/** The coordinator's picture: what changes in it, and what stays the same object. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../src/fleet/membership/roster.ts'
import { FleetPicture } from '../../../src/fleet/picture/fleet-picture.ts'
import type { Alarm, AlarmKind, CoordinatorStatus } from '../../../src/fleet/status.ts'
import type { MemberInfo, OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { hashOf, infoOf, shardOf } from '../../swarm-unit/catalogue-kit.ts'

const COORDINATOR: CoordinatorStatus = {
  hostId: hashOf(999),
  version: '0.1.0',
  startedAt: new Date(0).toISOString(),
  dhtNodes: 1,
  isolated: false,
  turnedAway: {},
}

function setUp(wantedReplicas = 2) {
  let now = 0
  const picture = new FleetPicture({
    fleet: { name: null, keyed: true, rendezvous: hashOf(1) },
    wantedReplicas,
    onChange: () => undefined,
  })
  const roster = new Roster(picture, () => now)
  const tell = (host: number, put: readonly OfferedShard[], drop: readonly number[] = []) =>
    roster.told(hashOf(host), { type: 'shards', put, drop: drop.map(hashOf), isPartial: false })
  return {
    picture,
    tell,
    status: () => picture.snapshot(COORDINATOR),
    online: (host: number, shards: readonly OfferedShard[] = [], info: Partial<MemberInfo> = {}) => {
      roster.online(infoOf(host, info), '10.0.0.1')
      tell(host, shards)
    },
    beat: (host: number, shardCount: number, info: Partial<MemberInfo> = {}) =>
      roster.told(hashOf(host), { type: 'beat', info: infoOf(host, info), shardCount }),
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

const ofKind = (alarms: readonly Alarm[], kind: AlarmKind) => alarms.filter((alarm) => alarm.kind === kind)

test('whole seeds are the hosts that are online and have all of it', () => {
  const { status, online, lose, forget } = setUp()
  online(1, [shardOf(1)])
  online(2, [shardOf(1)])
  online(3, [shardOf(1, { state: 'fetching', verifiedBytes: 10 })])
  const [shard] = status().shards
  assert.equal(shard?.wholeSeeds, 2)
  assert.deepEqual(
    shard.copies.map(({ state, verifiedBytes }) => [state, verifiedBytes]),
    [
      ['seeding', 1_000_001],
      ['seeding', 1_000_001],
      ['fetching', 10],
    ],
  )
  lose(2)
  assert.equal(status().shards[0]?.wholeSeeds, 1)
  assert.equal(status().shards[0]?.copies.length, 3, 'what a lost host has is still shown')
  forget()
  assert.equal(status().shards[0]?.copies.length, 2)
})

test('what did not change is the same object', () => {
  const { status, online, tell, beat } = setUp()
  online(1, [shardOf(1), shardOf(2)])
  online(2, [shardOf(1), shardOf(2)])
  const before = status()
  assert.equal(status().shards, before.shards)
  assert.equal(status().models, before.models)
  assert.equal(status().alarms, before.alarms)

  beat(1, 2, { uploadBytesPerSecond: 5 })
  const beaten = status()
  assert.notEqual(beaten.hosts[0], before.hosts[0])
  assert.equal(beaten.hosts[1], before.hosts[1])
  assert.equal(beaten.shards, before.shards, 'a heartbeat changes no shard')

  tell(2, [shardOf(1, { state: 'fetching', verifiedBytes: 1 })])
  const changed = status()
  assert.notEqual(changed.shards[0], before.shards[0])
  assert.equal(changed.shards[1], before.shards[1])
  assert.equal(changed.models[1], before.models[1])
  assert.notEqual(changed.models[0], before.models[0])
})

test('a catalogue that is told again on a new connection changes nothing', () => {
  const { status, online } = setUp()
  online(1, [shardOf(1), shardOf(2)])
  const before = status()
  online(1, [shardOf(1), shardOf(2)])
  assert.equal(status().shards, before.shards)
  assert.equal(status().models, before.models)
})

test('one host that says something else of a shard does not change it for the others', () => {
  const { status, online, leave } = setUp()
  online(1, [shardOf(1)])
  online(2, [shardOf(1)])
  online(3, [shardOf(1, { name: 'evil.gguf', model: 'evil', length: 5, sha256: 'f'.repeat(64) })])
  const { shards, alarms } = status()
  assert.equal(shards.length, 1)
  assert.equal(shards[0]?.name, 'model-1.gguf')
  assert.equal(shards[0].length, 1_000_001)
  const [alarm] = ofKind(alarms, 'sha256-conflict')
  assert.equal(alarm?.hostId, hashOf(3))
  leave(3)
  assert.deepEqual(ofKind(status().alarms, 'sha256-conflict'), [])
})

test('a liar that was first is outvoted, and what it said goes with it', () => {
  const { status, online, tell } = setUp()
  online(1, [shardOf(1, { name: 'evil.gguf', sha256: 'f'.repeat(64) })])
  assert.equal(status().shards[0]?.name, 'evil.gguf', 'nobody else knows it')
  online(2, [shardOf(1)])
  const one = ofKind(status().alarms, 'sha256-conflict')
  assert.equal(one.length, 1)
  assert.equal(one[0]?.hostId, undefined, 'one against one: nobody can say who')
  online(3, [shardOf(1)])
  assert.equal(status().shards[0]?.name, 'model-1.gguf')
  assert.equal(ofKind(status().alarms, 'sha256-conflict')[0]?.hostId, hashOf(1))
  tell(1, [], [1]) // it withdraws the shard, and stays
  assert.deepEqual(ofKind(status().alarms, 'sha256-conflict'), [])
})

test('a header that is read later is taken over; who only fetches has no say', () => {
  const { status, online, tell } = setUp()
  online(1, [shardOf(1, { architecture: null })])
  online(2, [shardOf(1, { state: 'fetching', architecture: null, name: 'odd.gguf' })])
  online(3, [shardOf(1, { state: 'fetching', architecture: null, name: 'odd.gguf' })])
  tell(1, [shardOf(1)])
  assert.equal(status().shards[0]?.architecture, 'llama')
  assert.equal(status().shards[0]?.name, 'model-1.gguf')
})

test('hosts by name, shards by model and number, models by name; totals add up', () => {
  const { status, online } = setUp()
  const set = (number: number) =>
    shardOf(10 + number, { model: 'm', name: `m-0000${number}-of-00002.gguf`, number, count: 2, length: 100 })
  online(2, [set(2), shardOf(1, { length: 7 })], { name: 'b', uploadBytesPerSecond: 5 })
  online(1, [set(1), set(2)], { name: 'a', uploadBytesPerSecond: 6 })
  const { hosts, shards, models, totals } = status()
  assert.deepEqual(
    hosts.map(({ name }) => name),
    ['a', 'b'],
  )
  assert.deepEqual(
    shards.map(({ name }) => name),
    ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf', 'model-1.gguf'],
  )
  assert.deepEqual(
    models.map(({ name, weakestSeeds }) => [name, weakestSeeds]),
    [
      ['m', 1],
      ['model-1', 1],
    ],
  )
  assert.deepEqual(
    { ...totals },
    {
      hostsOnline: 2,
      hostsLost: 0,
      models: 2,
      wholeModels: 2,
      shards: 3,
      copies: 4,
      bytes: 207,
      copiesBytes: 307,
      uploadBytesPerSecond: 11,
      downloadBytesPerSecond: 0,
    },
  )
})

test('events: coming, news, copies, loss and leaving, each told once and printable', () => {
  const { picture, status, online, tell, lose, leave } = setUp(1)
  const since = () => picture.events.filter(({ id }) => id > told).map(({ kind }) => kind)
  let told = 0
  const mark = () => {
    told = picture.events.at(-1)?.id ?? 0
  }
  online(1, [shardOf(1), shardOf(2)], { name: 'red\u001b[31m\u202e' })
  status()
  assert.deepEqual(since(), ['host-online'])
  assert.match(
    picture.events[0]!.message,
    /^red\\x1b\[31m\\u202e \(10\.0\.0\.1:7000\) is online with 2 shards$/,
  )
  mark()
  online(1, [shardOf(1), shardOf(2)]) // its connection was made anew
  assert.deepEqual(since(), [])
  online(2)
  mark()
  tell(2, [shardOf(1, { state: 'fetching' })])
  tell(2, [shardOf(1, { state: 'fetching', verifiedBytes: 9 })])
  tell(2, [shardOf(1)])
  tell(2, [shardOf(3)])
  assert.deepEqual(since(), ['copy-started', 'copy-complete', 'shard-offered', 'copy-complete'])
  status()
  mark()
  lose(2)
  status()
  assert.deepEqual(since(), ['host-lost', 'alarm', 'alarm'], 'the host, and the shard that only it had')
  mark()
  leave(1)
  assert.deepEqual(since(), ['host-left', 'shard-withdrawn'], 'the shard that the lost one had not')
  assert.deepEqual(
    picture.events.map(({ id }) => id),
    picture.events.map((_, at) => at + 1),
  )
})

test('what is seen of a swarm stands beside what hosts say', () => {
  const { picture, status, online } = setUp()
  online(1, [shardOf(1)])
  picture.look(hashOf(1), { dhtPeersEstimate: 3 })
  picture.look(hashOf(1), { seen: { at: 'now', peers: 2, wholePeers: 1 } })
  picture.look(hashOf(2), { dhtPeersEstimate: 3 })
  const [shard] = status().shards
  assert.equal(shard?.dhtPeersEstimate, 3)
  assert.equal(shard.seen?.wholePeers, 1)
  assert.equal(shard.wholeSeeds, 1)
  assert.deepEqual(picture.whereabouts(hashOf(1))?.addresses, ['10.0.0.1:7000'])
  assert.equal(picture.whereabouts(hashOf(2)), undefined)
})
