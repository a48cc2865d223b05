/** Connections that are pointless, or that only work another way, between real engines on loopback. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { countingRelay } from '../helpers/relay-counter.ts'
import { until } from '../helpers/until.ts'
import { liar } from '../hostile/liar.ts'
import {
  connectTo,
  extended,
  handshake,
  ID,
  isPlaintext,
  listen,
  meet,
  message,
  RawPeer,
  uint32,
} from '../hostile/raw-peer.ts'
import { fetchContent, makeContent, seedContent, startClient } from '../hostile/swarm-kit.ts'

/** The engine tries again after 1 s: a quiet 1.5 s after a connection was dropped means that it is not. */
const RECONNECT_SEEN_MS = 1_500

/** A way to an engine that neither the one nor the other takes for its own; it counts who comes along. */
async function startRelay(t: TestContext, port: number) {
  const relay = await countingRelay(t, `127.0.0.1:${port}`)
  return { relay, address: parsePeerAddress(relay.address)! }
}

test('a peer does not stay connected to itself', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  const { relay, address } = await startRelay(t, client.port)
  const download = await fetchContent(t, client, content, { known: true, from: [address] })
  await until(() => relay.connections > 0, { timeoutMs: 30_000, what: 'a connection to itself' })
  await until(() => download.torrent.stats().peers === 0, { timeoutMs: 30_000, what: 'the end of it' })
  await delay(RECONNECT_SEEN_MS)
  assert.equal(download.torrent.stats().peers, 0)
})

test('two seeds part, and do not meet again every second', async (t) => {
  const content = await makeContent(t)
  const [here, there] = [await startClient(t), await startClient(t)]
  const torrent = seedContent(here, content)
  seedContent(there, content)
  const { relay, address } = await startRelay(t, there.port)
  torrent.dial(address)
  await until(() => relay.connections > 0, { timeoutMs: 30_000 })
  await until(() => torrent.stats().peers === 0, { timeoutMs: 30_000, what: 'the seeds part' })
  const seen = relay.connections
  await delay(RECONNECT_SEEN_MS)
  torrent.dial(address)
  torrent.dial(address)
  await delay(100)
  assert.equal(relay.connections, seen, 'a seed known for one is not dialled again')
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
  const peer = await connectTo(t, client.port)
  peer.write(handshake(content), message(ID.interested))
  await peer.received(ID.unchoke)
  peer.write(message(ID.request, uint32(0, 0, 16_384)))
  assert.ok((await peer.received(ID.piece)).body.subarray(8).equals(content.bytes.subarray(0, 16_384)))
})

test('a request for a piece that is not here yet is refused, not forgotten', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  await fetchContent(t, client, content, { known: true })
  const peer = await connectTo(t, client.port)
  peer.write(handshake(content), message(ID.interested))
  await peer.received(ID.unchoke)
  peer.write(message(ID.request, uint32(3, 0, 16_384)))
  assert.deepEqual((await peer.received(ID.reject)).body, uint32(3, 0, 16_384))
})

test('peers that come before the metadata are not waited for one by one', async (t) => {
  const warnings: string[] = []
  const hear = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', hear)
  t.after(() => process.off('warning', hear))
  const content = await makeContent(t)
  const client = await startClient(t)
  const download = await fetchContent(t, client, content)
  for (let peers = 0; peers < 12; peers++) await meet(t, client.port, content)
  await until(() => download.torrent.stats().peers === 12, { timeoutMs: 30_000, what: '12 peers' })
  assert.deepEqual(warnings, [], 'a listener for each, which nobody takes away')
})

/** An id of our kind: the smallest of all, or the largest. */
const ourKind = (fill: '00' | 'ff'): string => `${Buffer.from('-WW').toString('hex')}${fill.repeat(17)}`

/** A peer that is dialled and dials; which of the two connections are open after a while? */
async function connectedTwice(t: TestContext, peerId: string, { address = '127.0.0.1', laterMs = 0 } = {}) {
  const content = await makeContent(t)
  const client = await startClient(t, { bind: '0.0.0.0' })
  const { infoHash } = content
  const dialled = await liar(t, { infoHash, peerId }, [message(ID.haveNone)], undefined, address)
  await fetchContent(t, client, content, { known: true, from: [dialled] })
  await until(() => dialled.met.some(({ handshaken }) => handshaken), {
    timeoutMs: 30_000,
    what: 'it is dialled',
  })
  await delay(laterMs)
  const dials = await connectTo(t, client.port)
  dials.write(handshake({ infoHash, peerId }))
  await delay(RECONNECT_SEEN_MS)
  return {
    dialled: dialled.met.some(({ handshaken, closed }) => handshaken && !closed),
    dials: !dials.closed,
  }
}

test('of two connections to one program, that of the smaller id stays', async (t) => {
  assert.deepEqual(await connectedTwice(t, ourKind('00')), { dialled: false, dials: true })
  assert.deepEqual(await connectedTwice(t, ourKind('ff')), { dialled: true, dials: false })
})

test('other clients choose themselves, and an id says nothing of who has it at another address', async (t) => {
  const both = { dialled: true, dials: true }
  assert.deepEqual(await connectedTwice(t, Buffer.from('-XX0000-abcdefabcdef').toString('hex')), both)
  assert.deepEqual(await connectedTwice(t, ourKind('00'), { address: '127.0.0.2' }), both)
})

test('who dials later has lost the connection before, whatever its id', async (t) => {
  const newer = { dialled: false, dials: true }
  assert.deepEqual(await connectedTwice(t, ourKind('ff'), { laterMs: 5_500 }), newer)
})

test('who is connected already is not dialled', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  const listening = await liar(t, content, [message(ID.haveNone)], undefined, '127.0.0.1')
  const download = await fetchContent(t, client, content, { known: true })
  const peer = await meet(t, client.port, content)
  peer.write(extended(0, `d1:md11:ut_metadatai1ee1:pi${listening.port}ee`), message(ID.haveNone))
  await peer.received(ID.extended)
  await delay(100) // what was said with it is read by then
  download.torrent.dial(listening)
  await delay(RECONNECT_SEEN_MS)
  assert.equal(listening.met.length, 0)
  peer.socket.destroy()
  await until(() => download.torrent.stats().peers === 0, { timeoutMs: 30_000, what: 'it has left' })
  download.torrent.dial(listening)
  await until(() => listening.met.length > 0, { timeoutMs: 30_000, what: 'it is dialled now' })
})
