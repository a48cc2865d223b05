/** The feed's connection: it comes back by itself, and says so while it is away. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WebSocketServer } from 'ws'
import { FeedBook } from '../../src/web/feed.ts'
import { Feed } from '../../src/web/page/feed.js'
import { applyFrame, type FleetState } from '../../src/web/page/state.js'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'
import { openPage, servePage, skipWithoutBrowser, textOf } from './browser.ts'
import { GeneratedFleet, namesFrom } from './fleet-generator.ts'

const skip = skipWithoutBrowser()

const aFleet = (): GeneratedFleet =>
  new GeneratedFleet({ hostNames: namesFrom('host', 2), models: [{ name: 'one', count: 2 }] })

test('a server that restarts: a plain word, then everything as it is now', { skip }, async (t) => {
  const fleet = aFleet()
  // What the browser says about a refused connection cannot be kept from its console.
  const { page, server, complaints } = await openPage(t, fleet, { mayComplain: true })
  const { port } = server
  assert.match(await textOf(page, '.connection'), /^live$/)
  await server.stop()
  await page.locator('.banner').getByText('Connection lost').waitFor()
  assert.match(
    await textOf(page, '.banner'),
    /^Connection lost \d+ s ago, trying again; what you see is from \d\d:\d\d:\d\d\.$/,
  )
  await until(async () => /Connection lost [2-9] s ago/.test(await textOf(page, '.banner')), {
    timeoutMs: 10_000,
  })
  assert.match(await page.title(), /^offline/)
  assert.equal(await page.locator('.row.is-shard').count(), 2, 'what was known stays')

  fleet.addModel({ name: 'meanwhile', count: 1 })
  const again = await servePage(fleet, port)
  afterTest(t, () => again.stop())
  await page.locator('.banner').waitFor({ state: 'detached', timeout: 15_000 })
  await page.getByRole('rowheader', { name: /meanwhile/ }).waitFor()
  assert.match(await textOf(page, '.connection'), /^live$/)
  fleet.join('and-goes-on')
  await page.getByRole('columnheader', { name: /and-goes-on/ }).waitFor()
  assert.deepEqual(
    complaints.filter((text) => !/WebSocket connection to .* failed/.test(text)),
    [],
  )
})

/** A feed's other end that says what a test wants, and the page's connection to it. */
async function connect(
  t: Parameters<typeof afterTest>[0],
  onConnect: (send: (frame: object) => void) => void,
) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  afterTest(t, () => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  const connectedAt: number[] = []
  server.on('connection', (socket) => {
    connectedAt.push(performance.now())
    onConnect((frame) => socket.send(JSON.stringify(frame)))
  })
  await until(() => server.address() !== null, { timeoutMs: 20_000 })
  const { port } = server.address() as { port: number }
  const states: string[] = []
  let state: FleetState | null = null
  const feed = new Feed({
    url: `ws://127.0.0.1:${port}/ws`,
    onFrame: (frame) => {
      const next = applyFrame(state, frame)
      if (next !== null) state = next
      return next !== null
    },
    onConnection: (connection) => states.push(connection.state),
  })
  feed.start()
  afterTest(t, () => feed.stop())
  return { connectedAt, states }
}

test('silence counts as lost after 12 s', { timeout: 40_000 }, async (t) => {
  const snapshot = JSON.parse(new FeedBook(aFleet().status, []).snapshot().toString()) as object
  const { connectedAt, states } = await connect(t, (send) => send(snapshot))
  await until(() => connectedAt.length === 2, { timeoutMs: 20_000 })
  const waitedMs = (connectedAt[1] ?? 0) - (connectedAt[0] ?? 0)
  assert.ok(waitedMs > 12_000, `${waitedMs} ms`)
  await until(() => states.length === 3, { timeoutMs: 20_000 })
  assert.deepEqual(states, ['live', 'lost', 'live'])
})

test('a gap leads to a new snapshot, and a server that only makes gaps is asked less and less often', async (t) => {
  const snapshot = JSON.parse(new FeedBook(aFleet().status, []).snapshot().toString()) as { seq: number }
  const { connectedAt } = await connect(t, (send) => {
    send(snapshot)
    send({ type: 'patch', seq: snapshot.seq + 2, time: new Date().toISOString() })
  })
  await until(() => connectedAt.length >= 4, { timeoutMs: 20_000 })
  const waits = connectedAt.slice(1).map((at, index) => at - (connectedAt[index] ?? 0))
  for (const [index, least] of [500, 1_000, 2_000].entries()) {
    // How much longer it is on a busy machine says nothing of the page.
    const wait = waits[index] ?? 0
    assert.ok(wait >= least - 5, `wait ${index + 1}: ${wait} ms`)
  }
})

test('what is no JSON is a reason to connect again, not to break', async (t) => {
  let count = 0
  const snapshot = JSON.parse(new FeedBook(aFleet().status, []).snapshot().toString()) as object
  const { connectedAt, states } = await connect(t, (send) => send(count++ === 0 ? ['no', 'frame'] : snapshot))
  await until(() => connectedAt.length === 2 && states.at(-1) === 'live', { timeoutMs: 20_000 })
})

test('a server that asks for a token: the link opens the page, feed and all', { skip }, async (t) => {
  const token = 'mellon-mellon-mellon'
  const { page, server, context, requests } = await openPage(t, aFleet(), { token })
  assert.equal(page.url(), `${server.url}/`, 'the token is not in the address any more')
  await until(async () => /^live$/.test(await textOf(page, '.connection')), { timeoutMs: 10_000 })
  // Without the page's own help, as any program of the browser would: the other port takes the cookie, too.
  const opened = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url)
        socket.onopen = () => resolve('open')
        socket.onclose = () => resolve('closed')
      }),
    server.liveUrl,
  )
  assert.equal(opened, 'open')
  requests.splice(requests.indexOf(`${server.liveUrl}/`), 1) // our own
  await page.reload()
  await page.waitForSelector('.figures')
  await context.clearCookies()
  assert.equal((await page.request.get(server.url)).status(), 401)
})
