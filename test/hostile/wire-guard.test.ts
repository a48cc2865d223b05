/**
 * Bytes on the BitTorrent port that end an unguarded process, fill its memory or keep it busy, against a real
 * engine that seeds a small file. An error thrown anywhere in this process fails the test that caused it, and
 * after each attack an honest peer still downloads.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import bencode from 'bencode'
import { wireGuardCounters } from '../../src/swarm/wire/wire-guard.ts'
import { until } from '../helpers/until.ts'
import { connectTo, extended, handshake, ID, meet, message, type RawPeer, uint32 } from './raw-peer.ts'
import { type Content, fetchContent, makeContent, seedContent, startClient } from './swarm-kit.ts'

const FLOODING_PEERS = 10
/** The floods themselves are some 15 MB, held twice, and so is what the kernel takes; answered they would be GBs. */
const MAX_GROWTH_BYTES = 100 * 1024 * 1024

interface Scene {
  readonly port: number
  readonly content: Content
  meet(): Promise<RawPeer>
  /** A peer that never met this seed before downloads all of it. */
  assertServes(): Promise<void>
}

async function startScene(t: TestContext, options: { length?: number } = {}): Promise<Scene> {
  const content = await makeContent(t, options)
  const client = await startClient(t)
  seedContent(client, content)
  const { port } = client
  return {
    port,
    content,
    meet: () => meet(t, port, content),
    assertServes: async () => {
      const fetched = await fetchContent(t, await startClient(t), content, {
        from: [{ host: '127.0.0.1', port }],
      })
      assert.ok((await fetched.done()).equals(content.bytes))
    },
  }
}

const EXTENSIONS = { m: { ut_metadata: 1, ut_pex: 2, lt_donthave: 3 }, metadata_size: 100 }
const hello = (extra: object = {}): Buffer =>
  extended(0, Buffer.from(bencode.encode({ ...EXTENSIONS, ...extra })))
/** The numbers the engine gives its extensions, in the order it registers them. */
const [METADATA, PEX, DONT_HAVE] = [1, 2, 3]

