/** Web seeds of a download: real HTTP servers that are right, lie, hang, redirect, and peers beside them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hostProblem, isWithin } from '../../src/swarm/web-seed/address-guard.ts'
import { BlockQueue } from '../../src/swarm/web-seed/block-queue.ts'
import type { WebSeedNews, WebSeedRequest } from '../../src/swarm/web-seed/web-seeds.ts'
import { afterTest } from '../helpers/after-test.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { type Content, fetchContent, makeContent, seedContent, startClient } from '../hostile/swarm-kit.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, range: readonly [number, number]) => void

interface TestMirror {
  readonly url: string
  readonly ranges: (readonly [number, number])[]
}

async function started(t: TestContext, server: Server, scheme = 'http'): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  afterTest(t, () => {
    server.close()
    if ('closeAllConnections' in server) (server as { closeAllConnections(): void }).closeAllConnections()
  })
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/files/`
}

/** A mirror; the handler answers what is to be answered otherwise. */
async function startMirror(t: TestContext, { bytes }: Content, handler?: Handler): Promise<TestMirror> {
  const ranges: (readonly [number, number])[] = []
  const server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const range = [Number(from), Number(to) + 1] as const
    ranges.push(range)
    if (handler) handler(request, response, range)
    else answer(response, bytes, range)
  })
  return { url: await started(t, server), ranges }
}

function answer(response: ServerResponse, bytes: Buffer, [start, end]: readonly [number, number]): void {
  response.writeHead(206, {
    'Content-Range': `bytes ${start}-${end - 1}/${bytes.length}`,
    'Content-Length': end - start,
  })
  response.end(bytes.subarray(start, end))
}

function request(...urls: readonly string[]): WebSeedRequest & { readonly news: WebSeedNews[] } {
  const news: WebSeedNews[] = []
  const sources = urls.map((url) => ({ url, isTrusted: true }))
  return { sources, news, onNews: (one) => news.push(one) }
}

const reasonOf = (news: readonly WebSeedNews[]): string =>
  news.flatMap((one) => (one.kind === 'left' ? one.reason : [])).join('; ')

test('a mirror alone gives the whole file, in few requests', async (t) => {
  const content = await makeContent(t, { length: 3_000_001, pieceLength: 65_536 })
  const mirror = await startMirror(t, content)
  const webSeeds = request(mirror.url)
  const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
  assert.ok((await download.done()).equals(content.bytes))
  assert.deepEqual(webSeeds.news, [{ kind: 'joined', url: `${mirror.url}content.bin` }])
  t.diagnostic(`${mirror.ranges.length} requests for ${Math.ceil(3_000_001 / 16_384)} blocks`)
  assert.ok(mirror.ranges.length < 40, `${mirror.ranges.length} requests`)
})

test('beside peers both give, and a mirror that lies is left after one piece', async (t) => {
  const content = await makeContent(t, { length: 6_000_000, pieceLength: 65_536, seed: 2 })
  const seeder = await startClient(t)
  seedContent(seeder, content)
  const lies = Buffer.from(content.bytes).fill(7)
  const liar = await startMirror(t, content, (_, response, range) => answer(response, lies, range))
  const honest = await startMirror(t, content)
  const webSeeds = request(liar.url, honest.url)
  const from = [{ host: '127.0.0.1', port: seeder.port }]
  const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds, from })
  assert.ok((await download.done()).equals(content.bytes))
  assert.equal(reasonOf(webSeeds.news), 'it sent wrong data')
  assert.ok(honest.ranges.length > 0)
})

test('dead, hanging, cut off and foreign mirrors are left by name; the peer gives the file', async (t) => {
  // More than is asked for at first: a whole file would be a good answer to a request for the whole.
  const content = await makeContent(t, { length: 3_000_000, seed: 3 })
  const other = Buffer.concat([content.bytes, Buffer.from('x')])
  const cases: readonly (readonly [RegExp, Handler])[] = [
    [/answers 404/, (_, response) => void response.writeHead(404).end()],
    [/of 3000001 bytes and not 3000000/, (_, response, range) => answer(response, other, range)],
    [
      /whole files only/,
      (_, response) => void response.writeHead(200, { 'Content-Length': 3_000_000 }).end(content.bytes),
    ],
    [/another part/, (_, response, [start, end]) => answer(response, content.bytes, [start + 1, end])],
    [/redirects more than 5/, (_, response) => void response.writeHead(302, { Location: '?again' }).end()],
    [
      /no web address/,
      (_, response) => void response.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
    ],
    [
      /packs the file/,
      (_, response) => void response.writeHead(206, { 'Content-Encoding': 'gzip' }).end('x'),
    ],
    [
      /address of this machine/,
      (_, response) => void response.writeHead(302, { Location: 'http://[::1]:1/x' }).end(),
    ],
  ]
  for (const [reason, handler] of cases) {
    const mirror = await startMirror(t, content, handler)
    const webSeeds = request(mirror.url)
    const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
    await until(() => reasonOf(webSeeds.news), { timeoutMs: 20_000, what: `${reason}` })
    assert.match(reasonOf(webSeeds.news), reason)
    assert.equal(download.torrent.stats().verifiedBytes, 0)
  }
  // One that never answers does not keep a peer from giving what it was asked for.
  const silent = await startMirror(t, content, () => undefined)
  const seeder = await startClient(t)
  seedContent(seeder, content)
  const webSeeds = request(silent.url)
  const from = [{ host: '127.0.0.1', port: seeder.port }]
  const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds, from })
  assert.ok((await download.done()).equals(content.bytes))
})

