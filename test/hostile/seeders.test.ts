/** Peers that offer a torrent and lie about it: each is outlived, and an honest one finishes the download. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import bencode from 'bencode'
import type { PeerAddress } from '../../src/metainfo/peer-address.ts'
import { until } from '../helpers/until.ts'
import { liar, OFFER, sendBlocks } from './liar.ts'
import { extended, ID, type Message, message, type RawPeer, uint32 } from './raw-peer.ts'
import { type Content, fetchContent, makeContent, seedContent, startClient } from './swarm-kit.ts'

const METADATA = 1

const hello = (size: number): Buffer =>
  extended(0, Buffer.from(bencode.encode({ m: { ut_metadata: METADATA }, metadata_size: size })))

/** Answers metadata requests with `data` in pieces of 16 KiB, however often. */
function sendMetadata(data: Buffer): (message: Message, peer: RawPeer) => void {
  return ({ id, body }, peer) => {
    // Our own numbers: the peer sends requests under the number of our extended handshake.
    if (id !== ID.extended || body[0] !== METADATA) return
    const { msg_type: type, piece } = bencode.decode(body.subarray(1)) as { msg_type: number; piece: number }
    if (type !== 0) return
    const head = Buffer.from(bencode.encode({ msg_type: 1, piece, total_size: data.length }))
    peer.write(extended(METADATA, Buffer.concat([head, data.subarray(piece * 16_384, (piece + 1) * 16_384)])))
  }
}

async function honestSeed(t: TestContext, content: Content): Promise<PeerAddress> {
  const client = await startClient(t)
  seedContent(client, content)
  return { host: '127.0.0.1', port: client.port }
}

const TWISTED_METADATA: readonly (readonly [what: string, make: (content: Content) => Buffer])[] = [
  ['of another torrent', () => Buffer.from(bencode.encode({ length: 5, name: 'x', 'piece length': 16_384 }))],
  ['that makes the decoder loop', () => Buffer.from('d6:lengthl-3:ee')],
  ['nested without end', () => Buffer.from('l'.repeat(15_000))],
  ['all zeros, as long as it may be', () => Buffer.alloc(9_999_999)],
  ['with a byte changed', ({ info }) => Buffer.from(info.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))],
]

for (const [what, make] of TWISTED_METADATA) {
  test(`metadata ${what}`, async (t) => {
    const content = await makeContent(t)
    const data = make(content)
    const peer = await liar(t, content, [hello(data.length)], sendMetadata(data))
    const client = await startClient(t)
    const download = await fetchContent(t, client, content, { from: [peer] })
    await until(() => peer.met.some((met) => met.handshaken && met.closed), {
      timeoutMs: 30_000,
      what: 'the liar is left',
    })
    assert.equal(download.metadata(), false)
    download.torrent.dial(await honestSeed(t, content))
    assert.ok((await download.done()).equals(content.bytes))
    assert.deepEqual(download.failures, [])
  })
}

for (const piece of [1, 1_000, -1, 2 ** 31]) {
  test(`metadata in a piece that was not asked for: ${piece}`, async (t) => {
    const content = await makeContent(t)
    const head = Buffer.from(bencode.encode({ msg_type: 1, piece, total_size: 100 }))
    const wrong = extended(METADATA, Buffer.concat([head, Buffer.alloc(16_384)]))
    const peer = await liar(t, content, [hello(100), wrong], (_, raw) => raw.write(wrong))
    const download = await fetchContent(t, await startClient(t), content, { from: [peer] })
    await until(() => peer.met.some(({ handshaken, messages }) => handshaken && messages.length > 0), {
      timeoutMs: 30_000,
      what: 'it is asked for metadata',
    })
    assert.equal(download.metadata(), false)
    download.torrent.dial(await honestSeed(t, content))
    assert.ok((await download.done()).equals(content.bytes))
  })
}

