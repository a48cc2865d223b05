/** The live feed with real WebSocket clients: what they see is what the API says, and no client harms another. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { FleetStatus, HostStatus, ShardStatus } from '../../src/fleet/status.ts'
import { randomFrom, TEST_SEED } from '../helpers/random.ts'
import { until } from '../helpers/until.ts'
import { ask, FeedClient, openStatus, rawSocket, sorted } from './clients.ts'
import { MadeSource, madeCopy, madeFleet, madeHost, madeShard, startWeb } from './fleet-kit.ts'

const HANDSHAKE = (port: number): string =>
  `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

/** Changes a handful of things, as a fleet does: hosts come, go and fetch, shards appear and disappear. */
function shake(source: MadeSource, random: () => number, round: number): void {
  const pick = <Row>(rows: readonly Row[]): Row | undefined => rows[Math.floor(random() * rows.length)]
  const { hosts, shards } = source.parts
  const touched = pick(hosts)
  let nextHosts: readonly HostStatus[] = hosts.map((host) =>
    host === touched ? { ...host, uploadBytesPerSecond: Math.floor(random() * 1e6) } : host,
  )
  if (random() < 0.2) nextHosts = [...nextHosts, madeHost(`late-${round}`)]
  if (random() < 0.2 && nextHosts.length > 2) nextHosts = nextHosts.filter((host) => host !== nextHosts[0])
  const present = new Set(nextHosts.map(({ hostId }) => hostId))
  let nextShards: readonly ShardStatus[] = shards.map((shard) => {
    const kept = shard.copies.filter(({ hostId }) => present.has(hostId))
    const newcomer = pick(nextHosts)
    if (newcomer !== undefined && random() < 0.3 && !kept.some(({ hostId }) => hostId === newcomer.hostId)) {
      return { ...shard, copies: [...kept, madeCopy(newcomer, Math.floor(random() * 1e8))] }
    }
    return kept.length === shard.copies.length ? shard : { ...shard, copies: kept }
  })
  if (random() < 0.2) nextShards = [...nextShards, madeShard(`late-${round}`, 1, [])]
  if (random() < 0.2 && nextShards.length > 2) nextShards = nextShards.slice(1)
  const isolated = random() < 0.5
  source.change(
    { hosts: nextHosts, shards: nextShards, isolated },
    random() < 0.5 ? `round ${round}` : undefined,
  )
}

const isUpToDate = (client: FeedClient, status: FleetStatus): boolean =>
  isDeepStrictEqual(sorted(client.status), sorted(status))

test('a copy kept up by patches is what the API says, whoever comes when', async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = randomFrom(TEST_SEED)
  const source = new MadeSource(madeFleet(5, 12, random))
  const { server } = await startWeb(t, source)
  const urls = [`ws://127.0.0.1:${server.port}/ws`, `${server.liveUrl}/live`]
  const clients = [await new FeedClient(t, urls[0]!).ready()]
  for (let round = 1; round <= 60; round++) {
    shake(source, random, round)
    if (round % 15 === 0) clients.push(new FeedClient(t, urls[round % 2]!))
    const [first] = clients
    if (round % 3 === 0)
      await until(() => isUpToDate(first!, source.status), { timeoutMs: 30_000, what: `round ${round}` })
  }
  const { body } = await ask('/api/status', server)
  for (const client of clients) {
    await until(() => isUpToDate(client, source.status), { timeoutMs: 30_000, what: 'the last state' })
    const status = JSON.parse(body) as FleetStatus
    assert.deepEqual(sorted(client.status), sorted(status))
    assert.deepEqual(client.events, source.events)
  }
  const [{ sizes, messages }] = clients as [FeedClient]
  assert.ok(messages.length > 20)
  assert.ok(Math.max(...sizes.slice(1)) < (sizes[0] ?? 0) * 3, 'patches are small')
})

