/** The hosts a member knows: what comes, goes, comes back and is no longer believed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from '../../../src/fleet/membership/roster.ts'
import type { CatalogueMessage, OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { hashOf, infoOf, shardOf } from '../../swarm-unit/catalogue-kit.ts'

const ADDRESS = '10.0.0.1'

function setUp() {
  const news: string[] = []
  let now = 0
  const roster = new Roster(
    {
      onHost: ({ info }, change) => news.push(`${info.name} ${change}`),
      onShard: ({ info }, infoHash, shard) =>
        news.push(`${info.name} ${shard === null ? 'drops' : shard.state} ${Number.parseInt(infoHash, 16)}`),
    },
    () => now,
  )
  return {
    roster,
    /** What was told since it was asked for last. */
    news: () => news.splice(0),
    later: (ms: number) => {
      now += ms
      roster.sweep()
    },
    tell: (
      host: number,
      put: readonly OfferedShard[],
      change: Partial<CatalogueMessage & { type: 'shards' }> = {},
    ) => roster.told(hashOf(host), { type: 'shards', put, drop: [], isPartial: false, ...change }),
    beat: (host: number, shardCount: number) =>
      roster.told(hashOf(host), { type: 'beat', info: infoOf(host), shardCount }),
    host: (host: number) => roster.hosts().find(({ info }) => info.hostId === hashOf(host)),
  }
}

test('online, away, lost, forgotten; and back in time, as if nothing had been', () => {
  const { roster, news, later, host } = setUp()
  roster.online(infoOf(1), ADDRESS)
  assert.equal(host(1)?.address, '10.0.0.1:7000')
  assert.deepEqual(news(), ['host-1 online'])

  roster.away(hashOf(1), false)
  later(4_999)
  assert.equal(host(1)?.state, 'online', 'a connection that breaks is no loss yet')
  roster.online(infoOf(1), ADDRESS)
  later(60_000)
  assert.equal(host(1)?.state, 'online')
  assert.deepEqual(news(), ['host-1 changed'])

  roster.away(hashOf(1), false)
  later(5_000)
  assert.equal(host(1)?.state, 'lost')
  assert.deepEqual(news(), ['host-1 lost'])
  later(29_999)
  assert.deepEqual(news(), [])
  later(1)
  assert.equal(host(1), undefined)
  assert.deepEqual(news(), ['host-1 forgotten'])
})

test('a lost host that comes back is online again; one that says goodbye is gone at once', () => {
  const { roster, news, later, tell, host } = setUp()
  roster.online(infoOf(1), ADDRESS)
  tell(1, [shardOf(1)])
  roster.away(hashOf(1), false)
  later(5_000)
  news()
  roster.online(infoOf(1), ADDRESS)
  assert.deepEqual(news(), ['host-1 online'])
  roster.away(hashOf(1), true)
  assert.equal(host(1), undefined)
  assert.deepEqual(news(), ['host-1 left'])
  roster.away(hashOf(1), false)
  later(100_000)
  assert.deepEqual(news(), [])
})

test('a catalogue told on a new connection replaces the old one: the rest is dropped when all has arrived', () => {
  const { roster, news, tell, host } = setUp()
  roster.online(infoOf(1), ADDRESS)
  tell(1, [shardOf(1), shardOf(2), shardOf(3)])
  assert.equal(host(1)?.complete, true)
  news()
  roster.away(hashOf(1), false)
  roster.online(infoOf(1), ADDRESS)
  assert.equal(host(1)?.complete, false)
  assert.equal(host(1)?.shards.size, 3, 'until then what it had is what is known')
  tell(1, [shardOf(2)], { isPartial: true })
  assert.equal(host(1)?.shards.size, 3)
  tell(1, [shardOf(4)])
  assert.deepEqual([...host(1)!.shards.keys()], [hashOf(2), hashOf(4)])
  assert.deepEqual(news(), [
    'host-1 changed',
    'host-1 seeding 4',
    'host-1 drops 1',
    'host-1 drops 3',
    'host-1 changed',
  ])
})

