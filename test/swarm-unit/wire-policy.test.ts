/** Connections that are pointless, or that only work another way, between real engines on loopback. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../helpers/until.ts'
import { handshake, ID, isPlaintext, listen, message, RawPeer, uint32 } from '../hostile/raw-peer.ts'
import { fetchContent, makeContent, seedContent, startClient } from '../hostile/swarm-kit.ts'

/** The engine tries again after 1 s: a quiet 1.5 s after a connection was dropped means that it is not. */
const RECONNECT_SEEN_MS = 1_500

test('a peer does not stay connected to itself', async (t) => {
  const content = await makeContent(t)
  // On all addresses, so that the engine's own check, which knows 127.0.0.1 only, does not help.
  const client = await startClient(t, { bind: '0.0.0.0' })
  const download = await fetchContent(t, client, content, {
    known: true,
    from: [{ host: '127.0.0.2', port: client.port }],
  })
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, download.torrent.stats().peers)
  }, 5)
  await delay(RECONNECT_SEEN_MS)
  clearInterval(watch)
  assert.equal(download.torrent.stats().peers, 0)
})

test('two seeds part, and do not meet again every second', async (t) => {
  const content = await makeContent(t)
  const [here, there] = [await startClient(t), await startClient(t)]
  const torrent = seedContent(here, content)
  seedContent(there, content)
  // Between the two: counts connections, and hands everything on.
  let connections = 0
  const relay = await listen(t, (socket) => {
    connections++
    const onward = connect(there.port, '127.0.0.1')
    onward.on('error', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
  })
  torrent.dial(relay)
  await until(() => connections > 0, { timeoutMs: 30_000 })
  await until(() => torrent.stats().peers === 0, { timeoutMs: 30_000, what: 'the seeds part' })
  const seen = connections
  await delay(RECONNECT_SEEN_MS)
  torrent.dial(relay)
  torrent.dial(relay)
  await delay(100)
  assert.equal(connections, seen, 'a seed known for one is not dialled again')
})

test('a peer that refuses encryption is reached in plaintext', async (t) => {
  const content = await makeContent(t)
  const plaintext: boolean[] = []
  const peer = await listen(t, (socket) => {
    const raw = new RawPeer(socket)
    socket.once('data', (bytes) => {
      plaintext.push(isPlaintext(bytes))
      if (isPlaintext(bytes)) raw.write(handshake(content), message(ID.haveAll))
      else socket.destroy()
    })
  })
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  await until(() => download.torrent.stats().peers === 1, { timeoutMs: 30_000, what: 'a connection' })
  assert.deepEqual(plaintext, [false, true])
})

test('several connections between the same two do no harm', async (t) => {
  const content = await makeContent(t, { length: 2_000_000 })
  const seed = await startClient(t, { bind: '0.0.0.0' })
  const offered = seedContent(seed, content)
  const client = await startClient(t, { bind: '0.0.0.0' })
  const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
  const download = await fetchContent(t, client, content, {
    from: hosts.map((host) => ({ host, port: seed.port })),
  })
  for (const host of hosts) offered.dial({ host, port: client.port })
  assert.ok((await download.done()).equals(content.bytes))
  assert.ok(download.torrent.stats().peers <= 1, 'counted as one peer')
})

test('a peer that was interested in one segment with its handshake is served', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  seedContent(client, content)
  const socket = connect(client.port, '127.0.0.1')
  t.after(() => socket.destroy())
  const peer = new RawPeer(socket)
  peer.write(handshake(content), message(ID.interested))
  await peer.received(ID.unchoke)
  peer.write(message(ID.request, uint32(0, 0, 16_384)))
  assert.ok((await peer.received(ID.piece)).body.subarray(8).equals(content.bytes.subarray(0, 16_384)))
})

test('a request for a piece that is not here yet is refused, not forgotten', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  await fetchContent(t, client, content, { known: true })
  const socket = connect(client.port, '127.0.0.1')
  t.after(() => socket.destroy())
  const peer = new RawPeer(socket)
  peer.write(handshake(content), message(ID.interested))
  await peer.received(ID.unchoke)
  peer.write(message(ID.request, uint32(3, 0, 16_384)))
  assert.deepEqual((await peer.received(ID.reject)).body, uint32(3, 0, 16_384))
})