/** Written after a valid handshake; each crashed, hung or bloated an unguarded process, or is a sibling. */
const ATTACKS: readonly (readonly [what: string, ...bytes: readonly Buffer[]])[] = [
  ['empty ut_metadata message', hello(), extended(METADATA, '')],
  ['ut_metadata before any extended handshake', extended(METADATA, 'd8:msg_typei0e5:piecei0ee')],
  [
    'ut_metadata request for a piece out of range',
    hello(),
    extended(METADATA, 'd8:msg_typei0e5:piecei99999999ee'),
  ],
  ['ut_metadata request for piece -1', hello(), extended(METADATA, 'd8:msg_typei0e5:piecei-1ee')],
  ['ut_metadata request for no piece', hello(), extended(METADATA, 'd8:msg_typei0ee')],
  [
    'ut_metadata data out of range',
    hello(),
    extended(METADATA, 'd8:msg_typei1e5:piecei9999e10:total_sizei1eexxxx'),
  ],
  ['ut_metadata reject nobody asked for', hello(), extended(METADATA, 'd8:msg_typei2e5:piecei0ee')],
  ['ut_metadata with a negative string length', hello(), extended(METADATA, 'd8:msg_typel-3:ee')],
  [
    'ut_metadata taken back',
    hello(),
    hello({ m: { ut_metadata: 0 } }),
    extended(METADATA, 'd8:msg_typei0e5:piecei0ee'),
  ],
  [
    'ut_metadata under an impossible number',
    hello({ m: { ut_metadata: 'x' } }),
    extended(METADATA, 'd8:msg_typei0e5:piecei0ee'),
  ],
  ['extended handshake with a negative string length', extended(0, 'd1:ml-3:ee')],
  ['extended handshake of nothing', extended(0, '')],
  ['extended handshake of garbage', extended(0, Buffer.alloc(200, 0xff))],
  ['extended handshake nested deep', extended(0, `d1:a${'l'.repeat(10_000)}${'e'.repeat(10_000)}e`)],
  ['extended handshake whose m is bytes', extended(0, `d1:m200000:${'x'.repeat(200_000)}e`)],
  ['extended handshake whose m holds lists', extended(0, 'd1:md11:ut_metadatal1:xe6:ut_pexdeee')],
  ['extended handshake whose m is a number', extended(0, 'd1:mi7ee')],
  ['extended handshake with __proto__', extended(0, 'd1:md9:__proto__i1e11:constructori2eee')],
  ['ut_pex with a negative string length', hello(), extended(PEX, 'd5:addedl-3:ee')],
  ['ut_pex whose added claims a length', hello(), extended(PEX, 'd5:addedd6:lengthi4000000000eee')],
  ['ut_pex whose added is a number', hello(), extended(PEX, 'd5:addedi7ee')],
  ['ut_pex whose added is a list', hello(), extended(PEX, 'd5:addedl1:xee')],
  ['ut_pex whose added is of odd length', hello(), extended(PEX, 'd5:added7:xxxxxxx7:added.fi7ee')],
  ['lt_donthave of one byte', hello(), extended(DONT_HAVE, 'x')],
  ['lt_donthave out of range', hello(), message(ID.haveAll), extended(DONT_HAVE, uint32(0xffffffff))],
  ['an extension that is not there', hello(), extended(250, 'x')],
  ['an extended message without a number', message(ID.extended)],
  ['message of 2^31-1 bytes', uint32(0x7fffffff), Buffer.alloc(64)],
  ['message of 2^32-1 bytes', uint32(0xffffffff), Buffer.alloc(64)],
  ['truncated have', message(ID.have, Buffer.from([0]))],
  ['have 2^31-1', message(ID.have, uint32(0x7fffffff))],
  ['have 2^32-1', message(ID.have, uint32(0xffffffff))],
  ['have one past the last', message(ID.have, uint32(10))],
  ['truncated request', message(ID.interested), message(ID.request, Buffer.from([0, 0]))],
  ['truncated piece', message(ID.piece, Buffer.from([0]))],
  ['a piece nobody asked for', message(ID.piece, uint32(0, 0), Buffer.alloc(16_384))],
  ['empty bitfield', message(ID.bitfield)],
  ['bitfield of 200 KB', message(ID.bitfield, Buffer.alloc(200_000, 0xff))],
  ['allowed-fast out of range', message(ID.haveAll), message(ID.allowedFast, uint32(99_999))],
  ['truncated allowed-fast', message(ID.haveAll), message(ID.allowedFast)],
  ['reject nobody asked for', message(ID.reject, uint32(0, 0, 16_384))],
  ['port 0 and a truncated port', message(ID.port, Buffer.from([0, 0])), message(ID.port)],
  ['messages without a number', ...Array.from({ length: 100 }, () => message(200, Buffer.alloc(9)))],
]

test('handshakes in pieces, in noise and in the wrong language', async (t) => {
  const scene = await startScene(t)
  const valid = handshake(scene.content)
  const openings: readonly (readonly [what: string, bytes: Buffer, cut: boolean])[] = [
    ['96 zeros (MSE)', Buffer.alloc(96), true],
    ['96 times 0xff (MSE)', Buffer.alloc(96, 0xff), true],
    ['1,000 zeros', Buffer.alloc(1_000), true],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(1_000, 'x')), false],
    ['TLS', Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), Buffer.alloc(900, 7)]), false],
    ['a torrent nobody has', handshake({ infoHash: 'f'.repeat(40) }), true],
    ['half a handshake', valid.subarray(0, 40), false],
    ['one byte', valid.subarray(0, 1), false],
  ]
  for (const [what, bytes, cut] of openings) {
    const peer = await connectTo(t, scene.port)
    peer.write(bytes)
    if (cut) await peer.hungUp(what)
    else peer.socket.destroy()
  }
  await scene.assertServes()
})

test('malformed messages cost the peer its connection, and nobody else anything', {
  timeout: 60_000,
}, async (t) => {
  const scene = await startScene(t)
  for (const [what, ...bytes] of ATTACKS) {
    const peer = await scene.meet()
    peer.write(...bytes)
    // Whether it is cut off or ignored, the process has read it when it answers or hangs up.
    peer.write(message(ID.interested), message(ID.request, uint32(0, 0, 100)))
    await until(() => peer.closed || peer.messages.some(({ id }) => id === ID.piece || id === ID.reject), {
      timeoutMs: 30_000,
      what: `an answer after: ${what}`,
      everyMs: 2,
    })
    peer.socket.destroy()
  }
  await scene.assertServes()
})

