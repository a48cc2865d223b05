/** The announce schedule against real DHT nodes on loopback, in a hurry. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import bencode from 'bencode'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import type { PeerAddress } from '../../src/metainfo/peer-address.ts'
import { Announcer, type AnnouncerOptions, type AnnounceTimes } from '../../src/swarm/dht/announcer.ts'
import type { DhtNode } from '../../src/swarm/dht/dht.ts'
import { afterTest } from '../helpers/after-test.ts'
import { freeUdpPort } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { dhtNode, rawNode } from '../hostile/krpc.ts'

const SHARD = parseInfoHash('a'.repeat(40))
const OTHER = parseInfoHash('b'.repeat(40))

/** A twentieth of the real times. */
const TIMES: Partial<AnnounceTimes> = {
  retryMinMs: 100,
  retryMaxMs: 1_000,
  searchMinMs: 100,
  searchMaxMs: 1_000,
  joinMs: 100,
  bootstrapCheckMs: 300,
  tickMs: 20,
}

interface Schedule {
  readonly announcer: Announcer
  readonly dht: DhtNode
  readonly announced: string[]
  readonly isolated: boolean[]
  readonly registering: number[]
  readonly found: PeerAddress[]
}

async function schedule(
  t: TestContext,
  bootstrap: readonly PeerAddress[],
  options: Partial<AnnouncerOptions> = {},
): Promise<Schedule> {
  const found: PeerAddress[] = []
  const dht = await dhtNode(t, { bootstrap, listener: { onPeer: (_infoHash, peer) => found.push(peer) } })
  const [announced, isolated, registering] = [[] as string[], [] as boolean[], [] as number[]]
  const announcer = new Announcer({
    dht,
    port: 6881,
    identity: `test ${dht.nodeId}`,
    checkBootstraps: true,
    listener: {
      onAnnounced: (infoHash) => announced.push(infoHash),
      onIsolated: (is) => isolated.push(is),
      onRegistering: (count) => registering.push(count),
    },
    ...options,
    times: { ...TIMES, ...options.times },
  })
  afterTest(t, () => announcer.stop())
  return { announcer, dht, announced, isolated, registering, found }
}

const at = (port: number): PeerAddress => ({ host: '127.0.0.1', port })

const compact = (port: number): string => `7f000001${port.toString(16).padStart(4, '0')}`

function untilKnown(dht: DhtNode, bootstrap: PeerAddress): Promise<unknown> {
  const isKnown = async () => (await dht.peersKnownTo(bootstrap, SHARD))?.includes(compact(6881))
  return until(isKnown, { timeoutMs: 30_000, what: 'we are known as a peer of the shard again' })
}

test('an announce is told once a node has stored it, and never the beacon', async (t) => {
  const bootstrap = await dhtNode(t)
  const { announcer, announced, registering, dht } = await schedule(t, [at(bootstrap.port)])
  announcer.add(SHARD, 'seed')
  announcer.add(OTHER, 'seed')
  await until(() => announced.length === 2, { timeoutMs: 30_000 })
  assert.deepEqual([...announced].sort(), [SHARD, OTHER])
  assert.equal(registering[0], 2)
  assert.deepEqual(await dht.peersKnownTo(at(bootstrap.port), SHARD), [compact(6881)])
})

test('a bootstrap that comes late is used at once, whatever the backoff', { timeout: 30_000 }, async (t) => {
  const port = await freeUdpPort()
  // With its own retries far away, only the first node in the table can be what wakes the schedule.
  const { announcer, announced, isolated } = await schedule(t, [at(port)], {
    times: { retryMinMs: 60_000, retryMaxMs: 60_000 },
  })
  announcer.add(SHARD, 'seed')
  await until(() => isolated.length > 0, { timeoutMs: 30_000, what: 'nobody answers' })
  assert.deepEqual(announced, [])
  await dhtNode(t, { port })
  await until(() => announced.length > 0, { timeoutMs: 30_000, what: 'announced' })
  assert.deepEqual(isolated, [true, false])
})

test('what no node stored is tried again with longer and longer pauses', { timeout: 30_000 }, async (t) => {
  // Answers everything and stores nothing: its error is no acknowledgement.
  const miser = await rawNode(t)
  const asked: number[] = []
  miser.socket.on('message', (bytes, from) => {
    const message = bencode.decode(bytes) as { y: Uint8Array; q: Uint8Array; t: Uint8Array }
    if (Buffer.from(message.y).toString() !== 'q') return
    const isAnnounce = Buffer.from(message.q).toString() === 'announce_peer'
    if (isAnnounce) asked.push(performance.now())
    const r = { id: Buffer.alloc(20, 9), token: 'x', nodes: '' }
    const reply = isAnnounce ? { t: message.t, y: 'e', e: [201, 'no'] } : { t: message.t, y: 'r', r }
    void miser.send(bencode.encode(reply), from.port)
  })
  const { announcer, announced } = await schedule(t, [at(miser.port)], {
    checkBootstraps: false,
    times: { retryMinMs: 150, retryMaxMs: 600 },
  })
  announcer.add(SHARD, 'seed')
  await until(() => asked.length >= 4, { timeoutMs: 15_000, what: 'four announces' })
  assert.deepEqual(announced, [])
  const pauses = asked.slice(1).map((time, index) => time - (asked[index] ?? 0))
  assert.ok((pauses[0] ?? 0) >= 100, `not at once: ${pauses}`)
  assert.ok((pauses[2] ?? 0) > (pauses[0] ?? 0) * 1.5, `longer each time: ${pauses}`)
})

