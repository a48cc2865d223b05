/** When a picture can be relied on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KnownHost } from '../../../src/fleet/membership/roster.ts'
import { QuietWatch } from '../../../src/fleet/membership/settled.ts'
import { parseInfoHash } from '../../../src/metainfo/info-hash.ts'
import type { OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'

function host(at: number, own: Partial<KnownHost> = {}): KnownHost {
  const info = { hostId: String(at).padStart(40, '0') } as KnownHost['info']
  const known = { info, address: '', state: 'online', complete: true, shards: new Map() } as const
  return { ...known, seenAt: 0, heardAtMs: 0, ...own }
}

const SHARDS = new Map([[parseInfoHash('a'.repeat(40)), {} as OfferedShard]])

test('quiet is when nothing moved for a while and all have told everything', () => {
  const quiet = new QuietWatch()
  assert.equal(quiet.observe([], 0), false)
  assert.equal(quiet.observe([], 100_000), false, 'nobody is no picture')
  assert.equal(quiet.observe([host(1)], 100_000), false)
  assert.equal(quiet.observe([host(1)], 101_400), false)
  assert.equal(quiet.observe([host(1), host(2)], 101_500), false, 'another one')
  assert.equal(quiet.observe([host(2), host(1)], 103_000), false, 'the order is no change')
  assert.equal(quiet.observe([host(1), host(2)], 103_100), true)
  assert.equal(quiet.observe([host(1), host(2, { shards: SHARDS })], 103_200), false, 'another shard')
  assert.equal(quiet.observe([host(1), host(2, { shards: SHARDS, seenAt: 9 })], 105_000), true)
})

test('a host that has not told everything keeps it open, a lost one does not', () => {
  const quiet = new QuietWatch()
  const telling = [host(1), host(2, { complete: false })]
  for (const now of [0, 5_000, 20_000]) assert.equal(quiet.observe(telling, now), false)
  const lost = [host(1), host(2, { complete: false, state: 'lost' })]
  assert.equal(quiet.observe(lost, 20_100), false)
  assert.equal(quiet.observe(lost, 22_000), true)
  assert.equal(quiet.observe([host(1, { state: 'lost' })], 30_000), false)
  assert.equal(quiet.observe([host(1, { state: 'lost' })], 90_000), false)
})

test('many hosts are waited for longer', () => {
  const quiet = new QuietWatch()
  const hosts = Array.from({ length: 200 }, (_, at) => host(at))
  assert.equal(quiet.observe(hosts, 0), false)
  assert.equal(quiet.observe(hosts, 5_000), false)
  assert.equal(quiet.observe(hosts, 5_500), true)
})