test('what is told twice is no news; a withdrawal of what is not there neither', () => {
  const { roster, news, tell } = setUp()
  roster.online(infoOf(1), ADDRESS)
  tell(1, [shardOf(1)])
  news()
  tell(1, [shardOf(1)], { drop: [hashOf(9)] })
  assert.deepEqual(news(), [])
  tell(1, [], { drop: [hashOf(1)] })
  assert.deepEqual(news(), ['host-1 drops 1'])
})

test('a count that is wrong twice with no page between is a lie or a loss', () => {
  const { roster, tell, beat } = setUp()
  roster.online(infoOf(1), ADDRESS)
  beat(1, 7) // before the catalogue is complete nothing can be said
  beat(1, 7)
  tell(1, [shardOf(1)])
  beat(1, 3)
  tell(1, [shardOf(2)])
  beat(1, 3) // its pages are on their way
  tell(1, [shardOf(3)])
  beat(1, 3)
  beat(1, 4)
  assert.throws(() => beat(1, 4), { reason: 'malformed' })
})

test('equal offers are one object, whoever makes them, and are not kept when nobody does', () => {
  const { roster, tell, host } = setUp()
  for (const number of [1, 2, 3]) {
    roster.online(infoOf(number), ADDRESS)
    tell(number, [shardOf(1)])
  }
  const of = (number: number) => host(number)!.shards.get(hashOf(1))!
  assert.equal(of(1), of(2))
  tell(3, [shardOf(1, { sha256: 'f'.repeat(64) })])
  assert.notEqual(of(3), of(1))
  tell(2, [shardOf(1, { state: 'fetching', verifiedBytes: 5 })])
  assert.equal(of(2).verifiedBytes, 5)
  assert.equal(of(1).state, 'seeding')
})

test('a host has 10,000 shards at most, those it no longer has not counted', () => {
  const { roster, tell, host } = setUp()
  const many = (from: number, count: number) => Array.from({ length: count }, (_, at) => shardOf(from + at))
  roster.online(infoOf(1), ADDRESS)
  tell(1, many(0, 10_000))
  assert.throws(() => tell(1, [shardOf(10_000)]), { reason: 'too-many' })
  tell(1, [shardOf(5, { verifiedBytes: 1, state: 'fetching' })]) // a change is no addition
  roster.online(infoOf(1), ADDRESS)
  tell(1, many(20_000, 6_000), { isPartial: true })
  tell(1, many(26_000, 4_000))
  assert.equal(host(1)?.shards.size, 10_000)
})

test('made-up shards of made-up hosts end at 100,000, and make room when their host is forgotten', () => {
  const { roster, tell } = setUp()
  const many = (from: number) => Array.from({ length: 10_000 }, (_, at) => shardOf(from + at))
  for (let host = 0; host < 10; host++) {
    roster.online(infoOf(host), ADDRESS)
    tell(host, many(host * 10_000))
  }
  roster.online(infoOf(10), ADDRESS)
  tell(10, [shardOf(5)]) // known to another host
  assert.throws(() => tell(10, [shardOf(100_000)]), { reason: 'too-many' })
  roster.away(hashOf(3), true)
  tell(10, [shardOf(100_000)])
})

test('hosts that come and go under ever new names end at 1,000: lost ones make room, and no others', () => {
  const { roster, later } = setUp()
  for (let host = 0; host < 1_000; host++) roster.online(infoOf(host), ADDRESS)
  assert.throws(() => roster.online(infoOf(1_000), ADDRESS), { reason: 'too-many' })
  roster.online(infoOf(999), ADDRESS)
  roster.away(hashOf(7), false)
  later(5_000)
  roster.online(infoOf(1_000), ADDRESS)
  assert.equal(roster.hosts().length, 1_000)
  assert.ok(!roster.hosts().some(({ info }) => info.hostId === hashOf(7)))
})

test('a host that is not known is not listened to', () => {
  const { news, tell, beat } = setUp()
  tell(1, [shardOf(1)])
  beat(1, 1)
  assert.deepEqual(news(), [])
})
