/** The token of a server that others can reach: who has it, who has not, and what is told of it. */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { webToken } from '../../src/commands/web-token.ts'
import { WebToken } from '../../src/web/token.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { ask, FeedClient, openStatus } from './clients.ts'
import { MadeSource, madeFleet, startWeb } from './fleet-kit.ts'

const TOKEN = 'mellon-mellon-mellon'
const PATHS = ['/', '/api/status', '/metrics', '/page/main.js', '/api/openapi.json', '/nothing', '/?x=1']

const startLocked = (t: TestContext, source = new MadeSource(madeFleet(1, 1))) =>
  startWeb(t, source, {}, { token: TOKEN })

/** The cookie of a link that was opened. */
async function cookieFrom(port: number): Promise<string> {
  const { headers } = await ask(`/?token=${TOKEN}`, { port })
  return headers['set-cookie']?.[0]?.split(';', 1)[0] ?? ''
}

test('without the token there is nothing but a sign of life, on either port', async (t) => {
  const { server } = await startLocked(t)
  for (const { port } of [server, { port: server.livePort }]) {
    for (const path of PATHS) {
      const { status, headers, body } = await ask(path, { port })
      assert.equal(status, 401, path)
      assert.equal(headers['www-authenticate'], 'Bearer')
      assert.equal(JSON.parse(body).code, 'token-required')
    }
  }
  assert.equal((await ask('/healthz', server)).status, 200)
  assert.equal(await openStatus(`${server.url.replace('http', 'ws')}/ws`), 401)
  assert.equal(await openStatus(server.liveUrl), 401)
  const metrics = await ask('/metrics', { port: server.port, headers: { Authorization: `Bearer ${TOKEN}` } })
  assert.match(metrics.body, /web_refused_total\{reason="token-required"\} 16/)
})

test('programs send it in a header', async (t) => {
  const { server } = await startLocked(t)
  const asked = async (authorization: string): Promise<number> =>
    (await ask('/api/status', { port: server.port, headers: { Authorization: authorization } })).status
  assert.equal(await asked(`Bearer ${TOKEN}`), 200)
  assert.equal(await asked(`bearer  ${TOKEN}`), 200)
  for (const wrong of [
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Basic ${TOKEN}`,
    TOKEN,
  ]) {
    assert.equal(await asked(wrong), 401, wrong)
  }
  const headers = { Authorization: `Bearer ${TOKEN}` }
  assert.equal(await openStatus(server.liveUrl, headers), 101)
  // The token is no way around who may ask.
  assert.equal(await openStatus(server.liveUrl, { ...headers, Origin: 'http://evil.example' }), 403)
  const evil = await ask('/', { port: server.port, headers: { ...headers, Host: 'evil.example' } })
  assert.equal(evil.status, 403)
})

test('a browser gets a cookie for the link, and goes on without the token in its address', async (t) => {
  const { server } = await startLocked(t)
  const { status, headers, body } = await ask(`/?token=${TOKEN}`, server)
  assert.deepEqual([status, headers.location, headers['cache-control'], body], [303, '/', 'no-store', ''])
  const [cookie = ''] = headers['set-cookie'] ?? []
  assert.match(cookie, /; HttpOnly; SameSite=Lax$/)
  assert.ok(!cookie.includes(TOKEN), 'other programs on this machine are sent the cookie, too')
  const withCookie = { Cookie: `other=1; ${await cookieFrom(server.port)}; more=2` }
  for (const path of ['/', '/api/status', '/page/main.js']) {
    assert.equal((await ask(path, { port: server.port, headers: withCookie })).status, 200, path)
  }
  const feed = await new FeedClient(t, server.liveUrl, withCookie).ready()
  assert.equal(feed.status.hosts.length, 1)
  for (const path of [`/?token=${TOKEN}x`, '/?token=', `/api/status?token=${TOKEN}`, `/?Token=${TOKEN}`]) {
    assert.equal((await ask(path, server)).status, 401, path)
  }
  // Not even with the cookie: a wrong link is to be seen for one.
  const stale = await ask('/?token=wrong', { port: server.port, headers: withCookie })
  assert.equal(stale.status, 401)
  const other = { Cookie: withCookie.Cookie.replace(String(server.port), '1') }
  assert.equal((await ask('/', { port: server.port, headers: other })).status, 401)
})

test('a cookie holds over a restart, and not for another token', () => {
  const [now, then] = [new WebToken(TOKEN), new WebToken(TOKEN)]
  const [cookie] = now.setCookie(8080).split(';', 1)
  assert.ok(then.admits({ cookie }, 8080))
  assert.ok(!then.admits({ cookie }, 8081))
  assert.ok(!new WebToken(`${TOKEN}x`).admits({ cookie }, 8080))
  assert.ok(!now.admits({ cookie: `gguf-swarm-8080=${TOKEN}` }, 8080))
  assert.ok(!now.admits({}, 8080))
})

test('a server that others can reach does not start without one', async (t) => {
  const source = new MadeSource(madeFleet(1, 1))
  for (const host of ['0.0.0.0', '::', '127.evil.example']) {
    await assert.rejects(startWeb(t, source, {}, { host }), { code: 'no-token' }, host)
  }
})

test('a token is made once, for its owner alone; one that is no token is refused', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'deep', 'state', 'web.token')
  assert.equal(await webToken({ host: '127.0.0.1' }), null)
  const made = await webToken({ host: '127.0.0.1', tokenFile: file })
  assert.match(made!.token, /^[\w-]{43}$/)
  assert.equal(await readFile(file, 'utf8'), `${made!.token}\n`)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await stat(join(file, '..'))).mode & 0o777, 0o700)
  assert.deepEqual(await webToken({ host: '0.0.0.0', tokenFile: file }), made)
  const many = await Promise.all(
    Array.from({ length: 8 }, () => webToken({ host: '::', tokenFile: join(folder, 'together') })),
  )
  assert.equal(new Set(many.map((one) => one?.token)).size, 1)
  for (const bad of [
    '',
    'short',
    'has blanks in it, and more',
    `${'x'.repeat(201)}`,
    `${'x'.repeat(5_000)}`,
    'é'.repeat(20),
  ]) {
    await writeFile(file, bad)
    await assert.rejects(webToken({ host: '::', tokenFile: file }), { code: 'bad-token' }, bad.slice(0, 10))
  }
})

test('connections of addresses that are not allowed are closed unread', async (t) => {
  const source = new MadeSource(madeFleet(1, 1))
  const asked: string[] = []
  const { server } = await startWeb(t, source, {}, { admits: (address) => asked.push(address) > 2 })
  for (const { port } of [server, { port: server.livePort }]) await assert.rejects(ask('/', { port }))
  assert.deepEqual(asked, ['127.0.0.1', '127.0.0.1'])
  assert.match((await ask('/metrics', server)).body, /web_refused_total\{reason="address-not-allowed"\} 2/)
})
