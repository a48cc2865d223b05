/** Connections that take their time, and how much is sent for a large fleet. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomFrom } from '../helpers/random.ts'
import { until } from '../helpers/until.ts'
import { ask, FeedClient, rawSocket, sorted } from './clients.ts'
import { MadeSource, madeFleet, startWeb } from './fleet-kit.ts'

const SHORT = {
  headersTimeoutMs: 400,
  requestTimeoutMs: 500,
  idleTimeoutMs: 600,
  keepAliveTimeoutMs: 500,
  checkIntervalMs: 100,
}

test('a head that comes a byte at a time, or never, is cut off; others are served meanwhile', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), SHORT)
  for (const port of [server.port, server.livePort]) {
    const silent = rawSocket(t, port, '')
    const drip = rawSocket(t, port, 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n')
    let sent = 0
    await until(
      () => {
        if (drip.socket.writable) drip.socket.write(`X-${sent++}: 1\r\n`)
        return drip.socket.closed && silent.socket.closed
      },
      { timeoutMs: 10_000, everyMs: 50, what: 'the end of both' },
    )
    assert.match(drip.read(), /^HTTP\/1\.1 408 /)
    assert.equal((await ask('/healthz', server)).status, 200)
  }
})

test('a body is not waited for', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), SHORT)
  const head = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 1000000\r\n\r\n`
  const { socket, read } = rawSocket(t, server.port, head)
  await until(() => /^HTTP\/1\.1 200 /.test(read()), { timeoutMs: 5_000 })
  await until(() => socket.closed, { timeoutMs: 10_000, what: 'the end' })
})

test('an answer nobody takes does not hold its connection', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(200, 1_000)), { ...SHORT, maxConnections: 1 })
  const request = `GET /api/status HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`
  const { socket, read } = rawSocket(t, server.port, request)
  await until(() => read().length > 0, { timeoutMs: 10_000 })
  socket.pause()
  await assert.rejects(ask('/healthz', server), 'the only place is taken')
  await until(async () => (await ask('/healthz', server)).status === 200, {
    timeoutMs: 20_000,
    what: 'room again',
  })
})

test('who asks for several things at once is answered until the last of them, and does not wait', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(200, 1_000)), { maxConnections: 1 })
  const requests = ['/healthz', '/api/status'].map(
    (path) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`,
  )
  const { socket, read } = rawSocket(t, server.port, requests.join(''))
  socket.on('data', () => read().includes('"hosts":[') && socket.pause())
  await until(() => socket.isPaused(), { timeoutMs: 10_000, what: 'the second answer' })
  await assert.rejects(ask('/healthz', server), 'the only place is taken')
  assert.equal(socket.closed, false)
})

test('no more than so many connections at once: who waits longest gives way', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { maxConnections: 5 })
  const held = Array.from({ length: 5 }, () => rawSocket(t, server.port, ''))
  await until(() => held.every(({ socket }) => socket.readyState === 'open'), { timeoutMs: 5_000 })
  assert.equal((await ask('/healthz', server)).status, 200)
  await until(() => held.filter(({ socket }) => socket.closed).length === 1, {
    timeoutMs: 5_000,
    what: 'one is closed',
  })
  assert.match((await ask('/metrics', server)).body, /web_refused_total\{reason="connection-given-up"\} [12]/)
})

test('a thousand that say nothing, or little, do not keep others out', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)), { maxConnections: 20 })
  const watcher = await new FeedClient(t, server.url.replace('http', 'ws').concat('/ws')).ready()
  for (let round = 0; round < 10; round++) {
    const slow = Array.from({ length: 100 }, () => rawSocket(t, server.port, 'GET / HTTP/1.1\r\nHost: 127.'))
    assert.equal((await ask('/healthz', server)).status, 200)
    await until(() => slow.filter(({ socket }) => socket.closed).length >= 80, { timeoutMs: 10_000 })
  }
  assert.equal(watcher.closed, null, 'who watches the feed is not waiting, and stays')
})

test('200 hosts with 1,000 shards each: a snapshot stays near a megabyte, a patch is as big as its news', async (t) => {
  const source = new MadeSource(madeFleet(200, 1_000, randomFrom(1)))
  const { server } = await startWeb(t, source)
  const client = await new FeedClient(t, server.liveUrl).ready()
  const [snapshot = 0] = client.sizes
  const { hosts, shards } = source.parts
  const time = async (change: () => void): Promise<readonly [number, number]> => {
    const { length } = client.messages
    const began = performance.now()
    change()
    await until(() => client.messages.length > length, { timeoutMs: 10_000, everyMs: 1 })
    return [client.sizes.at(-1) ?? 0, performance.now() - began]
  }
  const oneHost = await time(() =>
    source.change({ hosts: [{ ...hosts[0]!, fetching: 3 }, ...hosts.slice(1)] }),
  )
  const oneShard = await time(() =>
    source.change({ shards: [{ ...shards[0]!, wholeSeeds: 1 }, ...shards.slice(1)] }),
  )
  const allHosts = await time(() => source.change({ hosts: hosts.map((host) => ({ ...host, seeding: 1 })) }))
  const began = performance.now()
  const { body } = await ask('/api/status', server)
  const told = [oneHost, oneShard, allHosts].map(([size, ms]) => `${size} B in ${ms.toFixed(1)} ms`)
  t.diagnostic(`snapshot ${snapshot} B; one host, one shard, all hosts: ${told.join(', ')}`)
  t.diagnostic(`/api/status ${body.length} B in ${(performance.now() - began).toFixed(0)} ms`)
  assert.ok(snapshot < 2_500_000, `${snapshot}`)
  assert.ok(oneHost[0] < 2_000 && oneShard[0] < 6_000 && allHosts[0] < 150_000)
  assert.deepEqual(sorted(client.status), sorted(JSON.parse(body)))
})