test('metadata taken back while it is being asked for', async (t) => {
  const content = await makeContent(t)
  const wrong = Buffer.alloc(100)
  const takeBack = extended(0, Buffer.from(bencode.encode({ m: { ut_metadata: 0 } })))
  const send = sendMetadata(wrong)
  const peer = await liar(t, content, [hello(wrong.length)], (incoming, met) => {
    if (incoming.id === ID.extended && incoming.body[0] === METADATA) met.write(takeBack)
    send(incoming, met)
  })
  const download = await fetchContent(t, await startClient(t), content, { from: [peer] })
  await until(() => peer.met.some((met) => met.handshaken && met.closed), { timeoutMs: 30_000 })
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done()).equals(content.bytes))
})

test('an allowed-fast piece past the end, said before there is metadata', async (t) => {
  const content = await makeContent(t)
  const info = Buffer.from(content.info)
  const opening = [hello(info.length), message(ID.haveAll), message(ID.allowedFast, uint32(99_999))]
  const peer = await liar(t, content, opening, sendMetadata(info))
  const download = await fetchContent(t, await startClient(t), content, { from: [peer] })
  await until(() => download.metadata(), { timeoutMs: 30_000, what: 'metadata from the liar' })
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done()).equals(content.bytes))
})

test('corrupt blocks: the piece is fetched elsewhere and the peer not dialled again', {
  timeout: 60_000,
}, async (t) => {
  const content = await makeContent(t)
  const answer = sendBlocks(content, (block) => Buffer.from(block.map((byte) => byte ^ 0xff)))
  const peer = await liar(t, content, OFFER, answer)
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  await until(() => peer.met.some((met) => met.handshaken && met.closed), {
    timeoutMs: 15_000,
    what: 'the liar is left',
  })
  const dialled = peer.met.length
  download.torrent.dial(peer)
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done(30_000)).equals(content.bytes))
  assert.equal(peer.met.length, dialled, 'the liar is not dialled again')
})

test('every third piece corrupt, from one peer of two', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t, { length: 2_000_000 })
  const answer = sendBlocks(content, (block, piece) => {
    if (piece % 3 === 0) block[0] = (block[0] ?? 0) ^ 1
    return block
  })
  const peer = await liar(t, content, OFFER, answer)
  const honest = await honestSeed(t, content)
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer, honest] })
  assert.ok((await download.done(40_000)).equals(content.bytes))
})

test('a peer that lets us ask and sends nothing', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t)
  const peer = await liar(t, content, OFFER)
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  await until(() => peer.met.some(({ messages }) => messages.some(({ id }) => id === ID.request)), {
    timeoutMs: 30_000,
  })
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done(40_000)).equals(content.bytes))
})

test('a peer that claims every piece and refuses each', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t)
  let refused = 0
  const peer = await liar(t, content, OFFER, ({ id, body }, met) => {
    if (id !== ID.request) return
    refused++
    met.write(message(ID.reject, body))
  })
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  await until(() => refused > 20, { timeoutMs: 30_000, what: 'requests are refused' })
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done(30_000)).equals(content.bytes))
  t.diagnostic(`${refused} requests were refused`)
  assert.ok(refused < 2_000, `${refused} requests went to a peer that only refuses`)
})

test('a peer that is cut off for what it sends is left alone', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t)
  const noMessage = message(ID.have, uint32(2 ** 31 - 1))
  const peer = await liar(t, content, [...OFFER, noMessage])
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  await until(() => peer.met.some((met) => met.handshaken && met.closed), { timeoutMs: 30_000 })
  await pause(4_000) // the engine dials again after one second, and after five
  assert.equal(peer.met.filter(({ handshaken }) => handshaken).length, 1)
  download.torrent.dial(await honestSeed(t, content))
  assert.ok((await download.done()).equals(content.bytes))
})

test('a peer that sends blocks nobody asked for', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t)
  const unasked = Array.from({ length: 10 }, (_, piece) =>
    message(ID.piece, uint32(piece, 0), Buffer.alloc(16_384, 7)),
  )
  const peer = await liar(t, content, [...OFFER, ...unasked], sendBlocks(content))
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  assert.ok((await download.done(30_000)).equals(content.bytes))
})