test('a patch says only what changed, and nothing is said when nothing did', async (t) => {
  const source = new MadeSource(madeFleet(4, 8))
  const { server } = await startWeb(t, source, { tickIntervalMs: 100 })
  const client = await new FeedClient(t, server.liveUrl).ready()
  const [first, ...others] = source.parts.hosts
  source.change({ hosts: [{ ...first!, seeding: 7 }, ...others] })
  const patch = await until(() => client.messages.find(({ type }) => type === 'patch'), { timeoutMs: 30_000 })
  assert.deepEqual(Object.keys(patch), ['type', 'seq', 'time', 'hosts'])
  assert.deepEqual(patch.type === 'patch' && patch.hosts?.put.map(({ name, seeding }) => [name, seeding]), [
    ['host-0', 7],
  ])
  source.change({}) // only its time is another
  const ticks = client.messages.length + 3
  await until(() => client.messages.length >= ticks, { timeoutMs: 30_000 })
  assert.deepEqual(
    client.messages.map(({ type }) => type).filter((type) => type !== 'tick'),
    ['snapshot', 'patch'],
  )
  assert.equal(client.seq, 1)
})

test('a host keeps its number while it is away', async (t) => {
  const source = new MadeSource(madeFleet(3, 2))
  const { server } = await startWeb(t, source)
  const client = await new FeedClient(t, server.liveUrl).ready()
  const { hosts, shards } = source.parts
  const numberOf = (name: string): number | undefined => {
    const rows = client.messages.flatMap((message) =>
      message.type === 'snapshot'
        ? message.status.hosts
        : message.type === 'patch'
          ? (message.hosts?.put ?? [])
          : [],
    )
    return rows.findLast((row) => row.name === name)?.n
  }
  const before = numberOf('host-1')
  source.change({ hosts: hosts.filter(({ name }) => name !== 'host-1'), shards: [] })
  await until(() => client.seq === 1, { timeoutMs: 30_000 })
  source.change({ hosts, shards })
  await until(() => client.seq === 2, { timeoutMs: 30_000 })
  assert.ok(before !== undefined && before > 0)
  assert.equal(numberOf('host-1'), before)
  assert.ok(isUpToDate(client, source.status))
})

test('who comes after nobody was there gets the newest state at once', async (t) => {
  const source = new MadeSource(madeFleet(1, 1))
  const { server } = await startWeb(t, source)
  source.change({ hosts: [madeHost('late')], shards: [] }, 'one came')
  const client = await new FeedClient(t, server.liveUrl).ready()
  assert.ok(isUpToDate(client, source.status))
  assert.deepEqual(client.events, source.events)
})

/** A page that has stopped reading: connected, with its socket paused. */
async function paused(t: TestContext, url: string): Promise<FeedClient> {
  const client = await new FeedClient(t, url).ready()
  client.socket.pause()
  return client
}

test('a client that does not keep up is dropped, the others go on', async (t) => {
  const source = new MadeSource(madeFleet(100, 300))
  const { server } = await startWeb(t, source, { maxBufferedBytes: 500_000, feedBytesPerSecond: 1e9 })
  const good = await new FeedClient(t, server.liveUrl).ready()
  await paused(t, server.liveUrl)
  const dropped = async (): Promise<boolean> => {
    const { shards } = source.parts
    source.change({ shards: shards.map((shard) => ({ ...shard })) }) // all of them again
    await until(() => isUpToDate(good, source.status), { timeoutMs: 30_000 })
    return /feed_dropped_total\{reason="slow"\} 1/.test((await ask('/metrics', server)).body)
  }
  await until(dropped, { timeoutMs: 60_000, what: 'the slow one is dropped' })
  assert.equal(good.closed, null)
  assert.match((await ask('/metrics', server)).body, /^gguf_swarm_web_feed_clients 1$/m)
})

test('a client that does not answer is dropped', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { pingIntervalMs: 200 })
  const good = await new FeedClient(t, server.liveUrl).ready()
  const { socket } = rawSocket(t, server.port, HANDSHAKE(server.port)) // reads, and never says a thing
  await until(() => socket.closed, { timeoutMs: 10_000, what: 'the end of the silent one' })
  assert.equal(good.closed, null)
  assert.match((await ask('/metrics', server)).body, /feed_dropped_total\{reason="silent"\} 1/)
})

