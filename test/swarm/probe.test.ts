/** A probe asks one host for one shard: what it says it has, and the bytes that prove it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { InfoHash } from '../../src/metainfo/info-hash.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { PeerProbe } from '../../src/swarm/probe/peer-probe.ts'
import { probePeer, probePieces } from '../../src/swarm/probe/probe.ts'
import { startForeignPeer } from '../helpers/foreign-peer.ts'
import { writeModel } from '../helpers/gguf.ts'
import { holdTcpPort, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

const BYTES = 3_000_000
const PIECE_LENGTH = 256 * 1024
const PIECES = 12
const NEVER = new AbortController().signal

async function startSeed(t: TestContext) {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const path = join(shards, 'a.gguf')
  await writeModel(path, { bytes: BYTES, seed: 1 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap })
  const seeding = await host.seeding('a.gguf')
  const infoHash = seeding.infoHash as InfoHash
  const address = parsePeerAddress(await host.address())!
  return { host, path, address, shard: { infoHash, length: BYTES, pieceLength: PIECE_LENGTH } }
}

test('a whole shard: all pieces seen, metainfo by infohash, chosen pieces fetched and right', async (t) => {
  const { path, address, shard } = await startSeed(t)
  const startedAt = performance.now()
  assert.deepEqual(await probePeer(address, shard, NEVER), { whole: true, pieces: PIECES })
  t.diagnostic(`bitfield after ${Math.round(performance.now() - startedAt)} ms`)
  const seen = await probePieces(address, shard, [0, 5, PIECES - 1], NEVER)
  t.diagnostic(`three pieces after ${Math.round(performance.now() - startedAt)} ms`)
  const bytes = await readFile(path)
  for (const { index, length, sha1, isRight } of seen) {
    const piece = bytes.subarray(index * PIECE_LENGTH, (index + 1) * PIECE_LENGTH)
    assert.equal(length, piece.length)
    assert.equal(sha1, createHash('sha1').update(piece).digest('hex'))
    assert.ok(isRight)
  }
  await using probe = await PeerProbe.connect(address, shard.infoHash, NEVER)
  const { name, infoHash } = await probe.metainfo()
  assert.deepEqual({ name, infoHash }, { name: 'a.gguf', infoHash: shard.infoHash })
  assert.ok(probe.handshakeMs > 0 && probe.dhtPort !== null)
})

test('bytes that changed on disk are refused by the host, and the probe says which piece', async (t) => {
  const { path, address, shard } = await startSeed(t)
  // Connected before, as the host may see the change before it is asked, and then it withdraws the shard.
  await using probe = await PeerProbe.connect(address, shard.infoHash, NEVER)
  await probe.seenPieces(PIECES)
  const metainfo = await probe.metainfo()
  await using file = await open(path, 'r+')
  await file.write(Buffer.from('wrong'), 0, 5, 5 * PIECE_LENGTH)
  await file.close()
  await assert.rejects(probe.piece(metainfo, 5), ({ code, message }: Error & { code: string }) => {
    t.diagnostic(message)
    return code === 'refused' && message.includes('piece 5') && message.includes(`:${address.port}`)
  })
})

test('a peer that sends other bytes than it says is found out', async (t) => {
  const folder = await scratchFolder(t)
  const [path, lie] = [join(folder, 'a.gguf'), join(folder, 'lie.gguf')]
  await writeModel(path, { bytes: BYTES, seed: 1 })
  await writeModel(lie, { bytes: BYTES, seed: 2 })
  const peer = await startForeignPeer(t, { path, lie })
  const shard = { infoHash: peer.infoHash as InfoHash, length: BYTES, pieceLength: PIECE_LENGTH }
  const address = parsePeerAddress(peer.address)!
  assert.deepEqual(await probePeer(address, shard, NEVER), { whole: true, pieces: PIECES })
  const [seen] = await probePieces(address, shard, [3], NEVER)
  assert.equal(seen!.isRight, false)
})

test('nobody there, nobody answering, another infohash, stopped in between', async (t) => {
  const { host, address, shard } = await startSeed(t)
  const nobody = { host: '127.0.0.1', port: 9 }
  await assert.rejects(probePeer(nobody, shard, NEVER), { code: 'nobody' })
  const deaf = { host: '127.0.0.1', port: await holdTcpPort(t) }
  const other = { ...shard, infoHash: 'f'.repeat(40) as InfoHash }
  await assert.rejects(probePeer(address, other, NEVER), { code: 'not-served' })
  await assert.rejects(probePeer(deaf, shard, AbortSignal.timeout(200)), { name: 'TimeoutError' })
  process.kill(host.cli.pid, 'SIGSTOP')
  try {
    await assert.rejects(probePeer(address, shard, NEVER), { code: 'silent' })
  } finally {
    process.kill(host.cli.pid, 'SIGCONT')
  }
})
