/** Bytes on the web server's ports, before, in and after an HTTP request or a WebSocket's opening. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc, { type Arbitrary } from 'fast-check'
import { until } from '../helpers/until.ts'
import { ask, FeedClient } from '../web/clients.ts'
import { MadeSource, madeFleet, startWeb } from '../web/fleet-kit.ts'
import { damaged } from './grammar.ts'
import { holds } from './property.ts'

/** Through sockets, on a machine that may be busy. */
const SOCKET = { slowMs: 60_000 }
const SHORT = {
  headersTimeoutMs: 400,
  requestTimeoutMs: 500,
  idleTimeoutMs: 600,
  keepAliveTimeoutMs: 300,
  checkIntervalMs: 50,
}
const HASH = 'f'.repeat(40)

const path = fc.oneof(
  fc.constantFrom(
    '/',
    '/ws',
    '/metrics',
    '/api/status',
    '/api/events',
    '/api/openapi.json',
    `/api/shards/${HASH}`,
  ),
  fc.constantFrom(
    '/../../etc/passwd',
    '/%2e%2e/%2e%2e',
    '//',
    '/api/qr/x.svg',
    '/constructor',
    '/__proto__',
    '*',
    'http://x/',
    '/\\..\\x',
  ),
  fc.string({ maxLength: 40 }).map((text) => `/${text}`),
  fc.nat({ max: 20_000 }).map((length) => `/${'x'.repeat(length)}`),
)
const headerName = fc.constantFrom(
  'Host',
  'Origin',
  'Connection',
  'Upgrade',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Version',
  'Content-Length',
  'Transfer-Encoding',
  'Expect',
  'Range',
  'X',
  '',
)
const headerText = fc.oneof(
  fc.constantFrom(
    '127.0.0.1',
    'localhost:1',
    '[::1]',
    'evil.example',
    'http://127.0.0.1',
    'websocket',
    'Upgrade',
    'close',
    'keep-alive, Upgrade',
  ),
  fc.constantFrom(
    '13',
    '99',
    'dGhlIHNhbXBsZSBub25jZQ==',
    '-1',
    '5',
    'chunked',
    '100-continue',
    'bytes=0-',
    'x'.repeat(9_000),
  ),
  // Not as a string of all Unicode: what the generator keeps for that, 60 MB, would be taken for the server's.
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const request: Arbitrary<Buffer> = fc
  .tuple(
    fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', 'CONNECT', 'TRACE', 'get', 'PRI', ''),
    path,
    fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''),
    fc.array(fc.tuple(headerName, headerText), { maxLength: 12 }),
    fc.constantFrom('\r\n', '\n', '\r\n', '\r'),
    fc.constantFrom('', '', '5\r\nhello\r\n0\r\n\r\n', 'ffffffffffffffff\r\n'),
  )
  .map(([method, target, version, headers, line, body]) =>
    Buffer.from(
      [`${method} ${target} ${version}`, ...headers.map((pair) => pair.join(': ')), '', body].join(line),
      'latin1',
    ),
  )

/** Sends parts on one connection, one by one, and waits until the server has ended it. */
async function say(port: number, parts: readonly Uint8Array[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer = (answer + text).slice(0, 100_000)
  })
  socket.on('error', () => undefined) // being cut off is an answer
  for (const part of parts)
    await new Promise<void>((resolve) => (socket.destroyed ? resolve() : socket.write(part, () => resolve())))
  socket.end()
  try {
    await until(() => socket.closed, { timeoutMs: 30_000, everyMs: 2, what: 'the end of the connection' })
  } finally {
    socket.destroy()
  }
  return answer
}

async function scene(t: TestContext) {
  const { server, warnings } = await startWeb(t, new MadeSource(madeFleet(3, 8)), SHORT)
  return {
    server,
    assertServes: async () => {
      assert.equal((await ask('/healthz', server)).status, 200)
      assert.deepEqual(warnings, [], 'no request makes the server stumble')
    },
  }
}

test('requests', async (t) => {
  const { server, assertServes } = await scene(t)
  let answered = 0
  await holds(
    t,
    fc.tuple(fc.boolean(), fc.array(damaged(request), { minLength: 1, maxLength: 3 })),
    async ([isLive, parts]) => {
      const answer = await say(isLive ? server.livePort : server.port, parts)
      if (answer !== '') {
        assert.match(answer, /^HTTP\/1\.1 \d{3} /)
        answered++
      }
      await assertServes()
    },
    { runs: 100, ...SOCKET },
  )
  assert.ok(answered > 0, 'none was answered, so little was tried')
})

/** A frame of RFC 6455 §5.2 with a length and flags that may lie. */
const frame: Arbitrary<Buffer> = fc
  .tuple(
    fc.nat({ max: 255 }),
    fc.boolean(),
    fc.oneof(fc.nat({ max: 127 }), fc.constantFrom(125, 126, 127)),
    fc.constantFrom(0n, 1n, 126n, 65_535n, 65_536n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 64n - 1n),
    fc.uint8Array({ maxLength: 300 }),
  )
  .map(([first, isMasked, length, long, payload]) => {
    const head = Buffer.from([first, (isMasked ? 0x80 : 0) | length])
    const wide = Buffer.alloc(8)
    wide.writeBigUInt64BE(long)
    return Buffer.concat([
      head,
      length === 126 ? wide.subarray(6) : length === 127 ? wide : Buffer.alloc(0),
      Buffer.alloc(isMasked ? 4 : 0),
      payload,
    ])
  })
/** One that a server takes: a control frame, masked. */
const honest = fc
  .tuple(fc.constantFrom(0x88, 0x89, 0x8a), fc.uint8Array({ maxLength: 125 }))
  .map(([first, payload]) =>
    Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload]),
  )

test('WebSocket frames', async (t) => {
  const { server, assertServes } = await scene(t)
  const watcher = await new FeedClient(t, server.liveUrl).ready()
  const opening = (port: number): Buffer =>
    Buffer.from(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
  let opened = 0
  await holds(
    t,
    fc.tuple(fc.boolean(), fc.array(fc.oneof(honest, damaged(honest), frame), { maxLength: 20 })),
    async ([isLive, frames]) => {
      const port = isLive ? server.livePort : server.port
      if (/^HTTP\/1\.1 101 /.test(await say(port, [opening(port), ...frames]))) opened++
      await assertServes()
    },
    { runs: 100, ...SOCKET },
  )
  assert.ok(opened > 0, 'none was opened, so little was tried')
  assert.equal(watcher.closed, null, 'who keeps to the rules is not disturbed')
})
