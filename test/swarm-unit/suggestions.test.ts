/** What a seed proposes to those who download from it (BEP 6), and what they make of it. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../helpers/until.ts'
import { blockFor, liar, OFFER } from '../hostile/liar.ts'
import { ID, meet, message, type RawPeer, uint32 } from '../hostile/raw-peer.ts'
import { type Content, fetchContent, makeContent, seedContent, startClient } from '../hostile/swarm-kit.ts'

/** 32 pieces of 64 KiB, of which 16 are proposed ahead. */
const CONTENT = { length: 2 * 1024 * 1024, pieceLength: 64 * 1024 }
const PIECES = 32
const AHEAD = 16

const suggested = ({ messages }: RawPeer): readonly number[] =>
  messages.filter(({ id }) => id === ID.suggest).map(({ body }) => body.readUInt32BE(0))

const isAsked = ({ messages }: RawPeer, piece: number): boolean =>
  messages.some(({ id, body }) => id === ID.request && body.readUInt32BE(0) === piece)

async function seeding(t: TestContext) {
  const content = await makeContent(t, CONTENT)
  const client = await startClient(t)
  seedContent(client, content)
  return { content, client }
}

async function downloader(
  t: TestContext,
  port: number,
  content: Content,
  reserved?: Buffer,
): Promise<RawPeer> {
  const peer = await meet(t, port, { infoHash: content.infoHash, ...(reserved && { reserved }) })
  peer.write(message(ID.haveNone), message(ID.interested))
  await peer.received(ID.unchoke)
  return peer
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, at) => from + at)

test('a seed proposes to each of several downloaders other pieces, in sequence', async (t) => {
  const { content, client } = await seeding(t)
  const first = await downloader(t, client.port, content)
  await delay(200)
  assert.deepEqual(suggested(first), [], 'one downloader alone is proposed nothing')
  const second = await downloader(t, client.port, content)
  const enough = () => suggested(first).length === AHEAD && suggested(second).length === AHEAD
  await until(enough, { timeoutMs: 30_000, what: 'proposals' })
  assert.deepEqual(suggested(first), range(0, AHEAD))
  assert.deepEqual(suggested(second), range(AHEAD, PIECES))
  const third = await downloader(t, client.port, content)
  await delay(200)
  assert.deepEqual(suggested(third), [], 'all pieces were given away')

  // What was given to who leaves is for others, as soon as they ask for what they were given.
  first.socket.destroy()
  second.write(message(ID.have, uint32(3)))
  await until(
    () => {
      second.write(message(ID.request, uint32(AHEAD, 0, 16_384)))
      third.write(message(ID.request, uint32(PIECES - 1, 0, 16_384)))
      return suggested(second).length > AHEAD
    },
    { timeoutMs: 30_000, what: 'more proposals' },
  )
  const [again] = suggested(second).slice(AHEAD)
  assert.ok(again! < AHEAD && again !== 3, `${again} was given to the first, and nobody has it`)
})

test('a seed that knows of another begins anywhere: both from the first on would send everything twice', async (t) => {
  const { content, client } = await seeding(t)
  const other = await startClient(t)
  seedContent(other, content).dial({ host: '127.0.0.1', port: client.port })
  const starts: number[] = []
  // In turns, as when the two have met cannot be seen from outside.
  await until(
    async () => {
      const peers = [
        await downloader(t, client.port, content),
        await downloader(t, client.port, content),
      ] as const
      await until(() => suggested(peers[0]).length > 0, { timeoutMs: 30_000, what: 'proposals' })
      starts.push(suggested(peers[0])[0]!)
      for (const { socket } of peers) socket.destroy()
      return starts.some((start) => start > 0)
    },
    { timeoutMs: 30_000, what: 'a beginning at another piece than the first' },
  )
})

test('without the fast extension nothing is proposed: the peer would have to hang up', async (t) => {
  const { content, client } = await seeding(t)
  const noFast = Buffer.from('0000000000100000', 'hex')
  const meetOld = async (): Promise<RawPeer> => {
    const peer = await meet(t, client.port, { infoHash: content.infoHash, reserved: noFast })
    peer.write(message(ID.interested))
    await peer.received(ID.unchoke)
    return peer
  }
  const peers = [await meetOld(), await meetOld(), await downloader(t, client.port, content)]
  await delay(200)
  assert.deepEqual(peers.flatMap(suggested), [])
})

test('a download asks for what is proposed, whatever nonsense is proposed besides', async (t) => {
  const content = await makeContent(t, CONTENT)
  const client = await startClient(t)
  const proposals = [0x7fff_ffff, 0xffff_ffff, PIECES, 20, 21].map((piece) =>
    message(ID.suggest, uint32(piece)),
  )
  const asked: number[] = []
  const seed = await liar(t, content, [message(ID.haveAll)], ({ id, body }, peer) => {
    if (id === ID.interested) peer.write(...proposals, message(ID.unchoke))
    if (id !== ID.request) return
    if (asked.at(-1) !== body.readUInt32BE(0)) asked.push(body.readUInt32BE(0))
    peer.write(blockFor(content, body))
  })
  const download = await fetchContent(t, client, content, { known: true, from: [seed] })
  assert.ok((await download.done(30_000)).equals(content.bytes))
  assert.deepEqual(asked.slice(0, 3), [0, 20, 21])
})

test('while there is something to begin, nothing is asked for twice', async (t) => {
  const content = await makeContent(t, CONTENT)
  const client = await startClient(t)
  const last = PIECES - 1
  const heldBack: Buffer[] = []
  let isSlow = true
  const slow = await liar(t, content, OFFER, ({ id, body }, peer) => {
    if (id !== ID.request) return
    if (isSlow) heldBack.push(body)
    else peer.write(blockFor(content, body))
  })
  const bitfield = Buffer.alloc(PIECES / 8)
  for (const piece of [1, 2, 3, last]) bitfield[piece >> 3]! |= 0x80 >> (piece & 7)
  const opening = [message(ID.bitfield, bitfield), message(ID.unchoke)]
  const fast = await liar(
    t,
    content,
    opening,
    ({ id, body }, peer) => {
      if (id === ID.request) peer.write(blockFor(content, body))
    },
    '127.0.0.3',
  )
  const download = await fetchContent(t, client, content, { known: true, from: [slow] })
  await until(() => slow.met.some((peer) => isAsked(peer, 3)), {
    timeoutMs: 30_000,
    what: 'the slow one is asked',
  })
  download.torrent.dial(fast)
  await until(() => fast.met.some((peer) => isAsked(peer, last)), {
    timeoutMs: 30_000,
    what: 'the fast one is asked',
  })
  await delay(1_000) // it has a rate by then, and nothing to do
  assert.ok(
    !fast.met.some((peer) => [1, 2, 3].some((piece) => isAsked(peer, piece))),
    'a piece is asked for twice',
  )
  isSlow = false
  for (const request of heldBack) slow.met.at(-1)!.write(blockFor(content, request))
  assert.ok((await download.done(30_000)).equals(content.bytes))
})
