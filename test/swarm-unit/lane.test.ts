/** The scheduler of downloads: which piece next, who is to blame, and peers that stall, lie in part or have little. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'
import { Blame } from '../../src/swarm/lane/blame.ts'
import { Haves } from '../../src/swarm/lane/haves.ts'
import { LanePeer } from '../../src/swarm/lane/lane-peer.ts'
import { PieceBuffers } from '../../src/swarm/lane/piece-buffers.ts'
import { Pieces } from '../../src/swarm/lane/pieces.ts'
import { until } from '../helpers/until.ts'
import { blockFor, type Liar, liar, OFFER } from '../hostile/liar.ts'
import { connectTo, handshake, ID, type Message, message, type RawPeer, uint32 } from '../hostile/raw-peer.ts'
import { fetchContent, makeContent, seedContent, startClient } from '../hostile/swarm-kit.ts'

test('piece buffers stay within their budget, are used again, and never keep a download from going on', () => {
  const buffers = new PieceBuffers(100)
  const [first, second] = [buffers.take(50, false), buffers.take(50, false)]
  assert.ok(first && second)
  assert.equal(buffers.take(50, false), null)
  const third = buffers.take(60, true)
  assert.ok(third)
  buffers.give(third)
  assert.equal(buffers.bytes, 100, 'what is beyond the budget goes')
  buffers.give(first)
  assert.equal(buffers.take(50, false), first)
  buffers.give(first)
  assert.ok(buffers.take(40, false), 'memory of another length makes room')
  buffers.trim()
  assert.equal(buffers.bytes, 90)
})

test('a piece that cannot be written gives its memory back: the budget is that of all downloads', () => {
  const buffers = new PieceBuffers()
  const put = (_index: number, _bytes: Uint8Array, done: (error: Error) => void): void =>
    done(new Error('no space left'))
  const torrent = { pieces: [{}], pieceLength: 16_384, length: 16_384, store: { put } } as unknown as Torrent
  const pieces = new Pieces(torrent, buffers, new Blame(() => assert.fail('nobody lied')), () =>
    assert.fail('there is no room'),
  )
  const peer = new LanePeer({ peerPieces: { get: () => true } } as unknown as Wire)
  const piece = pieces.next(peer)
  assert.ok(piece)
  pieces.arrived(piece, pieces.ask(piece), peer)
  pieces.stop()
  assert.equal(buffers.bytes, 0)
})

test('of several senders of a wrong piece, the one whose block differs is guilty', () => {
  const guilty: string[] = []
  const blame = new Blame((wire) => guilty.push(wire.peerId))
  const [honest, liar] = ['honest', 'liar'].map((peerId) => ({ peerId }) as Wire) as [Wire, Wire]
  const right = Buffer.from('aabbcc')
  const piece = (bytes: string, senders: readonly Wire[]) => ({
    index: 4,
    bytes: Buffer.from(bytes),
    blockBytes: 2,
    senders,
  })
  blame.failed(piece('aaxxcc', [honest, liar, honest]))
  assert.deepEqual(guilty, [], 'nobody knows yet')
  blame.passed({ ...piece('', [honest, honest, honest]), bytes: right })
  assert.deepEqual(guilty, ['liar'])
  blame.failed(piece('xx', [honest]))
  assert.deepEqual(guilty, ['liar', 'honest'], 'who sent all of it is guilty at once')
})

test('two peers with half of the pieces each', async (t) => {
  const content = await makeContent(t, { length: 1_000_000 })
  const pieces = Math.ceil(1_000_000 / content.pieceLength)
  const peers = [0, 1].map((which) => {
    const bits = Buffer.alloc(Math.ceil(pieces / 8))
    for (let at = which; at < pieces; at += 2) bits[at >> 3]! |= 0x80 >> (at & 7)
    const wrong: number[] = []
    const answer = ({ id, body }: Message, peer: RawPeer): void => {
      if (id !== ID.request) return
      if (body.readUInt32BE(0) % 2 !== which) wrong.push(body.readUInt32BE(0))
      else peer.write(blockFor(content, body))
    }
    const opening = [message(ID.bitfield, bits), message(ID.unchoke)]
    return { wrong, peer: liar(t, content, opening, answer, `127.0.0.${2 + which}`) }
  })
  const from = await Promise.all(peers.map(({ peer }) => peer))
  const download = await fetchContent(t, await startClient(t), content, { known: true, from })
  assert.ok((await download.done(30_000)).equals(content.bytes))
  assert.deepEqual(
    peers.map(({ wrong }) => wrong),
    [[], []],
    'nobody was asked for what it has not',
  )
})

test('a peer that stops in the middle of a block, and goes on with other bytes when others have sent it', async (t) => {
  const content = await makeContent(t, { length: 2_000_000, pieceLength: 256 * 1024 })
  const half: { peer: RawPeer; rest: Buffer }[] = []
  const staller = await liar(t, content, OFFER, (incoming, peer) => {
    if (incoming.id !== ID.request || half.length > 0) return
    const whole = blockFor(content, incoming.body)
    peer.write(whole.subarray(0, 5_000))
    half.push({ peer, rest: Buffer.alloc(whole.length - 5_000, 0xbd) })
  })
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [staller] })
  await until(() => half.length > 0, { timeoutMs: 30_000, what: 'half a block' })
  let isTwisted = false
  const honest = await liar(
    t,
    content,
    OFFER,
    (incoming, peer) => {
      if (incoming.id !== ID.request) return
      peer.write(blockFor(content, incoming.body))
      if (isTwisted || incoming.body.readUInt32BE(0) === 0) return
      isTwisted = true
      half[0]!.peer.write(half[0]!.rest)
    },
    '127.0.0.3',
  )
  download.torrent.dial(honest)
  assert.ok((await download.done(40_000)).equals(content.bytes))
})

test('blocks of a wrong length or place are dropped, and the peer is not believed', async (t) => {
  const content = await makeContent(t)
  const peer = await liar(t, content, OFFER, ({ id, body }, met) => {
    if (id !== ID.request) return
    const [piece, offset] = [body.readUInt32BE(0), body.readUInt32BE(4)]
    met.write(
      message(ID.piece, uint32(piece, offset), Buffer.alloc(100, 1)),
      message(ID.piece, uint32(piece, offset + 1), Buffer.alloc(16_384, 2)),
      message(ID.piece, uint32(piece + 1_000, offset), Buffer.alloc(16_384, 3)),
      message(ID.piece, uint32(piece, offset), Buffer.alloc(100_000, 4)),
      blockFor(content, body),
    )
  })
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  assert.ok((await download.done(30_000)).equals(content.bytes))
})

test('a refusal far beyond the end of a piece is none of a block of the next', async (t) => {
  const content = await makeContent(t)
  const peer = await liar(t, content, OFFER, ({ id, body }, met) => {
    if (id !== ID.request) return
    const [piece, offset, length] = [0, 4, 8].map((at) => body.readUInt32BE(at)) as [number, number, number]
    // As many blocks before it as a piece can have at most.
    if (piece > 0) met.write(message(ID.reject, uint32(piece - 1, 65_536 * 16_384 + offset, length)))
    met.write(blockFor(content, body))
  })
  const download = await fetchContent(t, await startClient(t), content, { known: true, from: [peer] })
  assert.ok((await download.done(10_000)).equals(content.bytes))
})

test('over connections that the seed made, and given up ones are not counted', async (t) => {
  const content = await makeContent(t, { length: 3_000_000 })
  const seed = await startClient(t)
  const client = await startClient(t, { maxConns: 3 })
  const download = await fetchContent(t, client, content, { known: true })
  for (let round = 0; round < 6; round++) {
    const passing = await connectTo(t, client.port)
    passing.write(handshake(content))
    await until(() => passing.handshaken, { timeoutMs: 30_000, what: `connection ${round}` })
    passing.socket.destroy()
    await until(() => passing.closed, { timeoutMs: 30_000 })
  }
  seedContent(seed, content).dial({ host: '127.0.0.1', port: client.port })
  assert.ok((await download.done(30_000)).equals(content.bytes))
})

test('a swarm of downloaders of one slow seed give each other what they have', async (t) => {
  const content = await makeContent(t, { length: 4_000_000, pieceLength: 64 * 1024 })
  const seed = await startClient(t, { uploadLimit: 2_000_000 })
  seedContent(seed, content)
  const clients = await Promise.all(Array.from({ length: 4 }, () => startClient(t)))
  const addresses = [seed, ...clients].map(({ port }) => ({ host: '127.0.0.1', port }))
  const startedAt = performance.now()
  const downloads = await Promise.all(
    clients.map((client) =>
      fetchContent(t, client, content, {
        known: true,
        from: addresses.filter(({ port }) => port !== client.port),
      }),
    ),
  )
  for (const download of downloads) assert.ok((await download.done(40_000)).equals(content.bytes))
  const uploaded = downloads.reduce((sum, { torrent }) => sum + torrent.stats().uploadedBytes, 0)
  t.diagnostic(
    `${uploaded} bytes came from other downloaders, in ${Math.round(performance.now() - startedAt)} ms`,
  )
  assert.ok(uploaded > 4_000_000, `only ${uploaded} bytes came from other downloaders`)
})

test('who lacks a piece hears of it soon, who has it later, each of many together', async () => {
  const told: string[] = []
  const peer = (name: string, has: (index: number) => boolean) =>
    ({
      peerPieces: { get: has },
      destroyed: false,
      have: (index: number) => told.push(`${name} ${index}`),
    }) as unknown as Wire
  const [seed, half] = [peer('seed', () => true), peer('half', (index) => index < 2)]
  const gone = Object.assign(
    peer('gone', () => true),
    { destroyed: true },
  )
  const haves = new Haves()
  for (let index = 0; index < 4; index++) haves.tell([seed, half, gone], index)
  assert.deepEqual(told, [])
  await until(() => told.length > 0, { timeoutMs: 30_000, what: 'somebody is told' })
  assert.deepEqual(told.splice(0), ['half 2', 'half 3'])
  haves.tell([half], 4)
  haves.tellAll()
  assert.deepEqual(told.splice(0), ['half 4', 'seed 0', 'seed 1', 'seed 2', 'seed 3', 'half 0', 'half 1'])
  haves.tellAll()
  assert.deepEqual(told, [])
})

test('each peer is told once of each piece, a seed of the same while it still sends', async (t) => {
  const content = await makeContent(t)
  const last = Math.ceil(content.bytes.length / content.pieceLength) - 1
  const heldBack: Buffer[] = []
  const client = await startClient(t)
  const seed = await liar(t, content, OFFER, ({ id, body }, peer) => {
    if (id !== ID.request) return
    if (body.readUInt32BE(0) === last) heldBack.push(blockFor(content, body))
    else peer.write(blockFor(content, body))
  })
  const empty = await liar(t, content, [message(ID.haveNone)], undefined, '127.0.0.3')
  const download = await fetchContent(t, client, content, { known: true, from: [seed, empty] })
  const told = ({ met }: Liar): readonly number[] =>
    met.flatMap(({ messages }) =>
      messages.filter(({ id }) => id === ID.have).map(({ body }) => body.readUInt32BE(0)),
    )
  const allBut = (count: number): readonly number[] =>
    Array.from({ length: last + 1 - count }, (_, index) => index)
  const untilTold = async (peer: Liar, pieces: readonly number[]): Promise<void> => {
    await until(() => told(peer).length >= pieces.length, { timeoutMs: 30_000, what: `${pieces} are told` })
    assert.deepEqual(
      [...told(peer)].sort((a, b) => a - b),
      pieces,
    )
  }
  await untilTold(seed, allBut(1))
  await untilTold(empty, allBut(1))
  for (const block of heldBack) seed.met.at(-1)!.write(block)
  assert.ok((await download.done(30_000)).equals(content.bytes))
  await untilTold(empty, allBut(0))
})
