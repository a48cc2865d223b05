/** What a DHT node keeps for others stays bounded, and no address pushes out what others announced. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { PeerStore } from '../../src/swarm/dht/peer-store.ts'
import { dhtNode } from '../hostile/krpc.ts'

const HOUR_MS = 3_600_000
const HONEST = 100
/** What the store holds at most. */
const FULL = 50_000

function compact(address: number, port: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt32BE(address)
  bytes.writeUInt16BE(port, 4)
  return bytes
}
const infoHash = (number: number): string => number.toString(16).padStart(40, '0')
const addressOf = (bytes: Buffer): number => bytes.readUInt32BE(0)

function storeFor(t: TestContext, maxAgeMs = HOUR_MS, now?: () => number): PeerStore {
  const store = new PeerStore(maxAgeMs, now)
  t.after(() => store.destroy())
  return store
}

test('a flood of infohashes from one address leaves what a hundred others announced', (t) => {
  const store = storeFor(t)
  for (let host = 1; host <= HONEST; host++)
    for (let shard = 0; shard < 20; shard++) store.add(infoHash(host * 1_000 + shard), compact(host, 6_881))
  for (let number = 0; number < 1.5 * FULL; number++)
    store.add(infoHash(1_000_000 + number), compact(9_999, 6_881))
  assert.equal(store.size, FULL)
  assert.ok(store.dropped > 0.5 * FULL)
  for (let host = 1; host <= HONEST; host++)
    for (let shard = 0; shard < 20; shard++)
      assert.equal(store.get(infoHash(host * 1_000 + shard)).length, 1, `shard ${shard} of host ${host}`)
  // And one that comes when it is full already finds room.
  store.add(infoHash(7), compact(7, 6_881))
  assert.equal(store.get(infoHash(7)).length, 1)
})

test('a flood of ports for one infohash does not hide the others that have it', (t) => {
  const store = storeFor(t)
  for (let host = 1; host <= 10; host++) store.add(infoHash(1), compact(host, 6_881))
  for (let port = 1; port <= 60_000; port++) store.add(infoHash(1), compact(9_999, port))
  assert.ok(store.size <= 2_000)
  const named = new Set(store.get(infoHash(1)).map(addressOf))
  for (let host = 1; host <= 10; host++) assert.ok(named.has(host), `host ${host} is named`)
})

test('replies are short, and differ where there is more than fits', (t) => {
  const store = storeFor(t)
  for (let host = 1; host <= 500; host++) store.add(infoHash(1), compact(host, 6_881))
  const replies = Array.from({ length: 50 }, () => store.get(infoHash(1)))
  for (const reply of replies) assert.equal(reply.length, 50)
  const named = new Set(replies.flat().map(addressOf))
  assert.ok(named.size > 300, `${named.size} of 500 were named in 50 replies`)
})

test('announced again it stays, otherwise it expires', (t) => {
  let now = 0
  const store = storeFor(t, 1_000, () => now)
  store.add(infoHash(1), compact(1, 1))
  store.add(infoHash(1), compact(2, 2))
  now = 900
  store.add(infoHash(1), compact(2, 2))
  now = 1_500
  assert.deepEqual(store.get(infoHash(1)).map(addressOf), [2])
  now = 2_000
  assert.deepEqual(store.get(infoHash(1)), [])
})

test('the store of a node outlives another that shares it, or could not open its port', async (t) => {
  const owner = await dhtNode(t)
  owner.storeSelf(parseInfoHash(infoHash(1)), { host: '10.0.0.1', port: 6881 })
  await assert.rejects(dhtNode(t, { port: owner.port, shareStoreOf: owner }), /is in use/)
  const companion = await dhtNode(t, { shareStoreOf: owner })
  assert.equal(companion.stored.peers, 1)
  await companion.stop()
  assert.equal(owner.stored.peers, 1)
})
