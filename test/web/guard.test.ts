/** Which names a server answers to, and which pages may talk to it: against DNS rebinding and pages of other sites. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGuard, isLoopbackAddress } from '../../src/web/guard.ts'
import { until } from '../helpers/until.ts'
import { ask, openStatus, rawSocket } from './clients.ts'
import { MadeSource, madeFleet, startWeb } from './fleet-kit.ts'

const guardOf = (host: string, allowHosts: readonly string[] = []) => {
  const guard = createGuard({ host, allowHosts, pagePort: () => 8080 })
  return (name: string | undefined, origin?: string, localAddress = '10.0.0.5') =>
    guard({ host: name, origin, localAddress })?.code ?? 'ok'
}

test('names it answers to', () => {
  const guard = guardOf('10.0.0.5', ['models.example'])
  for (const name of [
    'localhost',
    'localhost:8080',
    'LOCALHOST:8080',
    'localhost.:8080',
    '127.0.0.1:8080',
    '127.0.0.1:9999', // a tunnel ends at any port
    '[::1]:8080',
    '10.0.0.5:8080',
    'models.example',
    'Models.Example:443',
  ]) {
    assert.equal(guard(name), 'ok', name)
  }
  for (const name of [
    undefined,
    '',
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.2',
    '10.0.0.6:8080',
    'x@localhost',
    'localhost:8080@evil.example',
    'localhost/evil',
    'localhost, evil.example',
    'localhost:80:80',
    '[::1',
    '::1',
    "localhost'; script-src *",
  ]) {
    assert.equal(guard(name), 'host-not-allowed', name)
  }
})

test('behind a wildcard it answers to the address a connection came in at', () => {
  const guard = guardOf('0.0.0.0')
  assert.equal(guard('10.0.0.5:8080'), 'ok')
  assert.equal(guard('10.0.0.5:8080', undefined, '::ffff:10.0.0.5'), 'ok')
  assert.equal(guard('10.0.0.6:8080'), 'host-not-allowed')
  assert.equal(guard('0.0.0.0:8080'), 'host-not-allowed')
  assert.equal(guard('evil.example'), 'host-not-allowed')
  assert.equal(guardOf('127.0.0.1')('10.0.0.5:8080'), 'host-not-allowed')
})

test('pages that may talk to it', () => {
  const guard = guardOf('127.0.0.1', ['models.example'])
  assert.equal(guard('127.0.0.1:8080', 'http://127.0.0.1:8080'), 'ok')
  assert.equal(guard('127.0.0.1:8081', 'http://127.0.0.1:8080'), 'ok') // our page, at the live port
  assert.equal(guard('localhost:9000', 'http://localhost:9000'), 'ok') // through a tunnel
  assert.equal(guard('models.example', 'https://models.example'), 'ok') // through a proxy
  for (const origin of [
    'http://evil.example',
    'http://evil.example:8080',
    'http://127.0.0.1:3000',
    'http://127.0.0.1',
    'http://localhost:8080', // the page is opened by one name
    'http://127.0.0.1:8080.evil.example',
    'http://127.0.0.1:8080@evil.example',
    'null',
    '',
    'file://',
    'chrome-extension://abcdef',
  ]) {
    assert.equal(guard('127.0.0.1:8080', origin), 'origin-not-allowed', origin)
  }
})

test('what other machines cannot reach', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1'])
    assert.equal(isLoopbackAddress(host), true, host)
  for (const host of ['0.0.0.0', '::', '10.0.0.5', '127.evil.example'])
    assert.equal(isLoopbackAddress(host), false, host)
})

test('over the wire: no route, page or feed for a wrong Host or Origin, and it is counted', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const { port, livePort } = server
  for (const path of ['/', '/api/status', '/metrics', '/healthz', '/nothing']) {
    const rebound = await ask(path, { port, headers: { Host: `evil.example:${port}` } })
    assert.deepEqual([rebound.status, JSON.parse(rebound.body).code], [403, 'host-not-allowed'], path)
    assert.doesNotMatch(JSON.stringify(rebound), /evil/, 'nothing of it is repeated')
    const foreign = await ask(path, { port, headers: { Origin: 'http://evil.example' } })
    assert.deepEqual([foreign.status, JSON.parse(foreign.body).code], [403, 'origin-not-allowed'], path)
  }
  const feeds = [
    `ws://127.0.0.1:${port}/ws`,
    `ws://127.0.0.1:${livePort}/`,
    `ws://127.0.0.1:${livePort}/any/path`,
  ]
  for (const url of feeds) {
    assert.equal(await openStatus(url), 101, url)
    assert.equal(await openStatus(url, { Origin: `http://127.0.0.1:${port}` }), 101, url)
    assert.equal(await openStatus(url, { Origin: 'http://evil.example' }), 403, url)
    assert.equal(await openStatus(url, { Origin: 'null' }), 403, url)
    assert.equal(await openStatus(url, { Host: 'evil.example' }), 403, url)
  }
  assert.equal(await openStatus(`ws://127.0.0.1:${port}/other`), 404)
  const { body } = await ask('/metrics', { port })
  assert.match(body, /^gguf_swarm_web_refused_total\{reason="host-not-allowed"\} 8$/m)
  assert.match(body, /^gguf_swarm_web_refused_total\{reason="origin-not-allowed"\} 11$/m)
})

test('an upgrade to something else, and requests that are none', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const head = `Host: 127.0.0.1:${server.port}\r\n`
  const requests: Readonly<Record<string, RegExp>> = {
    // What else is offered need not be taken: clients of Java offer it with every request.
    [`GET /healthz HTTP/1.1\r\n${head}Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n`]:
      /^HTTP\/1\.1 200 /,
    [`GET /ws HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`]: /^HTTP\/1\.1 400 /,
    [`POST /ws HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`]: /^HTTP\/1\.1 400 /,
    'GET / HTTP/1.1\r\n\r\n': /^HTTP\/1\.1 400 /,
    'GET / HTTP/1.0\r\n\r\n': /^HTTP\/1\.1 403 /,
    '\u0000\u0001\u0002\r\n\r\n': /^HTTP\/1\.1 400 /,
    [`GET / HTTP/1.1\r\n${head}X: ${'x'.repeat(20_000)}\r\n\r\n`]: /^HTTP\/1\.1 431 /,
  }
  for (const [text, answer] of Object.entries(requests)) {
    const { socket, read } = rawSocket(t, server.port, text)
    await until(() => answer.test(read()), { timeoutMs: 5_000, what: `${answer} to ${text.slice(0, 60)}` })
    await until(() => socket.closed || socket.readyState !== 'open', { timeoutMs: 5_000 })
  }
  assert.equal((await ask('/healthz', server)).status, 200)
})