test('a bootstrap that lost its memory in a restart is told everything again', {
  timeout: 30_000,
}, async (t) => {
  const first = await dhtNode(t)
  const { port, nodeId } = first
  const { announcer, announced, dht } = await schedule(t, [at(port)])
  announcer.add(SHARD, 'seed')
  await until(() => announced.length > 0, { timeoutMs: 30_000 })
  await first.stop()
  await dhtNode(t, { port, nodeId })
  await untilKnown(dht, at(port))
})

test('a bootstrap that restarted between the announce of a shard and that of the beacon is no exception', {
  timeout: 60_000,
}, async (t) => {
  const first = await dhtNode(t)
  const { port, nodeId } = first
  const identity = 'restarted in between'
  const { announcer, announced, dht } = await schedule(t, [at(port)], { identity })
  announcer.add(SHARD, 'seed')
  await until(() => announced.length > 0, { timeoutMs: 30_000 })
  await first.stop()
  const second = await dhtNode(t, { port, nodeId })
  const beacon = createHash('sha1').update(`gguf-swarm beacon ${identity}`).digest('hex')
  second.storeSelf(parseInfoHash(beacon), at(6881))
  second.storeSelf(SHARD, at(7000)) // a downloader has come meanwhile
  await untilKnown(dht, at(port))
})

test('a download searches until it is told that it has enough', { timeout: 30_000 }, async (t) => {
  const bootstrap = await dhtNode(t)
  const { announcer, found } = await schedule(t, [at(bootstrap.port)])
  announcer.add(SHARD, 'search')
  bootstrap.storeSelf(SHARD, { host: '10.1.2.3', port: 7000 })
  await until(() => found.some(({ host }) => host === '10.1.2.3'), {
    timeoutMs: 30_000,
    what: 'the peer is found',
  })
})

test('what was removed is not announced any more, and stop ends everything', async (t) => {
  const bootstrap = await dhtNode(t)
  const { announcer, announced, dht } = await schedule(t, [at(bootstrap.port)], {
    times: { reannounceMs: 50 },
  })
  announcer.add(SHARD, 'seed')
  await until(() => announced.length >= 3, { timeoutMs: 30_000, what: 'announced again and again' })
  announcer.remove(SHARD)
  announcer.add(OTHER, 'seed')
  await until(() => announced.at(-1) === OTHER, { timeoutMs: 30_000 })
  const last = announced.lastIndexOf(SHARD)
  await until(() => announced.filter((infoHash) => infoHash === OTHER).length >= 3, { timeoutMs: 30_000 })
  assert.ok(announced.slice(last + 1).every((infoHash) => infoHash === OTHER))
  announcer.stop()
  await dht.stop()
})

test('our own node knows us too, where our address is known', async (t) => {
  const bootstrap = await dhtNode(t)
  const { announcer, announced, dht } = await schedule(t, [at(bootstrap.port)], {
    selfHost: () => '127.0.0.1',
  })
  announcer.add(SHARD, 'seed')
  await until(() => announced.length > 0, { timeoutMs: 30_000 })
  assert.deepEqual(await bootstrap.peersKnownTo(at(dht.port), SHARD), [compact(6881)])
})

test('every shard is looked up in its turn, also when there are more than lookups in the time between two of one', async (t) => {
  const found = new Set<string>()
  const dht = {
    nodeCount: 1,
    bootstrap: [],
    announce: async () => ({ visited: 1, stored: 1 }),
    lookup: async (infoHash: string) => found.add(infoHash).size,
  } as unknown as DhtNode
  const times = { lookupMs: 50, lookupSpacingMs: 5, tickMs: 1 }
  const options = { dht, port: 6881, identity: 'fair', checkBootstraps: false, listener: {} }
  const announcer = new Announcer({ ...options, times })
  afterTest(t, () => announcer.stop())
  const shards = Array.from({ length: 50 }, (_, index) => parseInfoHash(String(index).padStart(40, '0')))
  for (const shard of shards) announcer.add(shard, 'seed')
  const what = (): string => `lookups of ${shards.length} shards (${found.size} had one)`
  await until(() => found.size === shards.length, { timeoutMs: 10_000, what })
})
