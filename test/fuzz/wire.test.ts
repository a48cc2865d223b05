/**
 * Connections that say anything, in every state: before the handshake, in an encrypted one (MSE), after it, before and
 * after the extended handshake, to a process that seeds, fetches with and without metainfo, and gathers.
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import fc, { type Arbitrary } from 'fast-check'
import { until } from '../helpers/until.ts'
import { extended, handshake, ID, listen, message, uint32 } from '../hostile/raw-peer.ts'
import { almostBencode, damaged, dictionaryOf, nastyBytes, nastyInteger, nastyValue } from './grammar.ts'
import { Initiator, type Opening } from './mse.ts'
import { holds } from './property.ts'
import { assertWell, type Place, type State, type Target, targetOf } from './target-process.ts'

/** Through sockets, on a machine that may be busy. */
const SOCKET = { slowMs: 60_000 }
/** How long a conversation that the other side began may take. */
const TALK_MS = 200
/** How long the other side has to read the last of it and hang up, before it is hung up on. */
const READ_MS = 50

/** The numbers the engine gives its extensions: ut_metadata, ut_pex, lt_donthave, gs_catalogue. */
const extensionNumber = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.nat({ max: 255 }))
const extensionPayload: Arbitrary<Uint8Array> = fc.oneof(
  dictionaryOf({
    m: fc.dictionary(
      fc.constantFrom('ut_metadata', 'ut_pex', 'lt_donthave', 'gs_catalogue', '__proto__', 'x'),
      fc.oneof(fc.nat({ max: 5 }), nastyValue),
      { maxKeys: 5 },
    ),
    metadata_size: fc.oneof(fc.constantFrom(100, 16_384, 40_000), nastyInteger),
    reqq: nastyInteger,
    p: nastyInteger,
    v: nastyBytes,
    yourip: nastyBytes,
  }),
  fc
    .tuple(
      dictionaryOf({
        msg_type: fc.constantFrom(0, 1, 2, 3),
        piece: fc.oneof(fc.constant(0), nastyInteger),
        total_size: nastyInteger,
      }),
      fc.oneof(nastyBytes, fc.constant(new Uint8Array(16_384))),
    )
    .map((parts) => Buffer.concat(parts)),
  dictionaryOf({ added: nastyBytes, 'added.f': nastyBytes, added6: nastyBytes, dropped: nastyBytes }),
  dictionaryOf({
    t: fc.constantFrom('hello', 'proof', 'info'),
    v: nastyInteger,
    n: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    p: nastyBytes,
  }),
  almostBencode,
  nastyInteger.map((number) => uint32(number)),
)
const index = fc.oneof(fc.integer({ min: 0, max: 12 }), nastyInteger)
const offset = fc.oneof(fc.constantFrom(0, 16_384), nastyInteger)
const said: Arbitrary<Buffer> = fc.oneof(
  fc.tuple(extensionNumber, damaged(extensionPayload)).map(([number, payload]) => extended(number, payload)),
  fc
    .tuple(
      fc.constantFrom(ID.request, ID.cancel, ID.reject),
      index,
      offset,
      fc.oneof(fc.constant(16_384), nastyInteger),
    )
    .map(([id, ...numbers]) => message(id, uint32(...numbers))),
  fc
    .tuple(index, offset, fc.oneof(fc.constant(new Uint8Array(16_384)), nastyBytes))
    .map(([piece, at, block]) => message(ID.piece, uint32(piece, at), Buffer.from(block))),
  fc
    .tuple(fc.constantFrom(ID.have, ID.allowedFast, ID.suggest, ID.port), index)
    .map(([id, number]) => message(id, uint32(number))),
  fc
    .tuple(fc.constantFrom(ID.bitfield, ID.haveAll, ID.haveNone), nastyBytes)
    .map(([id, bytes]) => message(id, Buffer.from(bytes))),
  fc
    .constantFrom(ID.unchoke, ID.choke, ID.interested, ID.notInterested, ID.haveAll, ID.haveNone)
    .map((id) => message(id)),
  fc.tuple(fc.nat({ max: 255 }), nastyBytes).map(([id, body]) => message(id, Buffer.from(body))),
  fc.tuple(nastyInteger, nastyBytes).map(([length, body]) => Buffer.concat([uint32(length), body])),
)

interface Conversation {
  readonly place: Place
  /** Loopback address to come from: one that sent wrong data is not listened to for long. */
  readonly from: string
  readonly opening:
    | { readonly kind: 'handshake'; readonly reserved: Uint8Array; readonly peerId: Uint8Array }
    | { readonly kind: 'noise'; readonly bytes: Uint8Array }
    | { readonly kind: 'encrypted'; readonly opening: Opening; readonly holdsHandshake: boolean }
  readonly messages: readonly Buffer[]
  /** Everything is sent in parts of this size. */
  readonly partBytes: number
}