test('a client that talks is sent away; pings it may send', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const polite = await new FeedClient(t, server.liveUrl).ready()
  let pongs = 0
  polite.socket.on('pong', () => pongs++)
  polite.socket.ping('hello')
  await until(() => pongs === 1, { timeoutMs: 5_000 })
  const talker = await new FeedClient(t, server.liveUrl).ready()
  talker.socket.send('{"type":"subscribe"}')
  await until(() => talker.closed === 1008, { timeoutMs: 5_000 })
  const shouter = await new FeedClient(t, server.liveUrl).ready()
  shouter.socket.send('x'.repeat(100_000))
  await until(() => shouter.closed === 1009, { timeoutMs: 5_000, what: 'too big a message' })
  assert.equal(polite.closed, null)
})

test('pings whose answers nobody reads do not fill the memory', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { maxBufferedBytes: 20_000 })
  const { socket, read } = rawSocket(t, server.port, HANDSHAKE(server.port))
  await until(() => read().includes('snapshot'), { timeoutMs: 30_000 })
  socket.pause()
  // A masked ping of 125 bytes, mask and payload zero.
  const pings = Buffer.concat(
    Array.from({ length: 1_000 }, () => Buffer.concat([Buffer.from([0x89, 0xfd]), Buffer.alloc(129)])),
  )
  const isDropped = async (): Promise<boolean> => {
    if (!socket.destroyed) socket.write(pings)
    return /feed_dropped_total\{reason="slow"\} 1/.test((await ask('/metrics', server)).body)
  }
  await until(isDropped, { timeoutMs: 30_000, what: 'the flood ends' })
})

test('malformed frames end their connection only', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const good = await new FeedClient(t, server.liveUrl).ready()
  const frames = [
    [0x81, 0x05, 1, 2, 3, 4, 5],
    [0xff, 0xff],
    [0x8f, 0x80, 0, 0, 0, 0],
    [0x81, 0xff, 0xff, 0xff, 0xff],
  ]
  for (const frame of frames) {
    const { socket, read } = rawSocket(t, server.port, HANDSHAKE(server.port))
    await until(() => read().includes('snapshot'), { timeoutMs: 30_000 })
    socket.write(Buffer.from([...frame, ...new Array<number>(8).fill(0xff)]))
    await until(() => socket.closed, { timeoutMs: 5_000, what: `the end after ${frame}` })
  }
  assert.equal(good.closed, null)
})

test('no more than so many watch, over both ports, and one that leaves makes room', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { maxFeedClients: 3 })
  const page = `ws://127.0.0.1:${server.port}/ws`
  const clients = await Promise.all([page, server.liveUrl, page].map((url) => new FeedClient(t, url).ready()))
  assert.equal(await openStatus(page), 503)
  assert.equal(await openStatus(server.liveUrl), 503)
  assert.equal((await ask('/healthz', server)).status, 200)
  clients[1]?.socket.close()
  await until(async () => (await openStatus(page)) === 101, { timeoutMs: 5_000 })
})

test('large patches are spaced out', async (t) => {
  const source = new MadeSource(madeFleet(50, 100))
  const { server } = await startWeb(t, source, { feedBytesPerSecond: 100_000 })
  const client = await new FeedClient(t, server.liveUrl).ready()
  const deadline = Date.now() + 1_500
  await until(
    () => {
      source.change({ shards: source.parts.shards.map((shard) => ({ ...shard })) })
      return Date.now() > deadline
    },
    { timeoutMs: 5_000 },
  )
  const bytes = client.sizes.slice(1).reduce((sum, size) => sum + size, 0)
  assert.ok(bytes < 100_000 * 1.5 + 2 * (client.sizes[1] ?? 0), `${bytes} bytes in 1.5 s`)
})

test('the server says good-bye, and stops in time with sockets open', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { closeTimeoutMs: 500 })
  const client = await new FeedClient(t, server.liveUrl).ready()
  const frozen = await paused(t, server.liveUrl)
  const idle = rawSocket(t, server.port, '')
  const half = rawSocket(t, server.port, 'GET / HTTP/1.1\r\nHost: 127.0.0.1')
  await until(() => idle.socket.readyState === 'open' && half.socket.readyState === 'open', {
    timeoutMs: 5_000,
  })
  const began = performance.now()
  await server.stop()
  assert.ok(performance.now() - began < 3_000)
  await until(() => client.closed === 1001, { timeoutMs: 5_000 })
  await until(() => idle.socket.closed && half.socket.closed, { timeoutMs: 5_000 })
  frozen.socket.resume()
  await assert.rejects(ask('/healthz', { port: server.port }))
})
