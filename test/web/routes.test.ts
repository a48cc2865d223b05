/** Every route of the web server, asked over real connections: what it gives, and what it gives nobody. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedError } from '../../src/errors.ts'
import { WEB_LIMITS } from '../../src/web/limits.ts'
import { WebServer } from '../../src/web/server.ts'
import { ask } from './clients.ts'
import { MadeSource, madeCopy, madeFleet, madeHost, madeShard, startWeb } from './fleet-kit.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

test('the API gives the snapshot and its parts', async (t) => {
  const source = new MadeSource(madeFleet(2, 8))
  source.change({}, 'something happened')
  const { server } = await startWeb(t, source)
  const { status, events } = source
  const { time, models, hosts, shards } = status
  const [shard] = shards
  const expected: Readonly<Record<string, unknown>> = {
    '/api/status': status,
    '/api/status?x=/api/hosts': status,
    '/api/models': { time, models },
    '/api/hosts': { time, hosts },
    '/api/events': { time, events },
    [`/api/shards/${shard!.infoHash}`]: shard,
    [`/api/shards/${shard!.infoHash.toUpperCase()}`]: shard,
    '/healthz': { ok: true, isolated: false },
  }
  for (const [path, value] of Object.entries(expected)) {
    const { status, headers, body } = await ask(path, server)
    assert.deepEqual(
      [status, headers['content-type'], headers['cache-control']],
      [200, JSON_TYPE, 'no-store'],
    )
    assert.deepEqual(JSON.parse(body), value, path)
  }
  source.change({ isolated: true })
  assert.deepEqual(JSON.parse((await ask('/healthz', server)).body), { ok: true, isolated: true })
  assert.deepEqual(JSON.parse((await ask('/api/status', server)).body), source.status)
})

test('a QR code of the magnet is an image, of any name that a file may have', async (t) => {
  const host = madeHost('a')
  const long = madeShard('m', 1, [madeCopy(host)], { name: `${'ü'.repeat(120)}.gguf` })
  const huge = madeShard('m', 2, [], { magnet: `magnet:?xt=urn:btih:0&dn=${'x'.repeat(4_000)}` })
  const { server } = await startWeb(t, new MadeSource({ hosts: [host], shards: [long, huge] }))
  for (const { infoHash } of [long, huge]) {
    const { status, headers, body } = await ask(`/api/qr/${infoHash}.svg`, server)
    assert.deepEqual([status, headers['content-type']], [200, 'image/svg+xml; charset=utf-8'])
    assert.match(
      body,
      /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^<]*><rect [^<]*\/><path [^<]*\/><\/svg>$/,
    )
  }
})

test('a HEAD is a GET without its body', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 4)))
  const get = await ask('/api/status', server)
  const head = await ask('/api/status', { port: server.port, method: 'HEAD' })
  assert.deepEqual([head.status, head.body], [200, ''])
  assert.equal(head.headers['content-length'], String(Buffer.byteLength(get.body)))
})

test('every other method is refused', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND']) {
    const { status, headers, body } = await ask('/api/status', { port: server.port, method })
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method)
    assert.equal(JSON.parse(body).code, 'method-not-allowed')
  }
})

test('what is not there is a 404 that says so, whatever the path tries', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const hash = 'ab'.repeat(20)
  const paths: Readonly<Record<string, string>> = {
    '/nothing': 'not-found',
    '/api': 'not-found',
    '/api/shards/': 'not-found',
    '/../package.json': 'not-found',
    '/../../../../etc/passwd': 'not-found',
    '/%2e%2e/%2e%2e/etc/passwd': 'not-found',
    '/..%2fpackage.json': 'not-found',
    '/vendor/../../package.json': 'not-found',
    '/vendor/../server.ts': 'not-found',
    '/vendor/%2e%2e%5cserver.ts': 'not-found',
    '/vendor/': 'not-found',
    '/vendor/ws.js': 'not-found',
    '//etc/passwd': 'not-found',
    '/./': 'not-found',
    '/index.html%00.js': 'not-found',
    '/tsconfig.json': 'not-found',
    '/constructor': 'not-found',
    '/__proto__': 'not-found',
    'http://127.0.0.1/etc/passwd': 'not-found',
    '/api/shards/x': 'bad-id',
    '/api/shards/__proto__': 'bad-id',
    '/api/shards/..%2f..%2fetc': 'bad-id',
    [`/api/shards/${hash}`]: 'unknown-shard',
    [`/api/shards/${hash}/x`]: 'not-found',
    [`/api/qr/${hash}.svg`]: 'unknown-shard',
    [`/api/qr/${hash}`]: 'not-found',
  }
  for (const [path, code] of Object.entries(paths)) {
    const { status, body } = await ask(path, server)
    assert.deepEqual([status, JSON.parse(body).code], [404, code], path)
  }
})

test('every answer carries the security headers', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  for (const path of ['/', '/api/status', '/metrics', '/nothing']) {
    const { headers } = await ask(path, server)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
    assert.equal(headers['access-control-allow-origin'], undefined)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /)
    assert.ok(policy.includes(` ws://127.0.0.1:${server.livePort};`), policy)
    assert.doesNotMatch(policy, /unsafe|\*|https?:/)
  }
})

test('names from the network come out as data, whatever is in them', async (t) => {
  const evil = '</script><img src=x onerror=alert(1)>\u0000\u001b[2J\u202e"\\\n\u2028\ud800'
  const host = madeHost(evil)
  const shard = madeShard('m', 1, [madeCopy(host)], { name: evil, model: evil })
  const source = new MadeSource({ hosts: [host], shards: [shard] })
  source.change({}, evil)
  const { server } = await startWeb(t, source)
  for (const path of [
    '/api/status',
    '/api/hosts',
    '/api/models',
    '/api/events',
    `/api/shards/${shard.infoHash}`,
  ]) {
    const { headers, body } = await ask(path, server)
    assert.equal(headers['content-type'], JSON_TYPE)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    assert.doesNotMatch(body, /[\u0000-\u001f]/)
    assert.ok(JSON.stringify(JSON.parse(body)).includes('<img src=x'))
  }
})

test('the live port says what it is, and answers nothing else', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  for (const path of ['/', '/api/status']) {
    const { status, body } = await ask(path, { port: server.livePort })
    assert.deepEqual([status, JSON.parse(body).code], [426, 'websocket-only'])
  }
})

test('a bug in one answer is told without its inside, and the server goes on', async (t) => {
  const source = new MadeSource(madeFleet(1, 1))
  const { server, warnings } = await startWeb(t, source)
  const { status } = source
  source.status = null as never
  const { status: code, body } = await ask('/healthz', server)
  assert.deepEqual([code, JSON.parse(body).code], [500, 'bug'])
  assert.doesNotMatch(body, /TypeError|\.ts/)
  assert.match(warnings.join('\n'), /\[WEB\] \/healthz: TypeError/)
  source.status = status
  assert.equal((await ask('/healthz', server)).status, 200)
})

test('a port in use is said, with the option that changes it, and nothing stays open', async (t) => {
  const source = new MadeSource(madeFleet(1, 1))
  const { server } = await startWeb(t, source)
  const options = {
    source,
    host: '127.0.0.1',
    allowHosts: [],
    limits: WEB_LIMITS,
    log: { info() {}, warn() {} },
  }
  await assert.rejects(
    WebServer.start({ ...options, port: server.port, livePort: 0 }),
    (error: unknown) =>
      error instanceof FailedError &&
      error.code === 'port-in-use' &&
      error.message.includes(String(server.port)) &&
      error.message.includes('--http-port'),
  )
  await assert.rejects(WebServer.start({ ...options, port: 0, livePort: server.livePort }), /--live-port/)
  await assert.rejects(
    WebServer.start({
      ...options,
      host: '198.51.100.1',
      port: 0,
      livePort: 0,
      token: 'mellon-mellon-mellon',
    }),
    (error: unknown) => error instanceof FailedError && error.code === 'cannot-listen',
  )
})