test('requests out of range are refused, and never answered with bytes', async (t) => {
  const scene = await startScene(t)
  const { length, pieceLength } = scene.content
  const last = Math.ceil(length / pieceLength) - 1
  const wrong: readonly (readonly [number, number, number])[] = [
    [last + 1, 0, 16_384],
    [-1, 0, 16_384],
    [0x7fffffff, 0, 16_384],
    [0, pieceLength, 16_384],
    [0, pieceLength - 1, 2],
    [0, -1, 16_384],
    [0, 0, 0],
    [0, 0, -1],
    [last, 0, pieceLength],
  ]
  const peer = await scene.meet()
  peer.write(message(ID.interested))
  await peer.received(ID.unchoke)
  for (const request of wrong) peer.write(message(ID.request, uint32(...request)))
  peer.write(message(ID.request, uint32(0, 0, 100)))
  await until(() => peer.closed || peer.messages.some(({ id }) => id === ID.piece), { timeoutMs: 30_000 })
  const pieces = peer.messages.filter(({ id }) => id === ID.piece)
  for (const { body } of pieces) assert.equal(body.length, 8 + 100, 'only the request in range is answered')
  await scene.assertServes()
})

test('have and bitfield storms', async (t) => {
  const scene = await startScene(t)
  const peer = await scene.meet()
  for (let round = 0; round < 50; round++) {
    const haves = Array.from({ length: 1_000 }, (_, at) =>
      message(ID.have, uint32((round * 7_919 + at * 31) % 500_000)),
    )
    peer.write(
      ...haves,
      message(ID.bitfield, Buffer.alloc(2, round)),
      message(ID.haveAll),
      message(ID.haveNone),
    )
  }
  await scene.assertServes()
})

test('more than the socket takes is not answered from memory', { timeout: 60_000 }, async (t) => {
  const scene = await startScene(t, { length: 8_000_000 })
  const repeat = (count: number, make: (index: number) => Buffer): Buffer =>
    Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))
  const floods: readonly (readonly [what: string, flood: Buffer])[] = [
    ['block requests', repeat(4_000, (index) => message(ID.request, uint32(index % 240, 0, 32_768)))],
    // Half a gigabyte of answers to half a megabyte of questions.
    ['metadata requests', repeat(20_000, () => extended(METADATA, 'd8:msg_typei0e5:piecei0ee'))],
    ['extended handshakes', repeat(1_000, () => hello())],
  ]
  for (const [what, flood] of floods) {
    const cutBefore = wireGuardCounters().flooding
    const peers = await Promise.all(Array.from({ length: FLOODING_PEERS }, () => scene.meet()))
    const before = process.memoryUsage().rss
    let peak = 0
    for (const peer of peers) {
      peer.socket.pause()
      peer.write(hello({ metadata_size: 0 }), message(ID.interested), flood)
    }
    await until(
      () => {
        peak = Math.max(peak, process.memoryUsage().rss)
        return wireGuardCounters().flooding >= cutBefore + peers.length
      },
      { timeoutMs: 30_000, what: `${peers.length} floods of ${what} are cut off`, everyMs: 2 },
    )
    assert.ok(peak - before < MAX_GROWTH_BYTES, `${what}: grew by ${peak - before} bytes`)
    for (const peer of peers) peer.socket.destroy()
  }
  await scene.assertServes()
})

test('who says again and again which pieces it has is left', async (t) => {
  const scene = await startScene(t)
  const says = [message(ID.bitfield, Buffer.alloc(2)), message(ID.haveNone)]
  const honest = await scene.meet()
  honest.write(...says)
  for (const one of [...says, message(ID.bitfield, Buffer.from([0x80, 0]))]) {
    const peer = await scene.meet()
    peer.write(...Array.from({ length: 50 }, () => one))
    await peer.hungUp('fifty times the same')
  }
  assert.equal(honest.closed, false)
  await scene.assertServes()
})