test('an answer that is cut off is asked for again from where it ended', async (t) => {
  const content = await makeContent(t, { length: 900_000, seed: 4 })
  let times = 0
  const mirror = await startMirror(t, content, (_, response, [start, end]) => {
    if (times++ > 0) return answer(response, content.bytes, [start, end])
    response.writeHead(206, {
      'Content-Range': `bytes ${start}-${end - 1}/900000`,
      'Content-Length': end - start,
    })
    response.write(content.bytes.subarray(start, start + 40_000), () => response.destroy())
  })
  const webSeeds = request(mirror.url)
  const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
  assert.ok((await download.done()).equals(content.bytes))
  assert.equal(reasonOf(webSeeds.news), '')
})

test('a redirect is followed and remembered, and asked for anew when its target has expired', async (t) => {
  const content = await makeContent(t, { length: 20_000_000, pieceLength: 65_536, seed: 5 })
  for (const good of [1_000, 1]) {
    let [redirects, expired] = [0, 0]
    const uses = new Map<string, number>()
    const mirror = await startMirror(t, content, (asked, response, range) => {
      const url = asked.url ?? ''
      uses.set(url, (uses.get(url) ?? 0) + 1)
      if (url.startsWith('/files/')) {
        redirects++
        response.writeHead(302, { Location: `/signed/${redirects}` }).end()
      } else if ((uses.get(url) ?? 0) > good) {
        expired++
        response.writeHead(403).end()
      } else answer(response, content.bytes, range)
    })
    const webSeeds = request(mirror.url)
    const download = await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
    assert.ok((await download.done()).equals(content.bytes))
    assert.equal(reasonOf(webSeeds.news), '')
    t.diagnostic(`${redirects} redirects, ${expired} expired, ${mirror.ranges.length} requests`)
    // Two connections may ask at the same moment.
    if (good > 1) assert.ok(redirects <= 2, `${redirects} redirects`)
    else assert.ok(expired > 0)
  }
})

test('a certificate that nobody vouches for is said, and nothing is taken', async (t) => {
  const content = await makeContent(t, { seed: 6 })
  const folder = await temporaryFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '1']
  execFileSync('openssl', [...made, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const server = createHttpsServer({ key: await readFile(key), cert: await readFile(cert) })
  const webSeeds = request(await started(t, server, 'https'))
  await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
  await until(() => reasonOf(webSeeds.news), { timeoutMs: 20_000, what: 'the reason' })
  assert.match(reasonOf(webSeeds.news), /^the certificate of 127\.0\.0\.1:\d+ is not valid: /)
})

test('a link may not lead to this machine, a redirect not into this network', async (t) => {
  const content = await makeContent(t, { seed: 7 })
  const mirror = await startMirror(t, content)
  for (const url of [mirror.url, mirror.url.replace('127.0.0.1', 'localhost')]) {
    const news: WebSeedNews[] = []
    const webSeeds = { sources: [{ url, isTrusted: false }], onNews: (one: WebSeedNews) => news.push(one) }
    await fetchContent(t, await startClient(t), content, { known: true, webSeeds })
    await until(() => reasonOf(news), { timeoutMs: 20_000, what: 'the reason' })
    assert.match(reasonOf(news), /an address of this machine or network/)
  }
  assert.deepEqual(mirror.ranges, [], 'it was not even asked')
  const mapped = ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:a9fe:a9fe']
  const here = ['127.0.0.1', '0.0.0.0', '169.254.169.254', '::1', 'fe80::1', ...mapped]
  const near = ['10.1.2.3', '192.168.1.1', '172.16.0.1', 'fd00::1', '::ffff:a01:203']
  for (const address of here) assert.ok(!isWithin('not-here', address) && isWithin('any', address), address)
  for (const address of near)
    assert.ok(isWithin('not-here', address) && !isWithin('public', address), address)
  assert.ok(isWithin('public', '93.184.215.14') && isWithin('public', '2606:2800::1'))
  assert.match(hostProblem('public', new URL('http://[fd00::1]/')) ?? '', /fd00::1/)
  assert.match(hostProblem('not-here', new URL('http://[::ffff:127.0.0.1]/')) ?? '', /::ffff:7f00:1/)
})

test('blocks that follow each other are one stretch', () => {
  const queue = new BlockQueue()
  const block = (at: number, length = 10) => ({ piece: 0, offset: at, at, length })
  for (const at of [20, 30, 50, 60, 70]) queue.add(block(at))
  assert.equal(queue.remove(60), true)
  assert.equal(queue.remove(60), false)
  const first = queue.take(100)
  assert.deepEqual([first?.start, first?.end], [20, 40])
  queue.putBack(first?.blocks ?? [])
  assert.deepEqual(queue.take(10)?.end, 30)
  assert.deepEqual([queue.take(100)?.start, queue.take(100)?.start, queue.take(100)?.start], [30, 50, 70])
  assert.equal(queue.take(100), null)
})