const conversation: Arbitrary<Conversation> = fc.record({
  place: fc.constantFrom<Place>('seeded', 'known', 'unknown', 'rendezvous', 'nobody'),
  from: fc
    .tuple(fc.nat({ max: 255 }), fc.integer({ min: 2, max: 254 }))
    .map(([high, low]) => `127.9.${high}.${low}`),
  opening: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('handshake' as const),
        reserved: fc.oneof(
          fc.constant(Buffer.from('0000000000100004', 'hex')),
          fc.uint8Array({ minLength: 8, maxLength: 8 }),
        ),
        peerId: fc.uint8Array({ minLength: 20, maxLength: 20 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('noise' as const),
        bytes: fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.constantFrom(0, 1, 255).map((byte) => new Uint8Array(96).fill(byte)),
        ),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('encrypted' as const),
        holdsHandshake: fc.boolean(),
        opening: fc.record({
          provide: fc.oneof(fc.constantFrom(1, 2, 3), nastyInteger),
          padding: fc.uint8Array({ maxLength: 20 }),
          paddingLength: fc.oneof(fc.nat({ max: 20 }), nastyInteger),
          payload: nastyBytes,
          payloadLength: fc.oneof(fc.constant(68), nastyInteger),
        }),
      }),
    },
  ),
  messages: fc.array(said, { maxLength: 25 }),
  partBytes: fc.constantFrom(100_000, 100_000, 17, 5, 1_448),
})

/** Says it all, unless the other side hangs up before. */
async function hold(socket: Socket, talk: Conversation, infoHash: string): Promise<void> {
  const { opening, messages, partBytes } = talk
  const rest = Buffer.concat(messages)
  const write = async (bytes: Buffer): Promise<void> => {
    for (let at = 0; at < bytes.length && !socket.destroyed; at += partBytes)
      await new Promise<void>((resolve) => socket.write(bytes.subarray(at, at + partBytes), () => resolve()))
  }
  if (opening.kind === 'noise') await write(Buffer.concat([opening.bytes, rest]))
  if (opening.kind === 'handshake') {
    const peerId = Buffer.from(opening.peerId).toString('hex')
    await write(
      Buffer.concat([handshake({ infoHash, peerId, reserved: Buffer.from(opening.reserved) }), rest]),
    )
  }
  if (opening.kind === 'encrypted') {
    const initiator = new Initiator(opening.opening.padding)
    let reply = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      reply = Buffer.concat([reply, bytes].slice(0, 2)).subarray(0, 1_000)
    })
    await write(initiator.first)
    await until(() => reply.length >= 96 || socket.closed, { timeoutMs: 60_000, everyMs: 1, what: 'a key' })
    if (reply.length < 96) return
    const first = opening.holdsHandshake ? handshake({ infoHash }) : Buffer.from(opening.opening.payload)
    await write(initiator.second(reply, infoHash, { ...opening.opening, payload: first }))
    await write(rest)
  }
}

async function talkTo(target: Target, talk: Conversation): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: target.port, localAddress: talk.from })
  socket.on('error', () => undefined) // being cut off is the answer to most of it
  socket.resume()
  try {
    await hold(socket, talk, target.infoHashes[talk.place])
  } finally {
    socket.end()
    setTimeout(() => socket.destroy(), READ_MS)
  }
}

test('connections that come in', { timeout: 300_000 }, async (t) => {
  const start = await targetOf(t)
  const before = await (await start()).ask<State>({ order: 'state' })
  await holds(
    t,
    fc.array(conversation, { minLength: 1, maxLength: 4 }),
    async (talks) => {
      const target = await start()
      await Promise.all(talks.map((talk) => talkTo(target, talk)))
      await target.ask({ order: 'ping' })
    },
    { runs: 120, ...SOCKET },
  )
  await assertWell(t, await start(), before)
})

test('connections that it makes itself', { timeout: 300_000 }, async (t) => {
  const start = await targetOf(t)
  const before = await (await start()).ask<State>({ order: 'state' })
  let heard = 0
  await holds(
    t,
    conversation,
    async (talk) => {
      const target = await start()
      const wanted = heard + 1
      const infoHash = target.infoHashes[talk.place === 'nobody' ? 'seeded' : talk.place]
      // At an address of its own: one that sent wrong data is not dialled again.
      const { host, port, server } = await listen(
        t,
        (socket) => {
          heard++
          socket.resume()
          // What does not end by itself, such as waiting for a key that never comes.
          setTimeout(() => socket.destroy(), TALK_MS)
          void hold(socket, talk, infoHash).catch(() => undefined)
        },
        talk.from,
      )
      await target.ask({ order: 'dial', infoHash, host, port })
      await until(() => heard >= wanted, { timeoutMs: 60_000, everyMs: 2, what: 'a connection' })
      await target.ask({ order: 'ping' })
      server.close()
    },
    { runs: 40, ...SOCKET },
  )
  assert.ok(heard > 0)
  await assertWell(t, await start(), before)
})
