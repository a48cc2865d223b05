/** One honest host among ten bad peers: the download finishes, and those that sent wrong bytes are left for good. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { Random, TEST_SEED } from '../helpers/random.ts'
import { assertGot, ended, scratchFolder, startGet, startHost } from '../helpers/swarm.ts'
import { type Liar, liar, OFFER, sendBlocks } from '../hostile/liar.ts'
import { ID, type Message, message, type RawPeer, uint32 } from '../hostile/raw-peer.ts'
import type { HashedShard } from './hashing-peer.ts'

const BYTES = 10_000_000
/** Whole ones, of 256 KiB each. */
const PIECES = 38
/** Slow enough that every bad peer gets its turn. */
const UPLOAD_LIMIT = '1M'
const NO_BOOTSTRAP = '127.0.0.1:9'

type Answer = (incoming: Message, peer: RawPeer) => void

interface Badness {
  readonly opening?: readonly Buffer[]
  readonly answer?: (shard: HashedShard) => Answer
  /** Sends wrong bytes. */
  readonly isCorrupt?: true
}

const onRequest =
  (act: (peer: RawPeer, body: Buffer) => void): (() => Answer) =>
  () =>
  ({ id, body }, peer) => {
    if (id === ID.request) act(peer, body)
  }

const flipped = (block: Buffer): Buffer => Buffer.from(block.map((byte) => byte ^ 0xff))

const BAD: Readonly<Record<string, Badness>> = {
  'sends wrong blocks': { answer: (shard) => sendBlocks(shard, flipped), isCorrupt: true },
  'sends zeros': {
    answer: (shard) => sendBlocks(shard, (block) => Buffer.alloc(block.length)),
    isCorrupt: true,
  },
  'sends one wrong byte in each block': {
    answer: (shard) =>
      sendBlocks(shard, (block) => {
        block[block.length >> 1]! ^= 1
        return block
      }),
    isCorrupt: true,
  },
  'lets itself be asked and says nothing': {},
  'stops in the middle of a block': {
    answer: onRequest((peer, body) => {
      const half = message(ID.piece, body.subarray(0, 8), Buffer.alloc(16_384)).subarray(0, 5_000)
      if (peer.messages.filter(({ id }) => id === ID.request).length === 1) peer.write(half)
    }),
  },
  'has nothing of what it says it has': {
    answer: onRequest((peer, body) => peer.write(message(ID.reject, body))),
  },
  'hangs up when it is asked': { answer: onRequest((peer) => peer.socket.destroy()) },
  'sends blocks nobody asked for': {
    answer: onRequest((peer) => peer.write(message(ID.piece, uint32(3, 0), Buffer.alloc(16_384, 7)))),
  },
  'asks without end and sends nothing': {
    opening: [...OFFER, message(ID.interested), ...asked(2_000)],
    answer: () => (_incoming, peer) => peer.write(...asked(50)),
  },
  'says have for pieces that are not': {
    opening: [
      message(ID.haveNone),
      message(ID.unchoke),
      message(ID.have, uint32(0)),
      message(ID.have, uint32(PIECES - 1)),
    ],
  },
}

function asked(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => message(ID.request, uint32(index % PIECES, 0, 16_384)))
}

async function startBadPeers(t: TestContext, shard: HashedShard): Promise<ReadonlyMap<string, Liar>> {
  const peers = new Map<string, Liar>()
  for (const [index, [name, { opening = OFFER, answer }]] of Object.entries(BAD).entries()) {
    peers.set(name, await liar(t, shard, opening, answer?.(shard), `127.0.0.${index + 2}`))
  }
  return peers
}

test('one honest host among ten bad peers', async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = new Random(TEST_SEED)
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'model.gguf')
  await writeModel(original, { bytes: BYTES, seed: TEST_SEED })
  const args = ['--upload-limit', UPLOAD_LIMIT]
  const host = await startHost(t, join(folder, 'shards'), { bootstrap: NO_BOOTSTRAP, args })
  const { infoHash, pieceLength } = await host.seeding('model.gguf')
  const bad = await startBadPeers(t, { infoHash, pieceLength, bytes: await readFile(original) })
  assert.equal(bad.size, 10)

  const addresses = [...bad.values()].map(({ host, port }) => `${host}:${port}`)
  addresses.splice(random.between(0, addresses.length), 0, await host.address())
  const out = join(folder, 'out')
  const get = startGet(t, [infoHash], {
    bootstrap: NO_BOOTSTRAP,
    out,
    args: addresses.flatMap((address) => ['--peer', address]),
  })
  const got = await ended(get)
  await assertGot(got, [original])
  for (const [name, { met }] of bad) {
    const served = met.flatMap(({ messages }) => messages.filter(({ id }) => id === ID.request)).length
    t.diagnostic(`${name}: ${met.length} connections, asked for ${served} blocks`)
    assert.ok(
      met.some(({ handshaken }) => handshaken),
      `${name} was met`,
    )
    if (!BAD[name]!.isCorrupt) continue
    // One attempt is encrypted, and turned away; after the wrong piece there is no other.
    const caught = met.filter(({ messages }) => messages.some(({ id }) => id === ID.request))
    assert.equal(caught.length, 1, `${name} was asked on one connection only`)
  }
})
